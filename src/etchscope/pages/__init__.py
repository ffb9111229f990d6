"""Pages: what a store or a result has to show, as self-contained HTML and pictures."""

from etchscope.pages.content import ReportContent
from etchscope.pages.gather import content_of_run
from etchscope.pages.report import write_report

__all__ = ["ReportContent", "content_of_run", "write_report"]
