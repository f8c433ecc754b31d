"""The import law: rooms import downward only, and the command line's help imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOOR = ("errors", "tensors", "registry", "rng", "manifest", "card", "prompts")
LAYERS: tuple[tuple[str, ...], ...] = (
    FLOOR, ("recipe",), ("checkpoint",), ("delta",), ("runtime",), ("calibrate", "sparsify"), ("merge", "compress"),
    ("tenants",), ("generate",), ("grade", "sandbox", "data"), ("train", "synth", "report"), ("deltakit_eval",),
    ("pipeline", "serve"), ("deltakit_cli",),
)  # fmt: skip
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
PACKAGES = {
    "deltakit": ROOT / "src/deltakit",
    "deltakit_eval": ROOT / "eval/deltakit_eval",
    "deltakit_cli": ROOT / "cli/deltakit_cli",
}
LIGHT = (
    "deltakit.tensors",
    "deltakit.checkpoint.open",
    "deltakit.delta.open",
    "deltakit.delta.file.write",
    "deltakit.generate.modes",
)
FILES = sorted(p for folder in PACKAGES.values() for p in folder.rglob("*.py"))


def room_of(module: str) -> str | None:
    """The room of a dotted module of ours; None for the bare package and for other people's modules."""
    parts = module.split(".")
    if parts[0] in ("deltakit_eval", "deltakit_cli"):
        return parts[0]
    return parts[1] if parts[0] == "deltakit" and len(parts) > 1 else None


def module_of(path: Path) -> str:
    for name, folder in PACKAGES.items():
        if path.is_relative_to(folder):
            inner = path.relative_to(folder).with_suffix("").parts
            return ".".join((name, *(p for p in inner if p != "__init__")))
    raise AssertionError(path)


def imports(path: Path) -> list[str]:
    """Every dotted module that a file imports, at its top or inside functions; names imported from a package too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{a.name}" if node.module == "deltakit" else str(node.module) for a in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downward_only(path):
    own = room_of(module_of(path))
    if own is None:
        return  # deltakit/__init__.py lists public names of every room
    assert own in LEVEL, f"{own} is no room of the house"
    upward = [m for m in imports(path) if (r := room_of(m)) is not None and LEVEL.get(r, 99) > LEVEL[own]]
    assert not upward, f"{own} imports upward: {upward}"


def graph() -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {}
    for path in FILES:
        own = room_of(module_of(path))
        if own and own not in FLOOR:
            used = {r for m in imports(path) if (r := room_of(m)) is not None}
            rooms.setdefault(own, set()).update(used - {own})
    return rooms


def test_rooms_of_one_level_make_no_cycle():
    edges = graph()

    def reach(room, seen):
        for following in edges.get(room, ()):
            if following not in seen:
                reach(following, seen | {following})
            assert following != start, f"a cycle through {start}"

    for start in edges:
        reach(start, {start})


def test_help_is_light():
    code = (
        "import sys; from deltakit_cli.errors import guarded; from deltakit_cli.main import cli; "
        "assert guarded(cli, ['--help']) == 0; "
        "heavy = [m for m in ('torch', 'transformers', 'lm_eval', 'matplotlib', 'peft') if m in sys.modules]; "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "extract" in done.stdout


@pytest.mark.parametrize("module", LIGHT)
def test_listing_and_elementwise_arithmetic_need_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_code_path_trusts_remote_code_or_unpickles():
    """Law 9, by reading: a gate, not a proof."""
    wrong = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code" and ast.unparse(node.value) != "False":
                wrong.append(f"{path}:{node.value.lineno} trust_remote_code")
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads"):
                wrong.append(f"{path}:{node.lineno} {ast.unparse(node.func)}")
    assert not wrong


def test_functions_and_files_stay_small():
    long = []
    for path in FILES:
        text = path.read_text()
        if text.count("\n") + 1 > 300:
            long.append(f"{path.name}: {text.count(chr(10)) + 1} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno + 1 > 60:
                long.append(f"{path.name}:{node.name}: {node.end_lineno - node.lineno + 1} lines")
    assert not long


def test_every_module_has_its_test():
    tests = {p.stem for p in (ROOT / "tests").rglob("test_*.py")}
    bare = [str(p.relative_to(ROOT)) for p in FILES if p.stem != "__init__" and f"test_{p.stem}" not in tests]
    assert not bare
