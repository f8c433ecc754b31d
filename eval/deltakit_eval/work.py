"""What is measured on every model: tasks with their documents, records for held-out loss, and the settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deltakit.data.records import Record, read_records
from deltakit.errors import RecipeError
from deltakit.manifest import digest
from deltakit.prompts import check_style, prompt_style
from deltakit.sandbox import check_allowed
from deltakit_eval.backends import check_backend, check_place
from deltakit_eval.modes import set_mode
from deltakit_eval.results import plain, short_name
from deltakit_eval.sampled import Sampling
from deltakit_eval.tasks import load_tasks, takes_style

__all__ = ["LOSS", "Settings", "Work", "prepare"]

LOSS = "held-out loss"
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_ENTRY = re.compile(r"entry=\\*['\"]([\w.]+):")


@dataclass(frozen=True)
class Settings:
    """Everything besides models, tasks and data that numbers may depend on; recorded with them.

    `limit`: documents per task, the first so many; `subset`: so many of each of our tasks, drawn by `seed` from all;
    `style`: a prompt style instead of the tasks' own (held-out loss: alpaca);
    `chat_template`: the tokenizer's template around the prompt; `max_new_tokens`: instead of the tasks' own;
    `batch_tokens` of all rows at once (None: 32,768, on a GPU what fits);
    `split` and `seed` shape generated tasks, `seed` drawn answers too. `place`: models one after the other ("swap"),
    those of one base in one batch ("mixed"), or "auto". `backend`: who decodes (see `deltakit_eval.backends`);
    `execution`: "unsafe" also runs programs of a model where nothing isolates them. `samples` answers an item, drawn at
    `temperature` (None: as each task says) within `top_p` and `top_k`: see `deltakit_eval.sampled`. `mode`: the
    way to an answer (of `deltakit.generate.modes`) instead of the tasks' own.
    """

    limit: int | None = None
    subset: int | None = None
    style: str | None = None
    chat_template: bool = False
    max_new_tokens: int | None = None
    batch_tokens: int | None = None
    max_rows: int = 256
    seed: int = 0
    split: str = "test"
    dtype: str = "auto"
    device: str = "auto"
    place: str = "auto"
    backend: str = "deltakit"
    execution: str = "isolated"
    samples: int = 1
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    mode: str | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "subset", "max_new_tokens", "batch_tokens", "max_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RecipeError(f"{name} is {value}", remedy="at least 1")
        if self.style is not None:
            check_style(self.style)
        check_place(self.place)
        check_backend(self.backend)
        check_allowed(self.execution)
        if self.place == "mixed" and self.backend != "deltakit":
            raise RecipeError(
                f"place is 'mixed', but the backend {self.backend!r} serves one model at a time",
                remedy="leave one of the two out",
            )
        _ = self.sampling

    @property
    def sampling(self) -> Sampling:
        """How answers are drawn; RecipeError where that makes no sense."""
        return Sampling(self.samples, self.temperature, self.top_p, self.top_k)


@dataclass(frozen=True)
class Work:
    """`tasks`: lm-eval Task objects by full name; `records`: for held-out loss, empty if it was not asked for."""

    tasks: Mapping[str, Any]
    records: tuple[Record, ...]
    settings: Settings

    @property
    def names(self) -> list[str]:
        """The tasks, then held-out loss."""
        return [*self.tasks, *([LOSS] if self.records else [])]

    @property
    def items(self) -> int:
        """Documents and records per model."""
        return sum(self.size(name) for name in self.names)

    def size(self, name: str) -> int:
        """Answers of a task, several an item where it repeats its requests; records for held-out loss."""
        if name == LOSS:
            return len(self.records)
        task = self.tasks[name]
        return len(self.documents(name)) * int((task.OUTPUT_TYPE == "generate_until" and task.config.repeats) or 1)

    def identities(self) -> dict[str, str]:
        """By name a digest of all that a model's numbers on it depend on: documents, configuration, settings."""
        found = self.identity()
        keys = {name: short_name(name) if name != LOSS else LOSS for name in self.names}
        return {name: digest([key, found["tasks"][key], found["settings"]]) for name, key in keys.items()}

    def documents(self, name: str) -> list[dict[str, Any]]:
        """The documents of one task that are asked."""
        return [dict(doc) for doc in self.tasks[name].eval_docs][: self.settings.limit]

    def identity(self) -> dict[str, Any]:
        """Per task its version, configuration, number and digest of documents, and where it has them the
        digests of those that examples are drawn from (`examples`) and of a user's own scorers (`programs`)."""
        found: dict[str, Any] = {}
        for name, task in self.tasks.items():
            documents = plain(self.documents(name))
            about = {"n": len(documents), "documents": digest(documents), "version": plain(task.VERSION)}
            config = _config(task)
            found[short_name(name)] = {**about, **_examples(task), **_programs(config), "config": config}
        if self.records:
            records = [[r.instruction, r.input, r.response] for r in self.records]
            found[LOSS] = {"n": len(records), "documents": digest(records), "style": self.settings.style or "alpaca"}
        return {"tasks": found, "settings": asdict(self.settings)}


def _config(task: Any) -> dict[str, Any]:
    """A task's configuration without places: neither paths of data nor addresses of functions."""
    kept = {k: v for k, v in task.dump_config().items() if k not in ("metadata", "dataset_kwargs")}
    found: dict[str, Any] = json.loads(_ADDRESS.sub("", json.dumps(plain(kept))))
    return found


def _examples(task: Any) -> dict[str, str]:
    """Of a task that shows examples drawn from other documents. Ours have theirs in the prompt."""
    return {"examples": digest(plain(list(task.fewshot_docs())))} if task.get_config("num_fewshot") else {}


def _programs(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The modules of a user's own that the mode names, each with the digest of its file."""
    mode = str((config.get("generation_kwargs") or {}).get("mode", ""))
    specs = {module: find_spec(module) for module in _ENTRY.findall(mode)}
    files = {module: spec.origin for module, spec in specs.items() if spec is not None}
    found = {module: digest(Path(file).read_bytes()) for module, file in files.items() if file and Path(file).is_file()}
    return {"programs": found} if found else {}


def prepare(tasks: Sequence[str], settings: Settings, data: Any = None, loss: Path | None = None) -> Work:
    """Load and check tasks and records. RecipeError for names and for nothing to do, InputError for data."""
    if not tasks and loss is None:
        raise RecipeError("nothing to measure", remedy="give --tasks or --loss")
    if loss is not None and settings.style is not None:
        prompt_style(settings.style)  # records are trained on in a style that shows no examples
    elif settings.style is not None and not any(map(takes_style, tasks)):
        raise RecipeError(
            f"style {settings.style!r}: no task here takes it",
            remedy="leave it out: it is for tasks of ours that are named without a style",
        )
    given = {"data": data, "limit": settings.limit, "seed": settings.seed, "split": settings.split}
    given["subset"] = settings.subset
    loaded = load_tasks(tasks, style=settings.style, **given) if tasks else {}
    for task in loaded.values():
        if task.get_config("num_fewshot") is None:
            task.set_config("num_fewshot", 0)
        task.set_fewshot_seed(seed=settings.seed)
    set_mode(loaded, settings.mode)
    settings.sampling.apply(loaded)
    records = read_records(loss, limit=settings.limit).records if loss else ()
    return Work(loaded, records, settings)
