"""IFEval: instructions whose following can be checked by rule (Zhou et al. 2023, arXiv:2311.07911), offline.

Own checks of the paper's 25 kinds. Sentences are counted by our own rule where the paper's code asks a trained
splitter, so a count may differ by one now and then.
"""

from __future__ import annotations

from deltakit.grade.ifeval.check import Verdict, check, loosened
from deltakit.grade.ifeval.rules import RULES

__all__ = ["RULES", "Verdict", "check", "loosened"]
