"""A tiny base on disk with two fine-tunes as delta files, each with words of its own."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deltakit.delta.file.extract import extract
from support.tenants import folder

CHAT = "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}"


@dataclass(frozen=True)
class Fleet:
    """Paths; `math` has three more tokens than the base, `chat` a chat template."""

    base: Path
    math: Path
    chat: Path

    @property
    def models(self) -> list[str]:
        """The base, both fine-tunes, and a mix."""
        base, math, chat = str(self.base), f"{self.math}", f"{self.chat}"
        return [base, f"{base} + {math}", f"{base} + {chat}", f"{base} + 0.6*{math} + 0.4*{chat}"]


@functools.cache
def fleet() -> Fleet:
    """Made once a process."""
    path = Path(tempfile.mkdtemp(prefix="deltakit-fleet-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    base = folder(path / "base", "llama", 0)
    math = folder(path / "math", "llama", 1, base, extra=3)
    chat = folder(path / "chat", "llama", 2, base)
    (chat / "chat_template.jinja").write_text(CHAT)
    extract(str(base), str(math), path / "math.delta")
    extract(str(base), str(chat), path / "chat.delta")
    return Fleet(base, path / "math.delta", path / "chat.delta")
