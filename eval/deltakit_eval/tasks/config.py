"""A task of the table as lm-eval's configuration: documents, generation, filters, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deltakit.grade.tasks import Task
from deltakit_eval.tasks import scoring, tested
from deltakit_eval.tasks.documents import load
from deltakit_eval.tasks.names import Variant

__all__ = ["Scheme", "about", "config", "headline_of", "scheme_of"]


@dataclass(frozen=True)
class Scheme:
    """How responses become numbers: `filters` by name, each with one line about its rule, the strict one first;
    `process` gives the metrics of a document; `metrics` with their aggregations, the one that counts first."""

    process: Callable[..., dict[str, Any]]
    filters: Mapping[str, tuple[Callable[..., Any], str]]
    metrics: Mapping[str, str | Callable[..., Any]]


_MARKED = "strict: the last answer that is marked as one"
_NUMBERS = Scheme(
    scoring.exact,
    {
        "marked": (scoring.marked, f'{_MARKED} ("The answer is", "####", \\boxed, "the value of x is")'),
        "last_number": (scoring.last_number, "flexible: the last number at all"),
    },
    {"exact_match": "mean", "answered": "mean"},
)
_EXPRESSIONS = Scheme(
    scoring.equivalence,
    {
        "marked": (scoring.marked, f'{_MARKED} (\\boxed, "The answer is", "####")'),
        "last_math": (scoring.last_math, "flexible: that, else the last formula, else the last number"),
    },
    {"math_verify": "mean", "exact_match": "mean", "answered": "mean"},
)
_TEXTS = Scheme(
    scoring.exact, {"marked": (scoring.marked, "the whole response")}, {"exact_match": "mean", "answered": "mean"}
)
_ABSTAINING = Scheme(
    scoring.abstention,
    {
        "marked": (scoring.marked_abstention, "strict: the marked answer is none, or no answer is marked but that"),
        "anywhere": (scoring.abstention_anywhere, "flexible: it is said anywhere"),
    },
    {"exact_match": "mean", "answered": "mean"},
)
_RULES = Scheme(
    scoring.instructions,
    {"response": (scoring.verdicts, "the whole response, each instruction checked by its rule")},
    {
        "prompt_strict": "mean",
        "prompt_loose": "mean",
        "instruction_strict": scoring.mean_of_all,
        "instruction_loose": scoring.mean_of_all,
    },
)
_ANSWERS = {"number": _NUMBERS, "math": _EXPRESSIONS, "text": _TEXTS}
_PROGRAMS = Scheme(
    tested.passed,
    {
        "tested": (tested.tested, "strict: the code block, else the whole response, as it continues the prompt"),
        "trimmed": (tested.trimmed, "flexible: that, without the lines at its end that break it"),
    },
    {"pass@1": "mean"},
)
_SCHEMES = {"abstain": _ABSTAINING, "programs": _PROGRAMS, "rules": _RULES}


def scheme_of(task: Task) -> Scheme:
    """How a task is scored."""
    if task.toy:  # short answers in a form that was taught: a number elsewhere is chance
        return Scheme(_ANSWERS[task.form].process, {"marked": _ANSWERS[task.form].filters["marked"]}, _TEXTS.metrics)
    return _SCHEMES[task.scoring] if task.scoring in _SCHEMES else _ANSWERS[task.form]


def headline_of(task: Task) -> str:
    """The key in lm-eval's results that is the score of a task, "metric,filter"."""
    scheme = scheme_of(task)
    return f"{next(iter(scheme.metrics))},{next(iter(scheme.filters))}"


def about(variant: Variant) -> dict[str, Any]:
    """What a number of this variant rests on: prompt style, mode, filters and what they take, headline."""
    filters = {name: rule for name, (_, rule) in scheme_of(variant.task).filters.items()}
    return {
        "style": variant.style.name,
        "mode": variant.style.mode,
        "chat": variant.style.chat,
        "form": variant.task.form,
        "filters": filters,
        "headline": headline_of(variant.task),
    }


def config(variant: Variant, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """lm-eval's configuration of one variant; `metadata` goes to its documents (see `documents.load`)."""
    task, style, scheme = variant.task, variant.style, scheme_of(variant.task)
    mode = {} if style.mode == "direct" else {"mode": style.mode}
    return {
        "task": variant.full,
        "custom_dataset": load,
        "output_type": "generate_until",
        "test_split": "test",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "doc_to_target": "gold",
        "target_delimiter": "",
        "process_results": scheme.process,
        "generation_kwargs": {
            "until": list(style.stop),
            "do_sample": False,
            "temperature": 0.0,
            "max_gen_toks": task.max_tokens,
            **mode,
        },
        "filter_list": [
            {"name": name, "filter": [{"function": "custom", "filter_fn": apply}, {"function": "take_first"}]}
            for name, (apply, _) in scheme.filters.items()
        ],
        "metric_list": [
            {"metric": name, "aggregation": how, "higher_is_better": True} for name, how in scheme.metrics.items()
        ],
        "metadata": {"version": task.version, "source": task.name, "style": style.name, **(metadata or {})},
    }
