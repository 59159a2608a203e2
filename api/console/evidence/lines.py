"""Entries of the audit log as lines of a timeline: the event in words, with a shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from retain.api.html.filters import NBSP, counted, moment_of
from retain.engine.audit.changes import ValueChange
from retain.engine.audit.erasures import ErasedPart
from retain.engine.audit.log import AuditEntry

#: Details that are obvious, or part of the event's name.
_PLAIN_CAUSES: Final = frozenset(("", "request"))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline.

    Attributes:
        entry: The entry of the log that it shows.
        shape: The shape and colour of its mark.
        words: The event.
        why: The reason, if it is shown.
        more: Further details.
        erased: Its erased parts, when and why.
        change: Values before and after, on the page of one resource.
    """

    entry: AuditEntry
    shape: str
    words: str
    why: str
    more: str
    erased: Sequence[ErasedPart]
    change: ValueChange | None

    @property
    def nameless(self) -> bool:
        """Whether names and actor were erased."""
        return "details" in self.entry.erased


@dataclass(frozen=True, slots=True)
class Day:
    """The lines of one day in the reader's zone."""

    words: str
    lines: list[Line]


def days(
    entries: Iterable[AuditEntry],
    erasures: Mapping[int, Sequence[ErasedPart]],
    zone: tzinfo,
    changes: Mapping[int, ValueChange] | None = None,
) -> list[Day]:
    """Return the entries as lines, day by day, in their order."""
    found: list[Day] = []
    for entry in entries:
        moment = moment_of(entry.time).astimezone(zone)
        words = f"{moment:%A}, {moment.day} {moment:%B %Y}"
        if not found or found[-1].words != words:
            found.append(Day(words, []))
        found[-1].lines.append(_line(entry, erasures.get(entry.seq, ()), (changes or {}).get(entry.seq)))
    return found


def _line(entry: AuditEntry, erased: Sequence[ErasedPart], change: ValueChange | None) -> Line:
    words = (entry.event or f"{entry.interface} {entry.verb}").replace("-", " ").capitalize()
    why = "" if entry.cause in _PLAIN_CAUSES else entry.cause.replace("-", " ")
    return Line(entry, _shape(entry), words, why, _more(entry), erased, change)


def _shape(entry: AuditEntry) -> str:
    if entry.verb in ("erase", "erased") or entry.erased:
        return "erased"
    if entry.event == "hold-set":
        return "held"
    return {"put": "live", "delete": "hidden"}.get(entry.verb, "event")


def _more(entry: AuditEntry) -> str:
    """Return a line's text besides the name: never a value."""
    details: Mapping[str, Any] = entry.details or {}
    if entry.event == "hold-set":
        return f"“{details.get('reason', '')}”"
    if entry.interface == "settings" and "revision" in details:
        return f"revision{NBSP}{details['revision']}"
    if entry.verb == "erase" and "erases" in details:
        records = sum(one["last"] - one["first"] + 1 for one in details["erases"])
        return f"parts of {counted(records, 'record')}"
    return ""
