"""`retain audit`: who did what, whether all of it is there and unchanged, and what was held at a moment."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.text import Text

from retain.api.admin.log_rows import Erasures, write_csv, write_json
from retain.api.cli.audit.format import write_table
from retain.api.cli.audit.proofs import COMMANDS, KEY_HELP, trusted_checkpoint
from retain.api.cli.audit.retention import command as retention
from retain.api.cli.data_folder import MOMENT, MOMENT_HELP, note_future, open_data, progress, reading, visible
from retain.api.cli.groups import Section
from retain.api.cli.main import FAILED, WRONG, Stopped, data_options
from retain.api.cli.selection import PATTERN, PATTERN_HELP, hint_for, one_of, resource_options
from retain.engine.audit.contents import HELD_BY, holdings
from retain.engine.audit.erasures import erasures_of
from retain.engine.audit.log import CAUSES, INTERFACES, VERBS, AuditEntry, Filter, log, newest, state_at
from retain.engine.audit.verify import Verification, verification
from retain.engine.core.pattern import Pattern
from retain.engine.core.time import timestamp
from retain.engine.settings.model import MISSING, Asker
from retain.engine.settings.queries import seen_by
from retain.journal.check.findings import Kind

TABLE_ROWS = 200


@click.group(name="audit", cls=Section)
def command() -> None:
    """Who did what, is all of it there, what was held when.

    These commands only read. They work beside a running server, on its data folder or on a copy of it. Only
    `checkpoint` and `receipt` need the folder itself: what they sign must be durable, so they ask the server,
    or open the folder where none runs.
    """


@command.command(name="log")
@data_options
@click.option("--interface", "-i", type=click.Choice(list(INTERFACES)), help="Only this interface.")
@resource_options
@click.option("--actor", "-a", metavar="WHO", help="Only what this one did, e.g. user:operator.")
@click.option("--match-actor", type=PATTERN, help=f"Only what was done by actors that match: {PATTERN_HELP}")
@click.option("--verb", type=click.Choice(list(VERBS)), help="Only records of this kind.")
@click.option("--cause", type=click.Choice(list(CAUSES)), help="Only what happened for this reason.")
@click.option("--since", type=MOMENT, help=f"Not before: {MOMENT_HELP}")
@click.option("--until", type=MOMENT, help="Before this moment; written as for --since.")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(0),
    help=f"At most so many, the newest. Default: {TABLE_ROWS} in a table, else all. 0: all.",
)
@click.option("--reverse", is_flag=True, help="Newest first.")
@click.option("--erasures", "why", is_flag=True, help="Also tell when and why parts were erased.")
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="A table for people; JSON lines or CSV for machines.",
)
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
def log_command(
    config_path: Path | None,
    data: str | None,
    limit: int | None,
    reverse: bool,
    why: bool,
    form: str,
    as_json: bool,
    resource: str | None,
    match: Pattern | None,
    actor: str | None,
    match_actor: Pattern | None,
    **wanted: Any,
) -> None:
    """Show what happened: when, what, to which resource, by whom, and why.

    A record whose parts were erased is shown as erased; that it was there, and when, is kept for ever.
    Values are never shown here; `retain audit state` shows what was held.

    \b
    retain audit log --since 2h
    retain audit log -i blobs --match 'mytenant/recordings/*' --cause expired
    retain audit log --actor user:operator --format csv > operator.csv
    """
    disk = open_data(config_path, data)
    wanted |= {
        "resource": one_of(resource, match, "--resource"),
        "actor": one_of(actor, match_actor, "--actor"),
    }
    form = "json" if as_json else form
    shown = (TABLE_ROWS if form == "table" else 0) if limit is None else limit
    with reading(disk), progress(disk, "Reading") as update:
        entries: Iterator[AuditEntry] = log(disk, Filter(**wanted), update)
        total = 0

        def counted() -> Iterator[AuditEntry]:
            nonlocal total
            for entry in entries:
                total += 1
                yield entry

        erasures = None
        if form == "table" or shown or reverse or why:
            found = newest(counted(), shown)
            entries = reversed(found) if reverse else iter(found)
            erasures = erasures_of(disk, (one.seq for one in found if one.erased)) if why else None
        if form == "json":
            write_json(entries, sys.stdout, erasures)
        elif form == "csv":
            write_csv(entries, sys.stdout, erasures)
    if form == "table":
        _print_table(list(entries), total, erasures)
        if not total and resource is not None:
            click.echo(
                f"Nothing in the journal has the name {visible(resource)}{hint_for(resource)}.", err=True
            )


def _print_table(entries: list[AuditEntry], total: int, erasures: Erasures | None) -> None:
    console = Console(highlight=False)
    if not entries:
        click.echo("Nothing in the journal matches.", err=True)
        return
    # A pipe gets whole lines: cutting names to some default width would lose what was asked for.
    write_table(entries, console if console.is_terminal else Console(highlight=False, width=1000), erasures)
    if total > len(entries):
        click.echo(f"The newest {len(entries)} of {total}; --limit 0 shows all.", err=True)


@command.command(name="verify")
@data_options
@click.option(
    "--since",
    type=click.File("rb"),
    metavar="CHECKPOINT",
    help="Also prove that history up to this checkpoint is what it was when that was signed.",
)
@click.option("--key", metavar="KEY", help=f"For --since. {KEY_HELP} Default: this log's own.")
@click.option("--bodies", is_flag=True, help="Read every payload file, too: as much as is stored.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def verify_command(
    config_path: Path | None,
    data: str | None,
    since: IO[bytes] | None,
    key: str | None,
    bodies: bool,
    as_json: bool,
) -> None:
    """Check that everything is there and unchanged.

    Checks every frame, the hash tree over all records, that every part opens its commitment or is named by an
    erasure, that erased means zeros, that the events replay, and that their payload files are there; with
    --bodies also that these hold the bytes that their records speak of. Nothing is changed. Beside a running
    server, what it does meanwhile is not mistaken for damage.

    Exit code: 0 all is well; 1 something was found; 2 the journal cannot be read.
    """
    disk = open_data(config_path, data, WRONG)
    earlier = None if since is None else trusted_checkpoint(since, disk, key)
    try:
        with progress(disk, "Verifying") as update:
            found = verification(disk, update, since=earlier, bodies=bodies)
    except OSError as error:
        raise Stopped(f"the journal cannot be read: {error}", WRONG) from None
    if as_json:
        since_size = None if earlier is None else earlier.size
        click.echo(json.dumps({**_as_json(found), "since": since_size}, ensure_ascii=False))
    else:
        _tell(found)
        if earlier is not None and found.sound:
            told = f"History up to record {earlier.size} is what the checkpoint of {earlier.origin} says."
            click.echo(visible(told))
    if not found.sound:
        raise SystemExit(FAILED)


def _as_json(found: Verification) -> dict[str, Any]:
    report = found.journal
    return {
        "sound": found.sound,
        "records": report.records,
        "erased_parts": report.erased,
        "payload_files": found.payloads,
        "bodies_read": found.bodies,
        "segments": report.segments,
        "seq": report.seq,
        "root": report.root.hex(),
        "findings": [
            {
                "kind": str(one.kind),
                "harmless": one.harmless,
                "file": one.file,
                "offset": one.offset,
                "seq": one.seq,
                "text": one.text,
            }
            for one in report.findings
        ],
        "events": list(found.events),
        "changes": list(found.changes),
    }


def _tell(found: Verification) -> None:
    report = found.journal
    console = Console(highlight=False, soft_wrap=True)
    for one in report.findings:
        place = one.file if one.offset < 0 else f"{one.file}, offset {one.offset}"
        place += f", record {one.seq}" if one.seq >= 0 else ""
        word, style = ("note", "yellow") if one.harmless else (str(one.kind), "bold red")
        console.print(Text.assemble((f"{word}: ", style), visible(f"{one.text} ({place})")))
    for text in found.events:
        console.print(Text.assemble(("event: ", "bold red"), visible(text)))
    for text in found.changes:
        console.print(Text.assemble(("history: ", "yellow"), visible(text)))
    console.print(f"Records: {report.records}. Segments: {report.segments}. Parts erased: {report.erased}.")
    if report.root:
        console.print(f"The tree over {report.seq} records has the root {report.root.hex()}.")
    if found.sound:
        console.print(Text("All is there and unchanged.", style="green"))
        if found.payloads and not found.bodies:
            console.print(f"The bytes in {found.payloads} payload files were not read: --bodies does that.")
        return
    kinds = Counter(str(one.kind) for one in report.findings if not one.harmless)
    kinds.update({"event": len(found.events)} if found.events else {})
    told = ", ".join(f"{count} × {kind}" for kind, count in kinds.items())
    mend = _mending(found)
    who = " `retain audit log -i journal` tells who did it." if found.changes else ""
    console.print(Text(f"Found: {told}.{mend}{who}", style="bold red"))


def _mending(found: Verification) -> str:
    """Return which commands show what can be done, each for what it can do something about."""
    kinds = {one.kind for one in found.journal.findings if not one.harmless}
    # Nothing mends a history that is not the checkpoint's: an auditor who has that judges the reason.
    damaged = kinds - {Kind.CHECKPOINT, Kind.PAYLOAD}
    mend = " `retain journal repair` shows what can be done." if damaged or found.events else ""
    if Kind.PAYLOAD in kinds:
        bodies = " --bodies" if found.bodies else ""
        mend += f" `retain journal lost{bodies}` lists the content that is lost and can write the loss down."
    return mend


@command.command(name="state")
@data_options
@click.option("--at", "time", type=MOMENT, required=True, help=f"The moment: {MOMENT_HELP}")
@click.option("--interface", "-i", type=click.Choice(list(HELD_BY)), help="Only this interface.")
@resource_options
@click.option("--compact", is_flag=True, help="One JSON object a line instead of one array.")
def state_command(
    config_path: Path | None,
    data: str | None,
    time: int,
    interface: str | None,
    resource: str | None,
    match: Pattern | None,
    number: str | None,
    compact: bool,
) -> None:
    """Show what was held at a moment, as JSON: time travel.

    The journal is replayed up to then. What has been erased since is not there any more, and what was past
    its deadline at that moment is not shown. Files and blobs are told by name, type and size.

    \b
    retain audit state --at 2026-05-03T12:00+02:00 -i settings
    retain audit state --at 1h -i areas -r 7c9a0f2e-…
    """
    disk = open_data(config_path, data)
    note_future(time)
    with reading(disk), progress(disk, "Replaying") as update:
        state = state_at(disk, time, update)
    wanted = one_of(resource, match, "--resource")
    found = holdings(state, time, interface=interface, resource=wanted, number=number)
    if compact:
        for holding in found:
            click.echo(json.dumps(holding, ensure_ascii=False))
    else:
        picture = {"at": timestamp(time), "seq": state.seq, "holds": list(found)}
        click.echo(json.dumps(picture, ensure_ascii=False, indent=2))


@command.command(name="seen")
@data_options
@click.option("--at", "time", type=MOMENT, required=True, help=f"The moment: {MOMENT_HELP}")
@click.option("--application", "-p", metavar="ID", required=True, help="The application of the settings.")
@click.option("--user", "-u", metavar="NAME", required=True, help="Who looked.")
@click.option(
    "--device", "-d", metavar="ID", default="", help="On which device; without it the user's own settings."
)
@click.option("--role", "roles", metavar="NAME", multiple=True, help="A role the user had then; repeatable.")
def seen_command(
    config_path: Path | None,
    data: str | None,
    time: int,
    application: str,
    user: str,
    device: str,
    roles: tuple[str, ...],
) -> None:
    """Show the settings that a user, or a user's device, saw at a moment: all levels merged, as JSON.

    Roles are not in the journal, they come from whoever vouched for the user: name those that count.

    Exit code: 0 shown; 1 there was nothing to see.

    \b
    retain audit seen --at 2026-05-03T12:00+02:00 -p shop -u anna -d tablet-7 --role Sales
    """
    disk = open_data(config_path, data)
    note_future(time)
    with reading(disk), progress(disk, "Replaying") as update:
        state = state_at(disk, time, update)
    seen = seen_by(state.settings, Asker(user, frozenset(roles)), application, device)
    if seen is MISSING:
        raise Stopped("nothing was there for this user to see", FAILED)
    click.echo(json.dumps(seen, ensure_ascii=False, indent=2))


for proof in (*COMMANDS, retention):
    command.add_command(proof)
