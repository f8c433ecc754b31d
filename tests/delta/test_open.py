"""Every way to name a model."""

from __future__ import annotations

import pytest

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta import open as opener
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Lineage, add, scale
from deltakit.delta.file.extract import extract
from deltakit.delta.file.write import write_sum
from deltakit.delta.open import Model, Operand, open_as_delta, open_model, parse_expression
from deltakit.errors import CheckpointError, MismatchError, RecipeError
from support.models import tiny_tuned
from support.tensors import whole


@pytest.fixture(scope="module")
def family(tiny_base, tmp_path_factory):
    """(base, math folder, chat folder, math delta)."""
    folder = tmp_path_factory.mktemp("family")
    math, chat = tiny_tuned(tiny_base, folder / "math", seed=2), tiny_tuned(tiny_base, folder / "chat", seed=4)
    extract(str(tiny_base), str(math), folder / "math.delta")
    return tiny_base, math, chat, folder / "math.delta"


@pytest.mark.parametrize(
    ("text", "first", "operands"),
    [
        ("base", "base", ()),
        ("org/base@main", "org/base@main", ()),
        ("b + 0.6*m + 0.4*c", "b", (Operand(0.6, "m"), Operand(0.4, "c"))),
        ("b - m", "b", (Operand(-1.0, "m"),)),
        ("b + .5 * my-model+lora - 1e-1*x", "b", (Operand(0.5, "my-model+lora"), Operand(-0.1, "x"))),
        ("b - -2*m", "b", (Operand(2.0, "m"),)),
    ],
)
def test_expressions(text, first, operands):
    assert parse_expression(text) == (first, operands)


@pytest.mark.parametrize("text", ["b + ", " + m", "0.5*b + m", "b + x*m", "b + 0.6*", "b+0.5*m", "b +0.5*m"])
def test_bad_expressions_are_usage_errors(text):
    with pytest.raises(RecipeError):
        parse_expression(text)


def test_a_path_that_looks_like_an_expression_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a + b").mkdir()
    assert parse_expression("a + b") == ("a + b", ())


def test_a_checkpoint_alone(family):
    model = open_model(str(family[1]))
    assert whole(model.tensors) == whole(open_checkpoint(family[1]))
    assert model.base is None
    assert model.sidecar.config is not None


def test_a_delta_is_the_difference_of_its_checkpoint(family):
    base, math, chat, delta = family
    by_delta = open_model(f"{base} + 0.6*{delta} + 0.4*{chat}")
    by_folder = open_model(f"{base} + 0.6*{math} + 0.4*{chat}")
    assert whole(by_delta.tensors) == whole(by_folder.tensors)
    assert whole(open_model(f"{base} + {delta}").tensors) == whole(open_checkpoint(math))
    assert by_delta.base is not None
    assert by_delta.delta is not None


def test_subtraction_undoes_addition(family):
    base, math, *_ = family
    opened = open_checkpoint(base)
    delta = difference(opened, open_checkpoint(math))
    model = Applied(opened, add([delta, scale(delta, -1.0)]))
    assert whole(model) == whole(opened)


def test_a_delta_alone_is_no_model(family):
    with pytest.raises(MismatchError, match="alone is no model") as wrong:
        open_model(str(family[3]))
    assert f"BASE + {family[3]}" in wrong.value.remedy


def test_an_expression_begins_with_a_base(family):
    with pytest.raises(RecipeError, match="no checkpoint"):
        open_model(f"{family[3]} + {family[1]}")


def test_a_delta_over_another_base_is_refused(family):
    with pytest.raises(MismatchError, match="another base"):
        open_model(f"{family[2]} + {family[3]}")


def test_a_stored_expression_opens_what_it_names(family, tmp_path):
    base, math, chat, delta = family
    opened = open_checkpoint(base)
    parts = [
        {"coef": 0.6, "of": str(delta), "tuned": fingerprint(open_checkpoint(math))},
        {"coef": 0.4, "of": str(chat)},
    ]
    write_sum(tmp_path / "merged.delta", parts, Lineage(base=fingerprint(opened)))
    stored = open_model(f"{base} + {tmp_path / 'merged.delta'}")
    assert whole(stored.tensors) == whole(open_model(f"{base} + 0.6*{math} + 0.4*{chat}").tensors)


