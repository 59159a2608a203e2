"""Logs: one line an event, and nothing in it that somebody stored or sent."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from retain.api.config.load import LogConfig
from retain.api.web import logs
from retain.api.web.journald import JournalHandler, is_journal


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged; the process's logging is put back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("retain")
    kept = root.handlers[:], root.level, ours.level
    yield io.StringIO()
    root.handlers[:], root.level, ours.level = kept
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_object_with_its_facts(stream: io.StringIO) -> None:
    logs.configure(LogConfig(), stream)
    logging.getLogger("retain.serve").info("stopping", extra={"facts": {"signal": "SIGTERM"}})
    (event,) = lines(stream)
    assert event.items() >= {"level": "info", "event": "stopping", "signal": "SIGTERM"}.items()
    assert str(event["time"]).endswith("+00:00")


def test_an_exception_tells_its_type_and_place_but_not_its_message(stream: io.StringIO) -> None:
    logs.configure(LogConfig(), stream)
    try:
        try:
            {"key": 1}["a secret value"]
        except KeyError as error:
            raise ExceptionGroup(
                "a secret text", [ValueError("another secret"), OSError(28, "secret")]
            ) from error
    except ExceptionGroup:
        logging.getLogger("retain.http").exception("unhandled exception in a request")
    assert "secret" not in stream.getvalue()
    (event,) = lines(stream)
    exception = event["exception"]
    assert isinstance(exception, dict)
    assert exception["type"] == "builtins.ExceptionGroup"
    assert [held["type"] for held in exception["holds"]] == ["builtins.ValueError", "builtins.OSError"]
    assert exception["holds"][1]["errno"] == 28
    assert exception["after"]["type"] == "builtins.KeyError"
    assert exception["at"][0].startswith("tests/api/web/test_logs.py:")


def test_what_other_libraries_say_is_not_repeated(stream: io.StringIO) -> None:
    logs.configure(LogConfig(), stream)
    logging.getLogger("h11").warning("bad header: %s", "a secret")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("a secret", stacklevel=1)
    assert "secret" not in stream.getvalue()
    assert [event["event"] for event in lines(stream)] == ["h11 reports", "py.warnings reports"]


def test_the_level_is_kept(stream: io.StringIO) -> None:
    logs.configure(LogConfig(level="error"), stream)
    logging.getLogger("retain.x").warning("no")
    logging.getLogger("retain.x").error("yes")
    assert [event["event"] for event in lines(stream)] == ["yes"]


def test_text_for_people_cannot_be_broken_into_two_lines(stream: io.StringIO) -> None:
    logs.configure(LogConfig(format="text"), stream)
    logging.getLogger("retain.x").error("event", extra={"facts": {"name": "a\nb\x1b[31m"}})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r"error   event name=a\nb\x1b[31m")


def journal_fields(data: bytes) -> dict[str, str]:
    """Read an entry as the journal does (systemd.io, Native Journal Protocol)."""
    found = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[9 + length :]
        found[name.decode()] = value.decode()
        data = rest
    return found


def test_the_journal_gets_a_field_for_each_fact(tmp_path: Path, stream: io.StringIO) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        handler = JournalHandler(logs._fields, logging.StreamHandler(stream), str(tmp_path / "journal"))
        record = logging.LogRecord("retain.x", logging.WARNING, "", 0, "readiness changed", None, None)
        record.facts = {"ready": True, "state": "two\nlines=x", "a-b": 3}
        handler.handle(record)
        fields = journal_fields(journal.recv(65536))
        handler.close()
    assert fields == {
        "MESSAGE": "readiness changed",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "retain",
        "RETAIN_LOGGER": "retain.x",
        "RETAIN_READY": "true",
        "RETAIN_STATE": "two\nlines=x",
        "RETAIN_A_B": "3",
    }
    assert stream.getvalue() == ""


def test_without_a_journal_the_event_goes_to_standard_error(tmp_path: Path, stream: io.StringIO) -> None:
    handler = JournalHandler(logs._fields, logging.StreamHandler(stream), str(tmp_path / "none"))
    handler.handle(logging.LogRecord("retain.x", logging.INFO, "", 0, "stopped", None, None))
    handler.close()
    assert stream.getvalue() == "stopped\n"


def test_the_journal_is_recognised_by_what_systemd_says(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        found = os.fstat(file.fileno())
        place = f"{found.st_dev}:{found.st_ino}"
        assert is_journal(file, {"JOURNAL_STREAM": place})
        assert not is_journal(file, {"JOURNAL_STREAM": f"{place}1"})
        assert not is_journal(file, {})
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": place})
