"""What a MODEL string takes on disk beyond the base that it shares with others."""

from __future__ import annotations

from pathlib import Path

from deltakit.checkpoint import open_checkpoint
from deltakit.delta.adapter import is_adapter, open_adapter
from deltakit.delta.file.container import is_delta
from deltakit.delta.open import parse_expression, sources_of

__all__ = ["stored_bytes"]


def stored_bytes(text: str) -> int | None:
    """Bytes of the files that hold a model: of a checkpoint its weight files; of "BASE + 0.6*A + 0.4*B" the files of A
    and B, each once, the base not counted; a stored expression counts its own file and its sources'. None for a merge
    recipe, which is computed and not stored."""
    first, operands = parse_expression(text)
    sizes: dict[Path, int] = {}
    for name in [o.name for o in operands] or [first]:
        if not _add(name, sizes):
            return None
    return sum(sizes.values())


def _add(name: str, sizes: dict[Path, int]) -> bool:
    """Enter the files behind one name; False where nothing is stored."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return False
    if is_delta(path):
        sizes[path.resolve()] = path.stat().st_size
        return all(_add(source, sizes) for source in sources_of(path))
    checkpoint = open_adapter(path).weights if path.is_dir() and is_adapter(path) else open_checkpoint(name)
    sizes.update({shard.path.resolve(): shard.path.stat().st_size for shard in checkpoint.shards.values()})
    return True
