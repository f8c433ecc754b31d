"""Checkpoints: opened lazily through strict parsers, written canonically, atomically and resumably."""

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import Staging
from deltakit.checkpoint.verify import verify_checkpoint
from deltakit.checkpoint.write import Written, plan_checkpoint, write_checkpoint

__all__ = [
    "Checkpoint",
    "Progress",
    "Sidecar",
    "Staging",
    "Written",
    "checksum",
    "fingerprint",
    "open_checkpoint",
    "plan_checkpoint",
    "pump",
    "silent",
    "verify_checkpoint",
    "write_checkpoint",
]
