"""Read a data folder beside a running server: open it, parse times, show progress."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from retain import journal
from retain.api.cli.failures import failures_of, no_journal, unusable
from retain.api.cli.main import WRONG, Stopped
from retain.api.cli.options import configured
from retain.api.cli.progress import Update, record_progress
from retain.api.config.load import Config, ConfigError
from retain.engine import SystemClock
from retain.engine.core.time import SECOND, timestamp
from retain.journal.check.verify import segment_files

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGO = re.compile(r"(\d{1,9})([smhdw])")


class TimeParam(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A point in time, as nanoseconds since the epoch."""

    name = "time"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return the name used in help texts."""
        return "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse with `parse_moment`; a bad value is wrong usage."""
        try:
            return value if isinstance(value, int) else parse_moment(value, SystemClock().wall())
        except ValueError:
            self.fail(f"{value!r} is neither a date like 2026-05-03T12:00 nor an age like 2h.", param, ctx)


MOMENT = TimeParam()
MOMENT_HELP = (
    "2026-05-03, 2026-05-03T12:00 (UTC), 2026-05-03T12:00+02:00, now, or an age like 90s, 15m, 2h, 30d."
)


def parse_moment(text: str, now: int) -> int:
    """Parse an ISO 8601 date or time (UTC if it names no zone), `now`, or an age. Raises `ValueError`."""
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * _UNITS[ago[2]] * SECOND
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND + moment.microsecond * 1000


def note_future(*times: int) -> None:
    """Explain on standard error what a command that shows past states shows for a future time."""
    now = SystemClock().wall()
    for time in times:
        if time > now:
            what = "this shows the present data that will not have expired by then"
            click.echo(f"Note: {timestamp(time)} is in the future; {what}.", err=True)


def open_data(config_path: Path | None, data: str | None, missing: int = WRONG) -> journal.RealDisk:
    """Open the data folder for reading. Raises `Stopped` with the exit code `missing` if there is none."""
    config = configured(config_path) if data is None else None
    data = config.storage.data if config is not None else data
    assert data is not None
    try:
        disk = journal.RealDisk(data, create=False) if config is None else configured_disk(config)
        found = segment_files(disk)
    except ConfigError as error:
        raise Stopped(str(error), WRONG) from None
    except OSError as error:
        raise Stopped(unusable(data, error), missing) from None
    if not found:
        raise Stopped(no_journal(data, disk), missing)
    return disk


def configured_disk(config: Config) -> journal.RealDisk:
    """Return the configured data folder for reading; at a node with its payloads in the cluster's store.

    Raises:
        ConfigError: The store cannot be used.
        OSError: The folder cannot be read.

    """
    if config.cluster.log is None:
        return journal.RealDisk(config.storage.data, create=False)
    from retain.api.cli.with_nodes import node_disk  # only with a cluster

    return node_disk(config, create=False)


def reading(disk: journal.RealDisk) -> AbstractContextManager[None]:
    """Turn errors of the block, which reads from `disk`, into `Stopped` with their exit code."""
    return failures_of(str(disk.path))


def progress(disk: journal.Disk, what: str) -> AbstractContextManager[Update]:
    """Show a progress bar on a terminal's standard error while a long journal is read.

    The block gets the function to call with the sequence number of each record.
    """
    expected = segment_files(disk)[-1].first
    return record_progress(what, expected if expected > 1 else None)


def visible(text: str) -> str:
    """Escape all characters that could control a terminal or hide text from its reader."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
