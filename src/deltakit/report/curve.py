"""The losses of one training run, from the `loss.jsonl` that `deltakit sft` leaves in its output."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.errors import InputError

__all__ = ["LOSS_FILE", "Curve", "read_curve"]

LOSS_FILE = "loss.jsonl"
Points = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Curve:
    """(step, nats per response token) of training and, where measured, of held-out records."""

    name: str
    training: Points
    held_out: Points


def read_curve(path: Path) -> Curve:
    """From a loss file, or the model folder that holds one; it is called as the folder is."""
    file = path / LOSS_FILE if path.is_dir() else path
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        training, held_out = _points(rows, "loss"), _points(rows, "holdout_loss")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}", remedy="name a folder that deltakit sft made") from None
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        problem = f"{file}: no record of losses ({type(wrong).__name__}: {wrong})"
        raise InputError(problem, remedy="give the loss.jsonl that deltakit sft writes") from None
    if not training and not held_out:
        raise InputError(f"{file}: no losses in it", remedy="give the loss.jsonl that deltakit sft writes")
    return Curve(file.resolve().parent.name, training, held_out)


def _points(rows: list[Any], key: str) -> Points:
    points = tuple((int(row["step"]), float(row[key])) for row in rows if key in row)
    if any(not math.isfinite(loss) for _, loss in points):
        raise ValueError("a loss that is not finite")
    return points
