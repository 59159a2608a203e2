"""The report: one self-contained HTML page, and the tables of `docs/performance.md` as Markdown."""

from __future__ import annotations

from retain.bench.pages.markdown import tables, updated
from retain.bench.pages.page import report_page

__all__ = ["report_page", "tables", "updated"]
