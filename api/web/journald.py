"""Logging to systemd's journal with a field for each fact, where standard error is the journal.

Each event is one datagram of systemd's native protocol (systemd.io, *Native Journal Protocol*): `MESSAGE` and
`PRIORITY`, and `RETAIN_` + name for the logger and each fact: `journalctl RETAIN_STATUS=503` finds them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Callable, Mapping
from typing import Final, TextIO

PLACE: Final = "/run/systemd/journal/socket"
_NAME = re.compile(r"[^A-Z0-9_]")
_PRIORITIES: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))
"""syslog(3): 3 is an error, 4 a warning, 6 informational, 7 for debugging."""


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether `stream` ends in systemd's journal, as `JOURNAL_STREAM` says (systemd.exec(5))."""
    place = environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return place == f"{found.st_dev}:{found.st_ino}"


class JournalHandler(logging.Handler):
    """Sends each event to the journal; to `fallback` if the journal does not take it.

    Args:
        fields: Return the fields of an event: `event`, `logger` and its facts.
        fallback: Writes to standard error, which ends in the journal as well.
        place: The journal's socket.
    """

    def __init__(
        self,
        fields: Callable[[logging.LogRecord], Mapping[str, object]],
        fallback: logging.Handler,
        place: str = PLACE,
    ) -> None:
        super().__init__()
        self._fields = fields
        self._fallback = fallback
        self._place = place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            self._socket.sendto(datagram(record.levelno, self._fields(record)), self._place)
        except OSError:  # no journal there, or an event longer than a datagram
            self._fallback.handle(record)

    def close(self) -> None:
        """See `logging.Handler`."""
        self._socket.close()
        super().close()


def datagram(level: int, fields: Mapping[str, object]) -> bytes:
    """Return the event as the journal reads it; values with line breaks carry their length."""
    priority = next((number for least, number in _PRIORITIES if level >= least), 7)
    lines = [
        _field("MESSAGE", str(fields["event"])),
        _field("PRIORITY", str(priority)),
        _field("SYSLOG_IDENTIFIER", "retain"),
    ]
    for name, value in fields.items():
        if name not in ("time", "level", "event"):
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            lines.append(_field(f"RETAIN_{_NAME.sub('_', name.upper())}", text))
    return b"".join(lines)


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")
    if b"\n" in data:
        return b"%b\n%b%b\n" % (name.encode(), len(data).to_bytes(8, "little"), data)
    return b"%b=%b\n" % (name.encode(), data)
