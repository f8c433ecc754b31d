"""What a page is made of."""

import pytest

from deltakit.errors import InputError
from deltakit.report.page import build_page
from deltakit.report.sources import Sources, read_sources
from support.paired import about, model, paired_result, task
from support.results import comparison, result, write_json, write_losses


def test_every_source_has_its_section(tmp_path):
    paths = [write_json(tmp_path / "r.json", result()), write_json(tmp_path / "d.json", comparison())]
    page = build_page(read_sources([*paths, write_losses(tmp_path / "math")]), title="t", lines=["base"])
    assert [s.title for s in page.sections] == [
        "Accuracy by model and task",
        "Accuracy against bytes: toy_math",
        "Accuracy against bytes: toy_chat",
        "Relative norm of the delta, layer by module",
        "Training loss",
        "How it was measured",
    ]
    stems = [s.picture.stem for s in page.sections if s.picture]
    assert len(stems) == len(set(stems)) == 5


def test_a_page_may_show_one_thing(tmp_path):
    assert len(build_page(read_sources([write_losses(tmp_path / "m")])).sections) == 1


def test_nothing_is_an_error():
    with pytest.raises(InputError, match="nothing to report"):
        build_page(Sources())


def test_models_with_samples_are_compared_with_the_first_line(tmp_path):
    models = {"base": "1" * 10 + "0" * 30, "keep 0.5": "1" * 40, "keep 0.2": "1" * 30 + "0" * 10, "keep 0.1": "0" * 40}
    sources = read_sources([write_json(tmp_path / "r.json", paired_result(models))])
    titles = [s.title for s in build_page(sources).sections]
    assert titles[-3:-1] == ["Accuracy over density", "Differences from base: toy_math"]
    page = build_page(sources, lines=["keep 0.5"])
    (section,) = [s for s in page.sections if s.title == "Differences from keep 0.5: toy_math"]
    assert [row[-1] for row in section.rows] == ["-", "worse", "worse", "worse"]


def test_what_cannot_be_compared_says_why(tmp_path):
    tasks = {"toy_chat": task("10")}
    other = paired_result([model("b", "", tasks=tasks)], tasks={"toy_chat": about(task="deltakit_toy_chat")})
    paths = [write_json(tmp_path / "a.json", paired_result({"a": "10"})), write_json(tmp_path / "b.json", other)]
    found = {s.title: s.text for s in build_page(read_sources(paths)).sections}
    assert "no task in common" in found["Differences, item by item"]
