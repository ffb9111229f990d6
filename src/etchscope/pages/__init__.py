"""Pages: reports of runs, trainings, alignments and candidates as self-contained HTML."""

from etchscope.pages.content import ReportContent
from etchscope.pages.gather import gather_content
from etchscope.pages.report import write_report

__all__ = ["ReportContent", "gather_content", "write_report"]
