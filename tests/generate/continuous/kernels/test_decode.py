"""The Triton kernel of decoding in the interpreter, compiled for GPUs that are not here, and on one that is."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="no triton: the kernel is not tested")


def test_in_the_interpreter() -> None:
    """The tests of interpreted.py. bfloat16 is not among them: the interpreter multiplies its bit patterns."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", str(Path(__file__).with_name("interpreted.py"))]
    env = {**os.environ, "TRITON_INTERPRET": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("arch", "dtype"), [(80, "bf16"), (90, "fp16")])
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
def test_it_compiles_to_machine_code_within_the_shared_memory_of_a_gpu(
    arch: int, dtype: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """No GPU is needed for that: Triton brings the assembler. It says nothing about what runs."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from deltakit.generate.continuous.kernels import decode

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kinds = {name: f"*{dtype}" for name in ("out", "query", "keys", "values")}
    kinds |= {
        "partial": "*fp32",
        "sums": "*fp32",
        "sinks": f"*{dtype}",
        "table": "*i32",
        "lengths": "*i32",
        "scale": "fp32",
        "cap": "fp32",
    }
    fixed: dict[str, Any] = {"HEADS": 32, "SIZE": 128, "D": 128, "SPLITS": 4, "SINKS": True}
    more = {"GROUP": 4, "M": 16, "BLOCK": 64, "WINDOW": 4096, "CAPPED": True, "PAGED": False}
    for kernel, constants in ((decode._attend_part, {**fixed, **more}), (decode._combine, {**fixed, "S": 4})):
        types = {n: "constexpr" if n in constants else kinds.get(n, "i32") for n in kernel.arg_names}
        even = [i for i, (n, kind) in enumerate(types.items()) if kind != "constexpr" and n not in ("scale", "cap")]
        marks = {(i,): [["tt.divisibility", 16]] for i in even}  # as a launch finds of aligned tensors
        source = ASTSource(fn=kernel, signature=types, constexprs=constants, attrs=marks)
        built = triton.compile(source, target=GPUTarget("cuda", arch, 32))
        assert len(built.asm["cubin"]) > 1000
        assert built.metadata.shared < 99 << 10
        if kernel is decode._attend_part:
            assert "mma.sync" in built.asm["ptx"], "the products of 16 rows run on the tensor cores"
            assert "cp.async.cg.shared.global" in built.asm["ptx"], "keys and values are fetched ahead, 16 bytes each"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 1e-5), (torch.float16, 1e-3), (torch.bfloat16, 5e-3)], ids=str
)
def test_on_a_gpu(dtype: torch.dtype, bound: float) -> None:
    from generate.kernels.interpreted import ints, plain, pools, relative

    from deltakit.generate.continuous.kernels.decode import decode_attention

    query, keys, values = pools(6, 32, 4, 128, (9, 1024), dtype)
    slots, lengths = ints(8, 0, 3, 5, 4, 7), ints(1, 64, 513, 0, 1024, 700)
    right = plain(query, keys, values, slots, lengths, 1 / math.sqrt(128))
    on = [t.cuda() for t in (query, keys, values, slots, lengths)]
    found = decode_attention(*on, scale=1 / math.sqrt(128))
    assert relative(found.cpu(), right) < bound
