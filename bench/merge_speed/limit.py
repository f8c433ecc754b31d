"""The least that a merge can cost here: map and read all inputs, write one model from memory, fsync. One JSON line.

python bench/merge_speed/limit.py OUT_FILE BYTES INPUT_FOLDER...
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import time
from pathlib import Path

import numpy as np

PIECE = 8 << 20


def main(out: Path, count: int, folders: list[Path]) -> dict[str, float]:
    """Seconds of each part, and bytes read."""
    piece = mmap.mmap(-1, PIECE)
    piece.write(os.urandom(PIECE))
    files = [f for folder in folders for f in sorted(folder.glob("*.safetensors"))]
    start = time.perf_counter()
    for file in files:
        whole = np.memmap(file, np.uint8, "r")
        whole[: whole.size // 8 * 8].view(np.uint64).sum()
    read = time.perf_counter()
    with out.open("wb", buffering=0) as file:
        left = count
        while left > 0:
            left -= file.write(memoryview(piece)[: min(left, PIECE)])
        written = time.perf_counter()
        os.fsync(file.fileno())
    synced = time.perf_counter()
    return {
        "read": read - start, "write": written - read, "fsync": synced - written, "wall": synced - start,
        "read_bytes": float(sum(f.stat().st_size for f in files)),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), [Path(p) for p in sys.argv[3:]])))
