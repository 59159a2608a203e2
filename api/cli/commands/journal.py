"""`retain journal`: inspect the journal, and repair a damaged one on request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from retain import journal
from retain.api.cli.data_folder import open_data, progress, reading, visible
from retain.api.cli.failures import failures_of
from retain.api.cli.groups import Section
from retain.api.cli.main import DONE, FAILED, WRONG, Stopped, data_options
from retain.api.cli.ownership import refuse_as_root
from retain.api.cli.run import actor, json_option, print_json, run_action
from retain.engine import SystemClock
from retain.engine.audit.log import entry_of
from retain.engine.audit.odd import odd_records
from retain.engine.core.time import timestamp
from retain.journal.check.repair import RepairReport, repair
from retain.journal.check.verify import segment_files
from retain.journal.mended import Ordered
from retain.journal.payloads.store import payload_path


@click.group(name="journal", cls=Section)
def command() -> None:
    """Inspect the journal, and repair a damaged one."""


@dataclass(slots=True)
class Figures:
    """The figures of `stat`. Sizes in bytes.

    Attributes:
        segments: File, first record and size of each segment.
        records: Number of records.
        first, last: Times of the first and last record, nanoseconds since the epoch; 0 without records.
        kinds: `interface verb` → number of records.
        details, content: Number of parts, their bytes on disk, and how much of both is erased.
        payload_files, payload_bytes: Number and size of payload files.
        snapshots, broken: Files of snapshots, and of bytes that a crash or repair cut off.

    """

    segments: list[dict[str, Any]] = field(default_factory=list)
    records: int = 0
    first: int = 0
    last: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    details: Counter[str] = field(default_factory=Counter)
    content: Counter[str] = field(default_factory=Counter)
    payload_files: int = 0
    payload_bytes: int = 0
    snapshots: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def add(self, record: journal.Record) -> None:
        """Count a record."""
        header = record.header
        self.records += 1
        self.first = self.first or header.time
        self.last = header.time
        entry = entry_of(record)
        self.kinds[f"{entry.interface} {entry.verb}"] += 1
        for counts, size, part in (
            (self.details, header.details_size, record.details),
            (self.content, header.content_size, record.content),
        ):
            if size:
                counts["parts"] += 1
                counts["bytes"] += size
                counts["erased_parts"] += part is None
                counts["erased_bytes"] += size if part is None else 0

    @property
    def erased_share(self) -> float:
        """The share of erased bytes in all bytes of parts, 0 to 1."""
        total = self.details["bytes"] + self.content["bytes"]
        return (self.details["erased_bytes"] + self.content["erased_bytes"]) / total if total else 0.0


@command.command(name="stat")
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def stat_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Show segments, sizes, the number of records of each kind, and how much of them is erased.

    The command only reads; it works beside a running server. Parts are the erasable pieces of a record: its
    details (who and what) and its content (the data). Sizes are bytes on disk, including padding.
    """
    disk = open_data(config_path, data)
    with reading(disk), progress(disk, "Reading") as update:
        figures = _figures(disk, update)
    if as_json:
        values = {one.name: getattr(figures, one.name) for one in fields(figures)}
        values["erased_share"] = round(figures.erased_share, 4)
        values |= {"first": _time(figures.first), "last": _time(figures.last)}
        click.echo(json.dumps(values))
    else:
        _tell(figures)


def _figures(disk: journal.Disk, update: Any) -> Figures:
    figures = Figures()
    for record in journal.scan(disk):
        update(record.header.seq)
        figures.add(record)
    for segment in segment_files(disk):
        size = _size(disk, segment.file)
        figures.segments.append({"file": segment.file, "first": segment.first, "bytes": size})
    for name in journal.PayloadStore(disk).names():
        figures.payload_files += 1
        figures.payload_bytes += _size(disk, payload_path(name))
    figures.snapshots = [name for name in disk.names() if name.startswith("snapshot-")]
    figures.broken = [f"journal/{name}" for name in disk.names("journal") if name.endswith(".broken")]
    return figures


def _size(disk: journal.Disk, name: str) -> int:
    try:
        with disk.open(name) as file:
            return file.size()
    except FileNotFoundError:
        return 0  # removed by the running server since it was listed


def _time(time: int) -> str | None:
    return timestamp(time) if time else None


def _tell(figures: Figures) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if figures.records:
        console.print(f"{figures.records} records, {_time(figures.first)} to {_time(figures.last)}")
    else:
        console.print("No records yet.")
    table = _table("SEGMENT", "FIRST RECORD", "BYTES")
    for segment in figures.segments:
        table.add_row(segment["file"], str(segment["first"]), f"{segment['bytes']:,}")
    console.print(table)
    if figures.kinds:
        table = _table("INTERFACE AND VERB", "RECORDS")
        for kind, count in sorted(figures.kinds.items()):
            table.add_row(kind, f"{count:,}")
        console.print(table)
    table = _table("PARTS", "PARTS", "BYTES", "ERASED", "ERASED BYTES")
    for name, counts in (("details", figures.details), ("content", figures.content)):
        cells = (counts[key] for key in ("parts", "bytes", "erased_parts", "erased_bytes"))
        table.add_row(name, *(f"{cell:,}" for cell in cells))
    console.print(table)
    console.print(f"{figures.erased_share:.1%} of all bytes of parts are erased.")
    console.print(f"{figures.payload_files:,} payload files, {figures.payload_bytes:,} bytes.")
    for name in figures.snapshots:
        console.print(f"Snapshot: {name}")
    for name in figures.broken:
        console.print(f"Damaged bytes, kept aside: {name}")


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right")
    return table


