"""The audit log as a table for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from retain.api.admin.log_rows import Erasures
from retain.api.cli.data_folder import visible
from retain.engine.audit.log import AuditEntry
from retain.engine.core.time import timestamp


def write_table(entries: Iterable[AuditEntry], console: Console, erasures: Erasures | None = None) -> None:
    """Write a table; erased parts are marked as erased."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("SEQ", justify="right", no_wrap=True)
    table.add_column("TIME (UTC)", no_wrap=True)
    table.add_column("EVENT", no_wrap=True)
    table.add_column("RESOURCE", overflow="fold")
    table.add_column("ACTOR", overflow="fold")
    table.add_column("CAUSE", no_wrap=True)
    table.add_column("ERASED", no_wrap=True)
    for entry in entries:
        table.add_row(
            str(entry.seq),
            timestamp(entry.time)[:-4].replace("T", " "),
            Text(entry.event or f"{entry.interface} {entry.verb}"),
            _cell(entry.subject or entry.resource, entry),
            _cell(entry.actor, entry),
            entry.cause,
            Text(_erased(entry, erasures), style="dim"),
        )
    console.print(table)


def _erased(entry: AuditEntry, erasures: Erasures | None) -> str:
    if erasures is None:
        return ", ".join(entry.erased)
    found = erasures.get(entry.seq, ())
    return ", ".join(f"{one.part} {timestamp(one.time)[:16].replace('T', ' ')} {one.cause}" for one in found)


def _cell(text: str, entry: AuditEntry) -> Text:
    if not text and "details" in entry.erased:
        return Text("erased", style="dim italic")
    return Text(visible(text))
