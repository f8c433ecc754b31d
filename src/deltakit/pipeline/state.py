"""What a pipeline has finished: one record a step, in the output folder, rewritten whole after every step."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deltakit.errors import InputError
from deltakit.manifest import digest, pretty_json, versions
from deltakit.pipeline.places import inputs_of
from deltakit.pipeline.plan import Step

__all__ = ["STATE_NAME", "Digests", "Record", "State", "stamp"]

STATE_NAME = "pipeline-state.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Record:
    """A step that was begun (`outputs` None) or finished: its stamp, the digests of what it wrote, seconds it took."""

    stamp: str
    outputs: Mapping[str, str] | None = None
    seconds: float = 0.0


class Digests:
    """SHA-256 of files and folders by content; a file that did not change since is not read again."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int, int, int], str] = {}

    def of(self, path: Path) -> str:
        """Of a file's bytes; of a folder's sorted names and their digests; "absent" where nothing is."""
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            return digest([[str(p.relative_to(path)), self._file(p)] for p in inside])
        return self._file(path) if path.is_file() else "absent"

    def _file(self, path: Path) -> str:
        about = path.stat()
        key = (str(path.resolve()), about.st_ino, about.st_size, about.st_mtime_ns)
        if key not in self._seen:
            with path.open("rb") as file:
                self._seen[key] = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        return self._seen[key]


def stamp(step: Step, digests: Digests) -> str:
    """Digest of the command, of its inputs' contents, and of the versions that ran it."""
    read = [[str(p), digests.of(p)] for p in [*inputs_of(step.argv), *step.inputs]]
    return digest([list(step.argv), str(step.save), step.expect, read, versions()])


class State:
    """The records of one output folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / STATE_NAME
        self._records = _read(self.path)

    def get(self, name: str) -> Record | None:
        """The record of a step."""
        return self._records.get(name)

    def put(self, name: str, record: Record | None) -> None:
        """Keep a record, or forget it; the file is replaced in one rename."""
        self._records.pop(name, None)
        if record is not None:
            self._records[name] = record
        self.path.parent.mkdir(parents=True, exist_ok=True)
        steps = {n: asdict(r) for n, r in self._records.items()}
        fresh = self.path.with_name(f".{STATE_NAME}.new")
        fresh.write_bytes(pretty_json({"schema_version": SCHEMA_VERSION, "steps": steps}))
        os.replace(fresh, self.path)

    def finished(self, name: str, wanted: str, digests: Digests) -> bool:
        """Whether the step was finished with this stamp and all it wrote is still there, unchanged."""
        found = self._records.get(name)
        if found is None or found.outputs is None or found.stamp != wanted:
            return False
        return all(digests.of(Path(path)) == known for path, known in found.outputs.items())

    def owns(self, name: str, outputs: Sequence[Path], digests: Digests) -> bool:
        """Whether what stands at `outputs` was written by this step, so that it may be replaced."""
        found = self._records.get(name)
        if found is None:
            return False
        known = found.outputs
        return known is None or all(digests.of(p) in ("absent", known.get(str(p))) for p in outputs)


def _read(path: Path) -> dict[str, Record]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
        if found["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {found['schema_version']!r}, not {SCHEMA_VERSION}")
        return {name: Record(**record) for name, record in found["steps"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no state of a pipeline: {error}", remedy="remove it; every step then runs") from None
