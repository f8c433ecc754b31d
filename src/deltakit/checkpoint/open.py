"""Open a checkpoint lazily: a folder, a safetensors file, a sharded index, or a hub id."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from deltakit.checkpoint.confine import confined
from deltakit.checkpoint.hub import hub_id, snapshot
from deltakit.checkpoint.index import Index, check_shards, disagreements, read_index
from deltakit.checkpoint.quantised import GGUF_REMEDY, refuse_quantised
from deltakit.checkpoint.shard import Shard
from deltakit.checkpoint.sidecar import Sidecar, read_sidecar
from deltakit.errors import CheckpointError, InputError, MismatchError, RecipeError, UnsafeError
from deltakit.tensors import TensorSpec

__all__ = ["Checkpoint", "open_checkpoint"]

_RESIDENT = 64 << 20  # bytes handed out before the mapped pages are let go
_AROUND = 128 << 10  # bytes that the system may map around a small read
_INDEX = ".safetensors.index.json"
_RECIPES = (".yaml", ".yml")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class Checkpoint:
    """A TensorMap over safetensors files: specs from the headers, bytes from memory maps, no copies.

    `source` is what the user named, `path` the folder, `order` the names by (file, offset),
    `sidecar` the files beside the weights, `notes` what is odd but harmless, `inputs` the paths that no
    output may touch (the folder, or the files if those were named). Threads may read at once.
    """

    mapped = True  # a buffer of any size is a view that costs nothing

    def __init__(
        self,
        source: str,
        path: Path,
        shards: Mapping[str, Shard],
        sidecar: Sidecar,
        *,
        inputs: tuple[Path, ...],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.source = source
        self.path = path
        self.shards = shards
        self.inputs = inputs
        self.notes = notes
        places = {n: (f, s.header.tensors[n]) for f, s in sorted(shards.items()) for n in s.header.tensors}
        self._places = {name: places[name] for name in sorted(places)}
        self.specs: Mapping[str, TensorSpec] = {name: place.spec for name, (_, place) in self._places.items()}
        self.order = tuple(sorted(places, key=lambda n: (places[n][0], places[n][1].start, n)))
        self.sidecar = sidecar
        self._handed = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Checkpoint({self.source!r}, {len(self.specs)} tensors)"

    @staticmethod
    def of_files(source: str, files: Mapping[str, Path]) -> Checkpoint:
        """The weights of these files alone, each under its name, with no sidecar."""
        shards = {name: Shard(path) for name, path in files.items()}
        return Checkpoint(source, Path(source), shards, Sidecar(), inputs=tuple(files.values()))

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Raw little-endian bytes of rows lo..hi, a view of the memory map. InputError if the file changed."""
        file, place = self._places[name]
        spec = place.spec
        hi = spec.rows if hi is None else hi
        if not 0 <= lo <= hi <= spec.rows:
            raise MismatchError(f"tensor {name!r}: rows {lo}..{hi} are not within its {spec.rows} rows")
        stride = spec.row_size * spec.itemsize
        self._account((hi - lo) * stride)
        return self.shards[file].view(place.start + lo * stride, place.start + hi * stride)

    def prefetch(self, name: str) -> None:
        """Ask the system to read the beginning of a tensor ahead; a hint only."""
        file, place = self._places[name]
        self.shards[file].prefetch(place.start, min(place.end, place.start + (16 << 20)))

    def check_unchanged(self) -> None:
        """InputError if a weight file changed since it was opened."""
        for file in sorted(self.shards):
            self.shards[file].check_unchanged()

    @property
    def identity(self) -> list[list[int]]:
        """Size, time, inode and device of each file: the same files, not only the same contents."""
        return [list(self.shards[file].identity) for file in sorted(self.shards)]

    @property
    def revision(self) -> str | None:
        """The commit of a hub snapshot, read off its place in the hub's cache; None for other folders."""
        cached = self.path.parent.name == "snapshots" and self.path.parent.parent.name.startswith("models--")
        return self.path.name if cached else None

    def _account(self, nbytes: int) -> None:
        # Mapped pages count as resident memory until they are let go, so a walk over a large model
        # would look as if the model were loaded. Pages in use come back from the page cache.
        with self._lock:
            self._handed += nbytes + _AROUND
            full = self._handed > _RESIDENT
            self._handed = nbytes if full else self._handed
        if full:
            for shard in self.shards.values():
                shard.drop_pages()


def open_checkpoint(where: str | Path, *, strict: bool = False, allow_quantised: bool = False) -> Checkpoint:
    """A folder, file.safetensors, *.safetensors.index.json, or hub id "org/name[@revision]" (network only then).

    Reads headers, the index and the sidecar, no weights. `strict` makes odd things errors that are
    otherwise `notes` (a wrong total_size, weight files that the index does not name).
    Errors: CheckpointError, InputError (3); UnsafeError (4) for pickles and paths that leave the folder.
    """
    text = str(where)
    path = _locate(where, text)
    try:
        checkpoint = _open(text, path)
    except OSError as error:
        problem = f"cannot read {error.filename or path}: {error.strerror or error}"
        raise InputError(problem, remedy="check its permissions and its disk") from error
    if not checkpoint.specs:
        raise CheckpointError(f"{text} holds no tensors", remedy="check the path, or download again")
    if strict and checkpoint.notes:
        raise CheckpointError(f"{text}: not in order", details=checkpoint.notes)
    if not allow_quantised:
        refuse_quantised(text, checkpoint.specs, checkpoint.sidecar.config)
    return checkpoint


