"""Reports: figures and one self-contained HTML page of a run."""

from etchscope.report.content import ReportContent
from etchscope.report.gather import content_of_run
from etchscope.report.overlay import contact_sheet
from etchscope.report.write import write_report

__all__ = ["ReportContent", "contact_sheet", "content_of_run", "write_report"]
