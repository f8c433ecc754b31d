"""What is measured: each case as a deltakit recipe and, where there is one, as a mergekit config."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Case:
    """`ours` and `theirs`: method, parameters of the recipe (config), and per model. `factor` of the limit, plus
    `slack` seconds, is the aim; None: measured only. `based`: a base and two models, else two models."""

    name: str
    ours: dict[str, Any]
    theirs: dict[str, Any] | None
    factor: float | None
    slack: float = 0.0
    based: bool = True
    each: dict[str, Any] = field(default_factory=dict)
    slow: bool = False  # the peer takes more than half a minute: measured once

    def inputs(self, family: Path) -> list[Path]:
        """The folders that are read."""
        return [family / n for n in (("base", "ft0", "ft1") if self.based else ("ft0", "ft1"))]

    def recipe(self, family: Path) -> str:
        """The deltakit recipe."""
        models = [{"model": str(p), "name": p.name} for p in self.inputs(family)[self.based :]]
        base = {"base": str(family / "base")} if self.based else {}
        return yaml.safe_dump({"deltakit": 1, **base, "models": models, **self.ours}, sort_keys=False)

    def config(self, family: Path) -> str:
        """The mergekit config, at the models' own dtype."""
        two = self.inputs(family)[self.based :]
        models = [{"model": str(p), "parameters": {"weight": 0.5, **self.each}} for p in two]
        method = (self.theirs or {})["merge_method"]
        if method == "slerp":
            models = [{"model": str(p)} for p in two]
        base = {} if method == "linear" else {"base_model": str(family / "base" if self.based else two[0])}
        made = {"models": models, **base, "dtype": "bfloat16", **(self.theirs or {})}
        return yaml.safe_dump(made, sort_keys=False)


def _peer(method: str, **parameters: Any) -> dict[str, Any]:
    return {"merge_method": method, **({"parameters": parameters} if parameters else {})}


CASES = (
    Case("linear", {"method": "linear"}, _peer("linear"), 1.5, 1.0, based=False),
    Case("task_arithmetic", {"method": "task_arithmetic", "lambda": 0.5}, _peer("task_arithmetic"), 1.5, 1.0),
    Case("slerp", {"method": "slerp", "t": 0.5}, _peer("slerp", t=0.5), 1.5, 1.0, based=False),
    Case(
        "dare_linear", {"method": "dare_linear", "density": 0.1, "lambda": 0.5}, _peer("dare_linear"), 1.5, 1.0,
        each={"density": 0.1}, slow=True,
    ),
    Case(  # mergekit does not trim
        "dare_ties, per tensor", {"method": "dare_ties", "density": 0.1, "trim_density": 1.0, "scope": "tensor"},
        _peer("dare_ties"), 1.5, 1.0, each={"density": 0.1}, slow=True,
    ),
    Case(
        "dare_ties, trimmed per tensor",
        {"method": "dare_ties", "density": 0.1, "trim_density": 0.2, "scope": "tensor"}, None, None,
    ),
    Case("dare_ties, whole model", {"method": "dare_ties", "density": 0.1, "trim_density": 0.2}, None, None),
    Case(
        "ties, per tensor", {"method": "ties", "density": 0.2, "scope": "tensor"}, _peer("ties"), 2.5,
        each={"density": 0.2}, slow=True,
    ),
    Case("ties, whole model", {"method": "ties", "density": 0.2}, None, 2.5),
    Case(
        "breadcrumbs", {"method": "breadcrumbs"}, _peer("breadcrumbs"), 2.5, each={"density": 0.2, "gamma": 0.01},
        slow=True,
    ),
    Case("della", {"method": "della", "density": 0.2, "epsilon": 0.1}, _peer("della"), None,
         each={"density": 0.2, "epsilon": 0.1}, slow=True),
)  # fmt: skip
