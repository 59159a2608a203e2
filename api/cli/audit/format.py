"""The audit log as a table for people, as JSON lines and as CSV for machines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from retain.api.cli.data_folder import visible
from retain.engine.audit.erasures import ErasedPart
from retain.engine.audit.log import Entry
from retain.engine.core.time import timestamp

FIELDS = (
    "seq",
    "time",
    "interface",
    "event",
    "verb",
    "cause",
    "actor",
    "subject",
    "resource",
    "erased",
    "details",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


Erasures = Mapping[int, Sequence[ErasedPart]]
"""By record: when and why its parts were erased."""


def as_row(entry: Entry, erasures: Erasures | None = None) -> dict[str, Any]:
    """The entry's fields in the order of output, the time in RFC 3339; with `erasures` these at the end."""
    values = asdict(entry)
    row = {name: values[name] for name in FIELDS} | {"time": timestamp(entry.time)}
    if erasures is not None:
        row["erasures"] = [
            {"part": one.part, "time": timestamp(one.time), "cause": one.cause, "by": one.by}
            for one in erasures.get(entry.seq, ())
        ]
    return row


def write_json(entries: Iterable[Entry], out: TextIO, erasures: Erasures | None = None) -> None:
    """One JSON object a line."""
    for entry in entries:
        out.write(json.dumps(as_row(entry, erasures), ensure_ascii=False) + "\n")


def write_csv(entries: Iterable[Entry], out: TextIO, erasures: Erasures | None = None) -> None:
    """RFC 4180 with a header line."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(FIELDS if erasures is None else (*FIELDS, "erasures"))
    for entry in entries:
        row = as_row(entry, erasures)
        row["erased"] = " ".join(row["erased"])
        if erasures is not None:
            row["erasures"] = "; ".join(" ".join(map(str, one.values())) for one in row["erasures"])
        row["details"] = "" if entry.details is None else json.dumps(entry.details, ensure_ascii=False)
        writer.writerow([as_cell(value) for value in row.values()])


def as_cell(value: Any) -> str:
    """A CSV cell that no spreadsheet takes for a formula (OWASP, "CSV Injection": a leading apostrophe)."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_table(entries: Iterable[Entry], console: Console, erasures: Erasures | None = None) -> None:
    """A table; what was erased is told as erased."""
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
            _told(entry.subject or entry.resource, entry),
            _told(entry.actor, entry),
            entry.cause,
            Text(_gone(entry, erasures), style="dim"),
        )
    console.print(table)


def _gone(entry: Entry, erasures: Erasures | None) -> str:
    if erasures is None:
        return ", ".join(entry.erased)
    found = erasures.get(entry.seq, ())
    return ", ".join(f"{one.part} {timestamp(one.time)[:16].replace('T', ' ')} {one.cause}" for one in found)


def _told(text: str, entry: Entry) -> Text:
    if not text and "details" in entry.erased:
        return Text("erased", style="dim italic")
    return Text(visible(text))
