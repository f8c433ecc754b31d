"""How kernels are compiled: without the interpreter's lock, to IEEE arithmetic, and kept on disk between runs.

No fast-math unless asked for: no contraction to fused multiply-add and no reordering of sums, so the numpy form's bits
come out. The compiled code lies under a digest of the sources beside the function and of those here, in NUMBA_CACHE_DIR
or the user's cache folder: a package folder may be read-only, and no kernel outlives a change to a helper in another
file. Where nothing can be written, a run compiles for itself.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["as_bits", "as_float", "compiled", "load16", "load32", "load64", "store16", "store32", "store64"]

_LOG = logging.getLogger("deltakit")
_HERE = Path(__file__).parent
F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, fast: Iterable[str] = ()) -> F:
    """The compiled function; it compiles at its first call, or is loaded from disk. `fast` names what LLVM may do to
    floats (reassoc, contract, ...) where another order of sums is no harm."""
    before, folder = numba.config.CACHE_DIR, _folder(Path(function.__code__.co_filename).parent)
    numba.config.CACHE_DIR = str(folder or "")
    try:
        made: F = numba.njit(nogil=True, error_model="numpy", fastmath=set(fast), cache=folder is not None)(function)
        return made
    finally:
        numba.config.CACHE_DIR = before


def _folder(beside: Path = _HERE) -> Path | None:
    """Where compiled code of the modules `beside` one another is kept; None where nothing can be."""
    sources = b"".join(p.read_bytes() for p in sorted({*beside.glob("*.py"), *_HERE.glob("*.py")}))
    name = f"deltakit-{hashlib.sha256(sources).hexdigest()[:12]}"
    given = [os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), "~/.cache"]
    for root in (Path(g).expanduser() / name for g in given if g):
        try:
            fresh = not root.exists()
            root.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(root, os.W_OK):
            if fresh:
                _LOG.warning("compiling kernels for this machine, once: some 20 seconds")
            return root
    return None


def _at(builder: Any, kind: Any, address: Any, index: Any) -> Any:
    return builder.gep(builder.inttoptr(address, kind.as_pointer()), [index])


def _load(result: Any, kind: Any) -> Any:
    def load(typing: Any, address: Any, index: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(_at(builder, kind, *args), align=1)

        return result(types.uint64, types.int64), code

    return intrinsic(load)


def _store(value: Any, kind: Any) -> Any:
    def store(typing: Any, address: Any, index: Any, bits: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store(args[2], _at(builder, kind, *args[:2]), align=1)
            return context.get_dummy_value()

        return types.void(types.uint64, types.int64, value), code

    return intrinsic(store)


def _recast(given: Any, result: Any, kind: Any) -> Any:
    def recast(typing: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], kind)

        return result(given), code

    return intrinsic(recast)


# load16(address, index) -> uint16; store16(address, index, bits): element `index` behind an address
load16, load32 = _load(types.uint16, ir.IntType(16)), _load(types.uint32, ir.IntType(32))
load64, store64 = _load(types.uint64, ir.IntType(64)), _store(types.uint64, ir.IntType(64))
store16, store32 = _store(types.uint16, ir.IntType(16)), _store(types.uint32, ir.IntType(32))
# the bits of a float32 as uint32, and back
as_bits = _recast(types.float32, types.uint32, ir.IntType(32))
as_float = _recast(types.uint32, types.float32, ir.FloatType())
