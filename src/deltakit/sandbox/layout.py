"""What a sandboxed program finds: Python with its library, a few packages, shared libraries, nothing else."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ENVIRONMENT", "FOLDER", "PACKAGES", "Layout", "layout", "versions"]

PACKAGES = ("sympy", "mpmath", "numpy")  # what programs may import beside the standard library, where installed
FOLDER = "/tmp"  # the one writable place: empty at the start of every program
_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")
_HERE = Path(__file__).parent
# Not -I: it would ignore the fixed hash seed, and the order of sets (so of SymPy's solutions) would change by worker.
ENVIRONMENT = {
    "PATH": "/usr/bin", "HOME": FOLDER, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """`binds` (from, to) read-only; `links` (target, path); `covered`: folders hidden under an empty one; `python`,
    `server` and `site` as seen from inside."""

    binds: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    covered: tuple[str, ...]
    python: str
    server: str
    site: str


@cache
def layout(inside: bool = True) -> Layout:
    """For a root of its own, or (`inside` False) the same things where they lie."""
    found = {name: spec.submodule_search_locations for name in PACKAGES if (spec := find_spec(name)) is not None}
    packages = {name: Path(next(iter(places))) for name, places in found.items() if places}
    interpreter = os.path.realpath(sys.executable)
    if not inside:
        site = str(next(iter(packages.values())).parent) if packages else "/nonexistent"
        return Layout((), (), (), interpreter, str(_HERE / "server.py"), site)
    library = Path(sysconfig.get_path("stdlib"))
    home = f"/python/{sys.platlibdir}"
    # Programs see no other user's names in paths: Python lies at /python whatever its folder is called outside.
    binds = [(interpreter, "/python/bin/python"), (str(library.parent), home)]
    binds += [(str(place), f"/site/{name}") for name, place in packages.items()]
    binds += [(str(libs), f"/site/{libs.name}") for p in packages.values() if (libs := _beside(p)).is_dir()]
    binds += [(str(_HERE / name), f"/runner/{name}") for name in ("server.py", "seccomp.py")]
    binds += [(name, name) for name in _SYSTEM if os.path.exists(name) and not os.path.islink(name)]
    links = tuple((os.readlink(name), name) for name in _SYSTEM if os.path.islink(name))
    installed = [f"{library.name}/site-packages", f"{library.name}/dist-packages", "python3/dist-packages"]
    covered = tuple(f"{home}/{name}" for name in installed if (library.parent / name).is_dir())
    return Layout(tuple(binds), links, covered, "/python/bin/python", "/runner/server.py", "/site")


def _beside(package: Path) -> Path:
    """The folder of shared libraries that a wheel carries beside its package."""
    return package.with_name(f"{package.name}.libs")


@cache
def versions() -> dict[str, str]:
    """Python and the packages that programs see, by version: their printed results may depend on them."""
    found = {"python": sysconfig.get_python_version() + f".{sys.version_info.micro}"}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
