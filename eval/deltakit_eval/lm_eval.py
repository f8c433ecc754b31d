"""`python -m deltakit_eval.lm_eval`: lm-eval's own command line with our model and our tasks known to it.

python -m deltakit_eval.lm_eval run --model deltakit --model_args pretrained="BASE + 0.6*DELTA" --tasks deltakit_gsm8k

Task names are "deltakit_TASK" and "deltakit_TASK_STYLE". What is particular to a run of documents goes through
--metadata: '{"data": "FOLDER", "split": "train", "subset": 100, "seed": 1}'.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deltakit.errors import DeltakitError, RecipeError

__all__ = ["main", "register", "with_tasks"]


def register() -> None:
    """Make our model known to lm-eval as "deltakit"."""
    from lm_eval.api.registry import model_registry, register_model

    from deltakit_eval.model import DeltakitLM

    if "deltakit" not in model_registry:
        register_model("deltakit")(DeltakitLM)


def with_tasks(argv: Sequence[str], folder: Path) -> list[str]:
    """The arguments with a folder of our task files, written to `folder`, unless they name one themselves.

    RecipeError for a chat variant without --apply_chat_template: its prompts would be asked bare.
    """
    from deltakit_eval.tasks.folder import write_folder
    from deltakit_eval.tasks.names import PREFIX, find_variant, parse_variant

    named = any(word.split("=")[0] == "--include_path" for word in argv)
    if not argv or argv[0] in ("-h", "--help") or named:
        return list(argv)
    words = [part for word in argv for part in re.split(r"[=,\s]", word) if part.startswith(PREFIX)]
    wrapped = any(word.split("=")[0] == "--apply_chat_template" for word in argv)
    for name in _asked(argv):
        if name.startswith(PREFIX) and not set(name) & set("*?["):  # lm-eval's message for one would be a traceback
            find_variant(name)
    for variant in map(parse_variant, words):
        if variant is not None and variant.style.chat and not wrapped:
            raise RecipeError(f"{variant.full} needs the chat template", remedy="add --apply_chat_template")
    return [*argv, "--include_path", str(write_folder(folder, words))]


def _asked(argv: Sequence[str]) -> list[str]:
    """The names behind --tasks, with commas or spaces between."""
    found, open_ = list[str](), False
    for word in argv:
        option, _, value = word.partition("=") if word.startswith("-") else ("", "", word)
        open_ = option in ("--tasks", "-t") if option else open_
        found += [name for name in value.split(",") if name] if open_ else []
    return found


def main() -> None:
    """Run lm-eval's command line."""
    from lm_eval.__main__ import cli_evaluate

    from deltakit_eval.answers import Answers
    from deltakit_eval.programs import Programs
    from deltakit_eval.tasks.tested import running

    register()
    with (
        tempfile.TemporaryDirectory(prefix="deltakit-tasks-") as folder,
        Programs(Answers()) as programs,
        running(programs),
    ):
        try:
            sys.argv[1:] = with_tasks(sys.argv[1:], Path(folder))
            cli_evaluate()
        except DeltakitError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
