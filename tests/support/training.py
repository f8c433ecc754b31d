"""Small files and recipes for tests of training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deltakit.train.recipe import SftRecipe

FOBAR = "Ann has x pens and gets 2.\nIf we know the answer to the above question is 5, what is the value of unknown x?"


def metamath(count: int) -> list[dict[str, str]]:
    """Records of MetaMathQA's exact schema; every fourth query has two lines."""
    made = []
    for i in range(count):
        query = f"{i}. {FOBAR}" if i % 4 == 3 else f"Ann has {i} pens and gets 2. How many?"
        kind = "GSM_FOBAR" if i % 4 == 3 else "GSM_AnsAug"
        made.append({"query": query, "response": f"{i} + 2 = {i + 2}.\nThe answer is: {i + 2}", "type": kind,
                     "original_question": f"question {i}"})  # fmt: skip
    return made


def jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recipe(base: Path, path: Path, **changes: Any) -> SftRecipe:
    """Six short steps; `changes` replace keys of sections: train={"lr": 1}."""
    made: dict[str, Any] = {
        "base": str(base),
        "data": {"path": str(path)},
        "tokens": {"context": 512},
        "train": {"lr": 1e-3, "max_steps": 6, "batch_size": 2, "warmup_steps": 1},
        "log": {"steps": 2},
        "save": {"steps": 2},
    }
    for key, value in changes.items():
        made[key] = {**made.get(key, {}), **value} if isinstance(value, dict) and key != "data" else value
    return SftRecipe.model_validate(made)


def without_pad(base: Path, folder: Path) -> Path:
    """A copy of a tiny model whose tokenizer and config know no padding token."""
    shutil.copytree(base, folder)
    for name, key in (("tokenizer_config.json", "pad_token"), ("config.json", "pad_token_id")):
        found = json.loads((folder / name).read_text())
        found.pop(key)
        (folder / name).write_text(json.dumps(found))
    return folder
