"""Reports: results of evaluations, comparisons and training as one page, with the numbers beside every picture."""

from deltakit.report.page import Page, Section, build_page
from deltakit.report.results import Row, Score, read_results
from deltakit.report.sources import Sources, read_sources
from deltakit.report.write import Written, write_report

__all__ = [
    "Page",
    "Row",
    "Score",
    "Section",
    "Sources",
    "Written",
    "build_page",
    "read_results",
    "read_sources",
    "write_report",
]