def test_a_stored_expression_whose_source_changed_says_so(family, tmp_path):
    base, _, chat, _ = family
    write_sum(tmp_path / "m.delta", [{"coef": 1.0, "of": str(chat), "tuned": "sha256:other"}], Lineage())
    with pytest.raises(MismatchError, match="has changed"):
        open_as_delta(str(tmp_path / "m.delta"), open_checkpoint(base))
    write_sum(tmp_path / "n.delta", [{"coef": 1.0, "of": "gone.delta"}], Lineage())
    with pytest.raises(Exception, match="gone.delta"):
        open_as_delta(str(tmp_path / "n.delta"), open_checkpoint(base))


def test_recipes_are_opened_by_the_room_above(family, tmp_path, monkeypatch):
    recipe = tmp_path / "merge.yaml"
    recipe.write_text("deltakit: 1\n")
    math = open_checkpoint(family[1])
    monkeypatch.setattr(opener, "_opener", lambda: lambda path: Model(math, math.sidecar, str(path)))
    assert open_model(str(recipe)).source == str(recipe)
    delta = open_as_delta(str(recipe), open_checkpoint(family[0]))
    assert delta.lineage.tuned == fingerprint(math)


def test_the_local_paths_of_a_model_string(family, tmp_path):
    base, math, chat, delta = family
    total = tmp_path / "sum.delta"
    write_sum(total, [{"coef": 0.5, "of": str(chat), "tuned": None}], Lineage())
    assert opener.local_paths(f"{base} + 0.5*{math} - {delta} + org/hub") == (base, math, delta)
    assert opener.local_paths(f"{base} + {total}") == (base, total, chat)
    assert opener.local_paths("org/hub") == ()


def test_an_expression_that_leads_back_to_itself_or_too_deep_is_refused(family, tmp_path):
    base, _, _, delta = family
    opened = open_checkpoint(base)
    for of in ("round.delta", "other.delta"):
        write_sum(tmp_path / "round.delta", [{"coef": 1.0, "of": of}], Lineage(), overwrite=True)
        write_sum(tmp_path / "other.delta", [{"coef": 1.0, "of": "round.delta"}], Lineage(), overwrite=True)
        with pytest.raises(CheckpointError, match="leads back to itself"):
            open_as_delta(str(tmp_path / "round.delta"), opened)
    for depth in range(9):
        of = str(delta) if depth == 0 else f"{depth - 1}.delta"
        write_sum(tmp_path / f"{depth}.delta", [{"coef": 1.0, "of": of}], Lineage())
    assert open_as_delta(str(tmp_path / "7.delta"), opened).specs
    with pytest.raises(CheckpointError, match="deeper than 8"):
        open_as_delta(str(tmp_path / "8.delta"), opened)


def test_sums_that_share_their_operands_hold_the_same_terms(family, tmp_path):
    base, tuned, *_ = family
    path = tmp_path / "x.delta"
    extract(base, tuned, path)
    shared = {}
    one, other, apart = (
        open_model(f"{base} + {c}*{path}", shared=s) for c, s in ((0.5, shared), (0.7, shared), (0.7, None))
    )
    for name, entry in one.delta.entries.items():
        for mine, second, third in zip(
            entry.parts, other.delta.entries[name].parts, apart.delta.entries[name].parts, strict=True
        ):
            assert mine.term is second.term
            assert (mine.coef, second.coef) == (0.5, 0.7)
            assert third.term is not mine.term
    path.touch()
    anew = open_model(f"{base} + 0.5*{path}", shared=shared)
    assert all(
        p.term is not q.term
        for n, e in one.delta.entries.items()
        for p, q in zip(e.parts, anew.delta.entries[n].parts, strict=True)
    )
