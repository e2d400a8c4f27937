"""The report that people open: a verdict, and a time line of all that happened. One file, which works offline."""

from vdc.report.html.page import Track, devices_of, render_html
from vdc.report.html.story import tell

__all__ = ["Track", "devices_of", "render_html", "tell"]
