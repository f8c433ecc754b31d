"""The chat template of the result: a model's, the most common one, a built-in one, or one that the recipe spells."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import RecipeError
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.lint import check_template
from deltakit.registry import did_you_mean

__all__ = ["BUILT_IN", "choose_template", "template_of", "unknown_markers", "with_template"]

_CONFIG, _FILE, _OLD = "tokenizer_config.json", "chat_template.jinja", "chat_template.json"
_MARKER = re.compile(r"<\|\w+\|>|\[\|\w+\|\]|\[/?INST\]")
_SHORTEST = 20  # characters of a template in a recipe; what is shorter is a misspelt name

# Written for this project from the formats' public descriptions: which markers surround a turn, and nothing else.
BUILT_IN: Mapping[str, str] = {
    "alpaca": (
        "{%- for turn in messages -%}"
        r"{%- if turn.role == 'system' -%}{{ turn.content | trim ~ '\n\n' }}"
        r"{%- elif turn.role == 'user' -%}{{ '### Instruction:\n' ~ turn.content | trim ~ '\n\n' }}"
        r"{%- elif turn.role == 'assistant' -%}{{ '### Response:\n' ~ turn.content | trim ~ eos_token ~ '\n\n' }}"
        "{%- endif -%}{%- endfor -%}"
        r"{%- if add_generation_prompt -%}{{ '### Response:\n' }}{%- endif -%}"
    ),
    "chatml": (
        "{%- for turn in messages -%}"
        r"{{ '<|im_start|>' ~ turn.role ~ '\n' ~ turn.content ~ '<|im_end|>\n' }}"
        "{%- endfor -%}"
        r"{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
    ),
    "exaone": (
        r"{%- if not messages or messages[0].role != 'system' -%}{{ '[|system|][|endofturn|]\n' }}{%- endif -%}"
        "{%- for turn in messages -%}"
        r"{{ '[|' ~ turn.role ~ '|]' ~ turn.content ~ ('' if turn.role == 'user' else '[|endofturn|]') ~ '\n' }}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '[|assistant|]' }}{%- endif -%}"
    ),
    "llama3": (
        "{{- bos_token -}}"
        "{%- for turn in messages -%}"
        r"{{ '<|start_header_id|>' ~ turn.role ~ '<|end_header_id|>\n\n' ~ turn.content | trim ~ '<|eot_id|>' }}"
        "{%- endfor -%}"
        r"{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}"
    ),
    "mistral": (
        "{%- set ns = namespace(system='') -%}"
        "{{- bos_token -}}"
        "{%- for turn in messages -%}"
        r"{%- if turn.role == 'system' -%}{%- set ns.system = turn.content ~ '\n\n' -%}"
        "{%- elif turn.role == 'user' -%}{{ '[INST] ' ~ ns.system ~ turn.content ~ ' [/INST]' }}"
        "{%- set ns.system = '' -%}"
        "{%- elif turn.role == 'assistant' -%}{{ ' ' ~ turn.content ~ eos_token }}"
        "{%- endif -%}{%- endfor -%}"
    ),
}


def template_of(sidecar: Sidecar) -> str | None:
    """A model's template: chat_template.jinja, else the one in tokenizer_config.json (of several the one named
    "default")."""
    if _FILE in sidecar.files:
        return sidecar.files[_FILE].decode("utf-8", "replace")
    for name in (_CONFIG, _OLD):
        if name in sidecar.files:
            found = json.loads(sidecar.files[name]).get("chat_template")
            if isinstance(found, list):
                found = next((t.get("template") for t in found if t.get("name") == "default"), None)
            if isinstance(found, str):
                return found
    return None


def choose_template(sources: Mapping[str, Source], wanted: str) -> str | None:
    """The template that `chat_template:` asks for: "auto" (the most common among the models, of equals the first), a
    built-in name, a model of the merge, or the text of one. None where "auto" finds none.

    Raises RecipeError for anything else, UnsafeError for a template that reaches for Python's internals.
    """
    found = {label: t for label, s in sources.items() if (t := template_of(s.sidecar)) is not None}
    if wanted == "auto":
        if not found:
            return None
        text, _ = Counter(found.values()).most_common(1)[0]
        label = next(la for la, t in found.items() if t == text)
        check_template(text, label)
        return text
    if wanted in BUILT_IN:
        return BUILT_IN[wanted]
    if wanted in sources:
        if wanted not in found:
            raise RecipeError(f"chat_template: {wanted} has none", remedy=f"choose auto or {', '.join(BUILT_IN)}")
        check_template(found[wanted], wanted)
        return found[wanted]
    if len(wanted) < _SHORTEST or "{" not in wanted:
        names = ["auto", *BUILT_IN, *sources]
        raise RecipeError(
            f"chat_template: {wanted!r} is no template and no name of one",
            remedy=did_you_mean(wanted, names) or f"choose {', '.join(names)}, or spell a Jinja template",
        )
    check_template(wanted, "the recipe")
    return wanted


def with_template(files: Mapping[str, bytes], template: str) -> dict[str, bytes]:
    """Tokenizer files with this template and no other; where it is the one they have, they stay as they are."""
    if template_of(Sidecar(files)) == template:
        return dict(files)
    made = {n: c for n, c in files.items() if n not in (_FILE, _OLD)}
    config: dict[str, Any] = json.loads(made.get(_CONFIG, b"{}"))
    if "chat_template" in config:
        made[_CONFIG] = json_bytes({**config, "chat_template": template})
    else:
        made[_FILE] = template.encode()
    return {n: made[n] for n in sorted(made)}


def unknown_markers(files: Mapping[str, bytes], template: str) -> tuple[str, ...]:
    """Markers of turns in a template that no tokenizer file knows: they would be split like any text."""
    listing = b"".join(c for n, c in files.items() if n not in (_FILE, _OLD, _CONFIG))
    decoder = json.loads(files.get(_CONFIG, b"{}")).get("added_tokens_decoder")
    listing += json.dumps(decoder, ensure_ascii=False).encode()
    return tuple(dict.fromkeys(m for m in _MARKER.findall(template) if m.encode() not in listing))


def json_bytes(value: Any) -> bytes:
    """As tokenizer libraries write it: indented, in the order given, text unescaped."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
