"""Reports: figures and self-contained HTML pages."""

from etchscope.report.channels import channel_sheet
from etchscope.report.content import ReportContent
from etchscope.report.gather import content_of_run
from etchscope.report.overlay import contact_sheet
from etchscope.report.resemblance import write_resemblance
from etchscope.report.write import write_report

__all__ = [
    "ReportContent",
    "channel_sheet",
    "contact_sheet",
    "content_of_run",
    "write_report",
    "write_resemblance",
]
