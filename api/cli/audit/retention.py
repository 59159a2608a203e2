"""`retain audit retention`: stored data, its deadlines, and overdue erasures."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from operator import itemgetter
from pathlib import Path

import click

from retain.api.cli.data_folder import open_data, progress, reading
from retain.api.cli.main import FAILED, Stopped, data_options
from retain.api.cli.options import configured
from retain.api.cli.run import json_option, print_json, print_table
from retain.api.cli.words import counted
from retain.api.config.engine import engine_options
from retain.api.web.readiness import OVERDUE_WARNING_S
from retain.engine import SystemClock
from retain.engine.audit.retention_report import BUCKETS, LATER, NEVER, RetentionReport, report
from retain.engine.core.policy import due
from retain.engine.core.time import SECOND, timestamp
from retain.engine.erasure.kept_by_holds import kept_by_holds
from retain.engine.snapshots.load import present


@click.command(name="retention")
@data_options
@json_option
def command(config_path: Path | None, data: str | None, *, as_json: bool) -> None:
    """Show what is stored, when it falls due, and what is due but not erased yet.

    The table has a line for each interface, application or account, and container. The last line shows the
    progress of erasure; the oldest due record should never be older than an hour.

    Exit code: 0 erasure keeps up; 1 an erasure is more than an hour late.

    \b
    retain audit retention
    retain audit retention --json | jq '.holdings[] | select(.interface == "blobs")'
    """
    config = configured(config_path, data=data)
    disk = open_data(config_path, data)
    now = SystemClock().wall()
    with reading(disk), progress(disk, "Replaying") as update:
        state = present(disk, update)
    policy = engine_options(config).retention()
    with reading(disk):
        kept = kept_by_holds(state, chain.from_iterable(due(state.records, now, policy)), disk)
    found = report(state, now, policy, kept)
    if as_json:
        values = asdict(found)
        lag = values.pop("lag") / SECOND
        values["oldest_due"] = None if found.oldest_due is None else timestamp(found.oldest_due)
        print_json({"at": timestamp(now), **values, "lag_seconds": lag})
    else:
        _print(found)
    if found.lag > OVERDUE_WARNING_S * SECOND:
        raise Stopped(
            "erasure is more than an hour late; `retain status` shows whether a server runs", FAILED
        )


def _print(found: RetentionReport) -> None:
    names = [*(name for name, _ in BUCKETS), LATER, NEVER]
    rows: list[dict[str, str]] = []
    for one in found.holdings:
        row = {"interface": one.interface, "tenant": one.tenant, "container": one.container or "-"}
        row |= {"entries": f"{one.entries:,}", "bytes": f"{one.size:,}"}
        row |= {name.replace("-", " "): f"{one.ends.get(name, 0):,}" for name in names}
        rows.append({**row, "hold": "held" if one.held else ""})
    titles = list(rows[0]) if rows else ["interface", "tenant", "container"]
    print_table({title: itemgetter(title) for title in titles}, rows)
    entries = counted(found.restating, "entry", "entries")
    waits = f"waiting to be erased: {counted(found.waiting, 'record')}; to be rewritten: {entries}"
    if found.kept:
        waits += f"; kept by a legal hold: {counted(found.kept, 'record')}"
    oldest = "nothing is due" if found.oldest_due is None else f"oldest due {timestamp(found.oldest_due)}"
    click.echo(f"{waits}; {oldest}")
