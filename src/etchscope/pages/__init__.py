"""Pages: what a store or a result has to show, as self-contained HTML and pictures."""

from etchscope.pages.content import ReportContent
from etchscope.pages.gather import gather_content
from etchscope.pages.report import write_report

__all__ = ["ReportContent", "gather_content", "write_report"]
