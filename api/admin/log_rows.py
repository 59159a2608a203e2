"""Entries of the audit log as rows for machines: JSON lines and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from retain.engine.audit.erasures import ErasedPart
from retain.engine.audit.log import AuditEntry
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


def as_row(entry: AuditEntry, erasures: Erasures | None = None) -> dict[str, Any]:
    """Return the entry's fields in the order of output, the time in RFC 3339; with `erasures`, these last."""
    values = asdict(entry)
    row = {name: values[name] for name in FIELDS} | {"time": timestamp(entry.time)}
    if erasures is not None:
        row["erasures"] = [
            {"part": one.part, "time": timestamp(one.time), "cause": one.cause, "by": one.by}
            for one in erasures.get(entry.seq, ())
        ]
    return row


def write_json(entries: Iterable[AuditEntry], out: TextIO, erasures: Erasures | None = None) -> None:
    """Write one JSON object a line."""
    for entry in entries:
        out.write(json.dumps(as_row(entry, erasures), ensure_ascii=False) + "\n")


def write_csv(
    entries: Iterable[AuditEntry], out: TextIO, erasures: Erasures | None = None, *, head: bool = True
) -> None:
    """Write RFC 4180, with a header line unless these rows continue others."""
    writer = csv.writer(out, lineterminator="\r\n")
    if head:
        writer.writerow(FIELDS if erasures is None else (*FIELDS, "erasures"))
    for entry in entries:
        row = as_row(entry, erasures)
        row["erased"] = " ".join(row["erased"])
        if erasures is not None:
            row["erasures"] = "; ".join(" ".join(map(str, one.values())) for one in row["erasures"])
        row["details"] = "" if entry.details is None else json.dumps(entry.details, ensure_ascii=False)
        writer.writerow([as_cell(value) for value in row.values()])


def as_cell(value: Any) -> str:
    """Return a CSV cell that no spreadsheet interprets as a formula (OWASP, "CSV Injection").

    A leading apostrophe neutralises it.
    """
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
