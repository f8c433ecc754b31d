from __future__ import annotations

from pathlib import Path

from deltakit.sandbox.layout import ENVIRONMENT, layout, versions


def test_sources_exist_and_targets_show_no_name_of_this_machine():
    place = layout()
    for source, _ in place.binds:
        assert Path(source).exists(), source
    targets = [target for _, target in place.binds] + list(place.covered)
    assert all(
        t.startswith(("/python/", "/site/", "/runner/", "/usr/lib", "/lib", "/etc/ld.so.cache")) for t in targets
    )
    assert "/site/sympy" in targets


def test_of_our_own_code_only_the_runner_is_there():
    ours = [Path(source).name for source, target in layout().binds if "deltakit" in source]
    assert sorted(ours) == ["seccomp.py", "server.py"]


def test_without_a_root_of_its_own_things_lie_where_they_lie():
    place = layout(inside=False)
    assert Path(place.python).exists()
    assert Path(place.server).exists()
    assert (Path(place.site) / "sympy").is_dir()


def test_versions_name_python_and_packages():
    assert {"python", "sympy", "mpmath", "numpy"} <= versions().keys()


def test_the_environment_is_fixed():
    assert ENVIRONMENT["PYTHONHASHSEED"] == "0"
    assert not [name for name in ENVIRONMENT if "TOKEN" in name]
