"""What a merge says of its models: licences and nearness, in the manifest and on the card."""

from __future__ import annotations

from pathlib import Path

from deltakit.merge.plan.about import licences_in
from deltakit.merge.write import merge
from support.merging import draw, recipe, store, tune

SHAPES = {"up.weight": (40, 32), "norm.weight": (32,)}


def test_licences_and_kinship_are_said(tmp_path: Path) -> None:
    base = draw(0, shapes=SHAPES)
    folders = [store(tmp_path / "base", base), store(tmp_path / "math", tune(base, 1, size=0.01))]
    (tmp_path / "base" / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (tmp_path / "math" / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    done = merge(recipe("task_arithmetic", folders[0], folders[1:], scale=0.5), tmp_path / "out")
    assert any("no commercial use" in w for w in done.warnings)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "license: other" in card
    assert "| math |  | cc\\-by\\-nc\\-4.0 |" in card
    assert "norm of the delta / norm of the base" in card
    assert "licences differ" in card.replace("\\", "")
    assert str(tmp_path) not in card


def test_one_licence_is_the_results(tmp_path: Path) -> None:
    base = draw(0, shapes=SHAPES)
    for name, model in (("base", base), ("math", tune(base, 1, size=0.01))):
        store(tmp_path / name, model)
        (tmp_path / name / "README.md").write_text("---\nlicense: mit\n---\n")
    done = merge(recipe("ties", str(tmp_path / "base"), [str(tmp_path / "math")]), tmp_path / "out")
    assert done.warnings == ()
    assert "license: mit" in (tmp_path / "out" / "README.md").read_text()


def test_texts_have_no_licence_to_look_at() -> None:
    assert licences_in([{"name": "a", "licence": "mit"}, {"name": "t", "role": "text"}]) == {"a": "mit"}