@command.command(name="repair")
@data_options
@click.option("--accept-loss", is_flag=True, help="Discard damaged data, so that the server starts again.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def repair_command(
    config_path: Path | None, data: str | None, accept_loss: bool, yes: bool, as_json: bool
) -> None:
    """Show what a repair of a damaged journal would lose; with --accept-loss, repair it.

    The effects of a crash need no repair: the server resolves them when it starts. Any other damage is never
    repaired without your consent. Restore from a backup if there is one. Otherwise --accept-loss cuts the
    journal after its last good frame and keeps the bytes cut off beside it as *.broken. If only single parts
    are damaged, it marks these as erased and cuts nothing. Records whose events do not replay, which the
    server skips, are marked as erased too. The server must be stopped.

    Exit code: 0 nothing to repair, or repaired; 1 damaged, nothing changed; 3 the folder is in use.
    """
    disk = open_data(config_path, data)
    with reading(disk), progress(disk, "Replaying") as update:
        odd = odd_records(disk, update)
        report = repair(disk, odd=odd)
    if report.needed and accept_loss:
        if not as_json:
            _tell_losses(report)
        _ask_to_give_up(yes, as_json)
        report = _repaired(disk, odd)
        if not as_json:
            for name in report.kept:
                click.echo(f"Kept: {name}")
            click.echo(f"Repaired. The journal ends with record {report.seq}.")
    elif not as_json:
        _tell_losses(report)
        if report.needed:
            click.echo("Nothing was changed. --accept-loss discards the data listed.", err=True)
    if as_json:
        values = {"needed": report.needed, "done": report.done, "seq": report.seq, "kept": report.kept}
        click.echo(json.dumps(values | {"losses": [asdict(loss) for loss in report.losses]}))
    raise SystemExit(FAILED if report.needed and not report.done else DONE)


def _repaired(disk: journal.RealDisk, odd: Mapping[int, journal.Part]) -> RepairReport:
    refuse_as_root(str(disk.path))
    with failures_of(str(disk.path), in_use="; stop it first"):
        return repair(disk, accept_loss=True, ordered=Ordered(actor(), SystemClock().wall()), odd=odd)


def _tell_losses(report: RepairReport) -> None:
    if not report.needed:
        click.echo("Nothing to repair.")
        return
    for loss in report.losses:
        records = (
            f"record {loss.first}" if loss.first == loss.last else f"records {loss.first} to {loss.last}"
        )
        place = loss.file if loss.offset < 0 else f"{loss.file}, offset {loss.offset}, {loss.length} bytes"
        click.echo(visible(f"Lost: {records}: {loss.text} ({place})"))
    click.echo(f"The journal would then end with record {report.seq}.")


def _ask_to_give_up(yes: bool, as_json: bool) -> None:
    """Ask whether the listed data may be lost. Raises `Stopped` with `--json`, which lists nothing."""
    if yes:
        return
    if as_json:
        raise Stopped(
            "--accept-loss with --json needs --yes, because it does not ask. Nothing was changed", WRONG
        )
    click.confirm("Discard what is listed above?", abort=True, err=True)


@command.command(name="lost")
@data_options
@click.option("--bodies", is_flag=True, help="Also read every payload file; this reads all stored data.")
@click.option("--accept-loss", is_flag=True, help="Record the loss, and delete what has lost its content.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def lost_command(
    config_path: Path | None, data: str | None, bodies: bool, accept_loss: bool, yes: bool, as_json: bool
) -> None:
    """List content whose payload file is missing or damaged; with --accept-loss, record the loss.

    Restore from a backup if there is one: it may contain the files. Otherwise --accept-loss writes a record
    of what was lost, who accepted it and when, and deletes the blobs and area files that lost their content.
    Clients get 404 before and after. The staged blocks of a blob are deleted together. The command works
    beside a running server.

    Exit code: 0 nothing is lost, or the loss was recorded; 1 something is lost, and nothing was changed.
    """
    lost = run_action(config_path, data, "lost list", bodies=bodies)
    given_up = 0
    if not as_json:
        for one in lost:
            subject = f"{one['kind']} {one['subject']}, record {one['record']}"
            click.echo(visible(f"Lost: {subject}: {one['reason']} ({one['file']})"))
        if not lost:
            click.echo(
                "No content is lost." if bodies else "No payload file is missing; --bodies also reads them."
            )
    if lost and accept_loss:
        _ask_to_give_up(yes, as_json)
        records = [one["record"] for one in lost]
        given_up = run_action(config_path, data, "lost accept", records=records, bodies=bodies)
        if not as_json:
            click.echo(f"Recorded: the loss of {given_up} bodies. `retain audit log --cause lost` shows it.")
    elif lost and not as_json:
        click.echo("Nothing was changed. --accept-loss records the loss.", err=True)
    if as_json:
        print_json({"lost": lost, "given_up": given_up})
    raise SystemExit(FAILED if lost and not accept_loss else DONE)