def _open(text: str, path: Path) -> Checkpoint:
    if path.is_dir():
        return _open_folder(text, path)
    return _open_index(text, path) if path.name.endswith(_INDEX) else _open_file(text, path)


def _locate(where: str | Path, text: str) -> Path:
    path = Path(where)
    if text and _exists(path):
        return path
    found = hub_id(text) if isinstance(where, str) else None
    if found is None:
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            problem = f"{text!a} can be no path where names are {sys.getfilesystemencoding()}"
            raise RecipeError(problem, remedy="choose a UTF-8 locale, or set PYTHONUTF8=1") from None
        raise InputError(f"{text} does not exist", remedy="name a folder, a .safetensors file, or a hub id org/name")
    return snapshot(*found)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for the file system
        return False


def _open_file(text: str, path: Path) -> Checkpoint:
    if path.name.endswith(".gguf"):
        raise CheckpointError(f"{path} is a GGUF file", remedy=GGUF_REMEDY)
    if path.suffix in _RECIPES:
        shown = f"`deltakit merge {path.name} -o OUT` writes its model, with --dry-run it shows what would be written"
        raise CheckpointError(f"{path} is a recipe, no checkpoint", remedy=shown)
    if path.suffix in {p[1:] for p in _PICKLES}:
        raise _pickle_refusal(path.parent, [path.name])
    return Checkpoint(text, path.parent, {path.name: Shard(path)}, read_sidecar(path.parent), inputs=(path,))


def _open_index(text: str, path: Path, folder: Path | None = None) -> Checkpoint:
    index = read_index(path)
    check_shards(path, index)
    shards = {name: Shard(confined(path.parent, name)) for name in index.files}
    problems = disagreements(index, {name: shard.header for name, shard in shards.items()})
    if problems:
        remedy = "run the download again, or rewrite the index"
        raise CheckpointError(f"{path}: the index and the shards disagree", details=problems, remedy=remedy)
    inputs = (folder,) if folder else (path, *(shard.path for shard in shards.values()))
    notes = tuple(_notes(path, index, shards))
    return Checkpoint(text, path.parent, shards, read_sidecar(path.parent), inputs=inputs, notes=notes)


def _notes(path: Path, index: Index, shards: Mapping[str, Shard]) -> Iterator[str]:
    """What is odd about a sharded checkpoint, but hurts nobody who reads it."""
    total = sum(place.spec.nbytes for shard in shards.values() for place in shard.header.tensors.values())
    if index.total_size not in (None, total):
        yield f"{path.name}: total_size says {index.total_size}, the shards hold {total} bytes"
    for name in sorted({p.name for p in path.parent.glob("*.safetensors")} - {*index.files}):
        yield f"{name} is not named by {path.name}, and not read"


def _open_folder(text: str, folder: Path) -> Checkpoint:
    indexes = sorted(p.name for p in folder.glob(f"*{_INDEX}"))
    files = sorted(p.name for p in folder.glob("*.safetensors"))
    adapters = [f for f in files if f.startswith("adapter_model")]
    files = [f for f in files if f not in adapters]
    if len(indexes) == 1:
        path = confined(folder, indexes[0])
        if "model.safetensors" in {*files} - {*read_index(path).files}:
            problem = f"{text} holds model.safetensors and an index of other files ({indexes[0]}): two models"
            raise CheckpointError(problem, remedy="name the file that you mean, or remove the other")
        return _open_index(text, path, folder)
    if len(files) == 1 and not indexes:
        shard = Shard(confined(folder, files[0]))
        return Checkpoint(text, folder, {files[0]: shard}, read_sidecar(folder), inputs=(folder,))
    raise _no_weights(text, folder, files + indexes, adapters)


def _no_weights(text: str, folder: Path, files: list[str], adapters: list[str]) -> Exception:
    """Why a folder is no checkpoint."""
    if files:
        remedy = "name the file that you mean, or fetch the missing *.safetensors.index.json"
        return CheckpointError(f"{text}: several weight files and no single index", details=files, remedy=remedy)
    if adapters:
        return InputError(f"{text} is an adapter, not a model", remedy="use it as a delta: BASE + ADAPTER")
    pickles = sorted({p.name for pattern in _PICKLES for p in folder.glob(pattern)})
    if pickles:
        return _pickle_refusal(folder, pickles)
    if any(folder.glob("*.gguf")):
        return CheckpointError(f"{text} holds only GGUF files", remedy=GGUF_REMEDY)
    return CheckpointError(f"{text}: no .safetensors file in this folder", remedy="check the path, or download again")


def _pickle_refusal(folder: Path, names: list[str]) -> UnsafeError:
    remedy = (
        "convert it where you trust it: transformers' AutoModelForCausalLM.from_pretrained(FOLDER)"
        ".save_pretrained(NEW), which writes safetensors"
    )
    return UnsafeError(f"{folder} holds pickled weights, which are never loaded", details=names, remedy=remedy)
