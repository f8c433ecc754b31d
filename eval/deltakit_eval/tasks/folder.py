"""Our tasks as a folder of YAML files, for lm-eval's own command line: written from the table, never kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import FunctionType
from typing import Any

import yaml

from deltakit_eval.tasks.config import config
from deltakit_eval.tasks.names import PREFIX, Variant, full_names, parse_variant

__all__ = ["write_folder"]


class _Dumper(yaml.SafeDumper):
    """A function is written as lm-eval reads one: by module and name."""


def _function(dumper: yaml.SafeDumper, function: FunctionType) -> Any:
    return dumper.represent_scalar("!function", f"{function.__module__}.{function.__qualname__}")


_Dumper.add_representer(FunctionType, _function)


def write_folder(folder: Path, also: Iterable[str] = ()) -> Path:
    """One file per task and listed style, and for those of the words in `also` that are full names of other variants
    ("deltakit_gsm8k_cot3")."""
    wanted = {*full_names(), *(word for word in also if word.startswith(PREFIX))}
    for name in sorted(wanted):
        found = parse_variant(name)
        if found is not None:
            (folder / f"{found.full}.yaml").write_text(_text(found), encoding="utf-8")
    return folder


def _text(variant: Variant) -> str:
    head = f"# {variant.task.about}. Prompt style {variant.style.name}: {variant.style.about}\n"
    return head + yaml.dump(config(variant), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
