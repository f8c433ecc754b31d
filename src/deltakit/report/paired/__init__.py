"""Models against a reference on the same items: paired tests, intervals, and the items that changed."""

from deltakit.report.paired.compared import Compared, Pair, compare
from deltakit.report.paired.operands import read_runs, together

__all__ = ["Compared", "Pair", "compare", "read_runs", "together"]
