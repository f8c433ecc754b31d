"""Batched decoding: batches by real length, rows that stop leave, results do not depend on the neighbours."""

from deltakit.generate.engine import Engine
from deltakit.generate.host import Host
from deltakit.generate.request import Completion, Request
from deltakit.generate.score import score

__all__ = ["Completion", "Engine", "Host", "Request", "score"]
