"""What the wheel holds, and that nothing but ours lands at the top of site-packages."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


def test_the_top_level_names_are_exactly_three(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {n.split("/")[0] for n in names if ".dist-info" not in n}
    assert top == {"deltakit", "deltakit_cli", "deltakit_eval"}


def test_recipes_and_types_are_inside_and_it_is_small(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "deltakit/py.typed" in names
    assert any(n.startswith("deltakit/recipes/") and n.endswith(".yaml") for n in names)
    assert wheel.stat().st_size < 5_000_000


def test_every_file_of_the_packages_is_inside(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("src/deltakit", "cli/deltakit_cli", "eval/deltakit_eval"):
        for path in (ROOT / folder).rglob("*.py"):
            assert str(path.relative_to((ROOT / folder).parent)) in names


def test_the_distribution_has_its_own_name_and_lower_bounds_only():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "deltakit-llm"
    assert project["scripts"] == {"deltakit": "deltakit_cli.main:main"}
    needs = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    assert not [d for d in needs if "<" in d or "==" in d or "~=" in d]


def test_constraints_pin_torch():
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()
