"""The report says where every row comes from, without a path or a time in it."""

from __future__ import annotations

import json
from pathlib import Path

from deltakit.merge.tokens import REPORT_NAME, TokenizerChoice, align
from deltakit.merge.tokens.report import summary
from support.vocabularies import CODE, added, bpe, by_label, model


def test_counts_and_rows_from_elsewhere(tmp_path: Path) -> None:
    models = by_label(
        model(tmp_path / "base", bpe(), seed=1),
        model(tmp_path / "math", added(bpe(), ["[PAD]", "<|im|>"]), seed=2),
        model(tmp_path / "chat", added(bpe(), ["[PAD]"]), seed=3),
    )
    tokens = {
        "a": {"source": {"kind": "model_token", "model": "chat", "token": "b"}, "force": True},
        "<new>": {"source": {"kind": "zero"}},
    }
    choice = TokenizerChoice.model_validate({"source": "union", "tokens": tokens, "pad_to_multiple_of": 4})
    made = align(models, choice, base="base", donor="base")
    report = json.loads(made.files[REPORT_NAME])
    assert report == made.report
    everywhere = ["base", "math", "chat"]
    a = report["elsewhere"][0]["id"]
    assert report["elsewhere"] == [
        {"id": a, "token": "a", "from": "chat, its 'b'", "in": everywhere},
        {"id": 290, "token": "[PAD]", "from": "mean of math, chat", "in": ["base"]},
        {"id": 291, "token": "<|im|>", "from": "math", "in": ["base", "chat"]},
        {"id": 292, "token": "<new>", "from": "zero", "in": everywhere},
    ]
    assert report["models"] == [
        {
            "model": "base", "own": 289, "from_others": {"math": 1, "chat": 1}, "mean_of_models": 1, "zero": 1,
            "mean_of_own_rows": 3,
        },
        {"model": "math", "own": 291, "from_others": {"chat": 1}, "zero": 1, "mean_of_own_rows": 3},
        {"model": "chat", "own": 290, "from_others": {"math": 1, "chat": 1}, "zero": 1, "mean_of_own_rows": 3},
    ]  # fmt: skip
    assert (report["tokens"], report["rows"], report["rows_without_a_token"]) == (293, 296, 3)
    assert all(sum(v if isinstance(v, int) else sum(v.values()) for k, v in m.items() if k != "model") == 296
               for m in report["models"])  # fmt: skip


def test_people_read_a_few_lines(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "base", bpe()), model(tmp_path / "code", bpe(CODE, 300), seed=2))
    made = align(models, TokenizerChoice.model_validate({}), base="base", donor="base")
    lines = summary(made.report)
    assert (
        lines[0] == f"vocabulary: union, ids of base: {made.rows} tokens, {made.rows} rows, 0 of them without a token"
    )
    assert f"vocabulary: base: 290 rows of its own, {made.rows - 290} from code" in lines
    assert lines[-1].endswith(f" and {made.rows - 298} more")
    assert set(lines) <= set(made.notes)


def test_no_local_path_is_written(tmp_path: Path) -> None:
    same = [model(tmp_path / part / "m", bpe(), seed=i) for i, part in enumerate("ab")]
    models = {s.text: s for s in same}
    first, second = models
    made = align(models, TokenizerChoice.model_validate({"source": second}), base=first, donor=first)
    assert str(tmp_path) not in made.files[REPORT_NAME].decode()
    assert [m["model"] for m in made.report["models"]] == ["m (1)", "m (2)"]
    assert made.report["source"] == "m (2)"
