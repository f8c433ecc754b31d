"""What one program may use."""

from __future__ import annotations

from dataclasses import dataclass

from deltakit.errors import RecipeError

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bytes of `memory` (address space of a process, and of all its processes together where that can be seen), of a
    `file`, of its `folder`, of `output`; open `files`; `processes` and threads, the fork server among them."""

    memory: int = 1 << 30
    file: int = 1 << 20
    folder: int = 16 << 20
    output: int = 1 << 16
    files: int = 64
    processes: int = 8

    def __post_init__(self) -> None:
        for name, floor in (("memory", 1 << 26), ("file", 1), ("folder", 1 << 16), ("output", 1), ("files", 16)):
            if getattr(self, name) < floor:
                raise RecipeError(f"sandbox limit {name} is {getattr(self, name)}", remedy=f"at least {floor}")
        if self.processes < 2:
            raise RecipeError(f"sandbox limit processes is {self.processes}", remedy="at least 2: server and program")
