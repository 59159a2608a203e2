"""Logging: one line an event on standard error, as JSON or for people, or one entry in systemd's journal.

An event is a constant text plus chosen facts (numbers, ids, names of limits): never a stored value, a
credential, a query string or a header. An exception is shown by its type and by where it was raised, without
its message, because messages quote data.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from retain.api.config.load import LogConfig
from retain.api.web.journald import JournalHandler, is_journal

ROOT = Path(__file__).parents[3]


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, event, then the event's facts."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return json.dumps(_fields(record), ensure_ascii=True, default=str)


class TextFormatter(logging.Formatter):
    """The same for people: control characters are escaped, so that one event cannot look like two."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        fields = _fields(record)
        head = f"{fields.pop('time')} {fields.pop('level'):7} {fields.pop('event')}"
        fields.pop("logger")
        text = " ".join([head, *(f"{name}={value}" for name, value in fields.items())])
        return text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": record.getMessage() if record.name.startswith("retain") else f"{record.name} reports",
    }
    facts = getattr(record, "facts", None)
    if isinstance(facts, dict):
        fields.update(facts)
    if record.exc_info and record.exc_info[1] is not None:
        fields["exception"] = _shape(record.exc_info[1])
    return fields


def _shape(error: BaseException) -> dict[str, object]:
    """Return type and place of an error, and the same of those that it contains or follows from."""
    frames = traceback.extract_tb(error.__traceback__)
    shape: dict[str, object] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "at": [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, BaseExceptionGroup):
        shape["holds"] = [_shape(inner) for inner in error.exceptions]
    if isinstance(error, OSError) and error.errno is not None:
        shape["errno"] = error.errno
    follows = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if follows is not None:
        shape["after"] = _shape(follows)
    return shape


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def configure(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send every event of this process to `stream` (standard error) in the configured form."""
    target = stream if stream is not None else sys.stderr
    as_text = config.format == "text" or (config.format == "auto" and target.isatty())
    handler: logging.Handler = logging.StreamHandler(target)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    if config.format == "auto" and is_journal(target, os.environ):
        handler = JournalHandler(_fields, handler)
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("retain").setLevel(config.level.upper())
