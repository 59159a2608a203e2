"""`retain audit`: show the log, verify the journal, and show past states."""

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
from retain.journal.check.findings import FindingKind

TABLE_ROWS = 200


@click.group(name="audit", cls=Section)
def command() -> None:
    """Show who did what, verify the journal, and see past states.

    These commands only read. They work beside a running server, on its data folder or on a copy of it. Only
    `checkpoint` and `receipt` need the original folder: they sign durable records only, so they ask the
    server, or open the folder if no server runs.
    """


@command.command(name="log")
@data_options
@click.option("--interface", "-i", type=click.Choice(list(INTERFACES)), help="Only this interface.")
@resource_options
@click.option("--actor", "-a", metavar="WHO", help="Only entries of this actor, e.g. user:operator.")
@click.option("--match-actor", type=PATTERN, help=f"Only entries of actors that match: {PATTERN_HELP}")
@click.option("--verb", type=click.Choice(list(VERBS)), help="Only entries with this verb.")
@click.option("--cause", type=click.Choice(list(CAUSES)), help="Only entries with this cause.")
@click.option("--since", type=MOMENT, help=f"Only entries from this time on: {MOMENT_HELP}")
@click.option("--until", type=MOMENT, help="Only entries before this time; written like --since.")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(0),
    metavar="N",
    help=f"At most the newest N entries. Default: {TABLE_ROWS} for tables, else all; 0 shows all.",
)
@click.option("--reverse", is_flag=True, help="Newest first.")
@click.option("--erasures", "why", is_flag=True, help="Also show when and why parts were erased.")
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
    """Show the audit log: time, event, resource, actor and cause.

    A record whose parts were erased is shown as erased; its existence and time stay forever. The log
    shows no values; `retain audit state` does.

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
    # A pipe gets whole lines: a default width would truncate names.
    write_table(entries, console if console.is_terminal else Console(highlight=False, width=1000), erasures)
    if total > len(entries):
        click.echo(f"The newest {len(entries)} of {total}; --limit 0 shows all.", err=True)


@command.command(name="verify")
@data_options
@click.option(
    "--since",
    type=click.File("rb"),
    metavar="CHECKPOINT",
    help="Also prove that history up to this checkpoint has not changed since it was signed.",
)
@click.option("--key", metavar="KEY", help=f"For --since. {KEY_HELP} Default: this log's own.")
@click.option("--bodies", is_flag=True, help="Also read every payload file; this reads all stored data.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def verify_command(
    config_path: Path | None,
    data: str | None,
    since: IO[bytes] | None,
    key: str | None,
    bodies: bool,
    as_json: bool,
) -> None:
    """Verify that all data exists and is unchanged.

    The command checks every frame, the hash tree over all records, that every part either matches its
    commitment or was erased by a record, that erased parts are zeros, that the events replay, and that their
    payload files exist; with --bodies also the bytes of these files. It changes nothing, and does not mistake
    the activity of a running server for damage.

    Exit code: 0 nothing is wrong; 1 something is wrong; 2 the journal cannot be read.
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
            match = f"History up to record {earlier.size} matches the checkpoint of {earlier.origin}."
            click.echo(visible(match))
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
        console.print(Text("All data exists and is unchanged.", style="green"))
        if found.payloads and not found.bodies:
            console.print(f"The bytes of {found.payloads} payload files were not read; --bodies reads them.")
        return
    kinds = Counter(str(one.kind) for one in report.findings if not one.harmless)
    kinds.update({"event": len(found.events)} if found.events else {})
    kinds_found = ", ".join(f"{count} × {kind}" for kind, count in kinds.items())
    mend = _mending(found)
    who = " `retain audit log -i journal` shows who did it." if found.changes else ""
    console.print(Text(f"Found: {kinds_found}.{mend}{who}", style="bold red"))


def _mending(found: Verification) -> str:
    """Return the hints: the commands that resolve the findings."""
    kinds = {one.kind for one in found.journal.findings if not one.harmless}
    # No command resolves a history that is not the checkpoint's: an auditor judges the reason. For an index,
    # the finding itself has the hint.
    damaged = kinds - {FindingKind.CHECKPOINT, FindingKind.PAYLOAD, FindingKind.INDEX}
    mend = " `retain journal repair` shows what can be done." if damaged or found.events else ""
    if FindingKind.PAYLOAD in kinds:
        bodies = " --bodies" if found.bodies else ""
        mend += f" `retain journal lost{bodies}` lists the lost content and can record the loss."
    return mend


@command.command(name="state")
@data_options
@click.option("--at", "time", type=MOMENT, required=True, help=f"The moment: {MOMENT_HELP}")
@click.option("--interface", "-i", type=click.Choice(list(HELD_BY)), help="Only this interface.")
@resource_options
@click.option("--compact", is_flag=True, help="Print one JSON object per line instead of one document.")
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
    """Show the data stored at a past time, as JSON.

    The command replays the journal up to that time. It shows neither data that has been erased since nor data
    that had expired by then. Files and blobs are listed by name, type and size.

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
@click.option("--user", "-u", metavar="NAME", required=True, help="The user.")
@click.option(
    "--device", "-d", metavar="ID", default="", help="The user's device. Default: the user's own settings."
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
    """Show the settings that a user or a user's device saw at a past time: all levels merged, as JSON.

    The journal does not contain roles, because the identity provider assigns them: give them with --role.

    Exit code: 0 shown; 1 the user saw no settings.

    \b
    retain audit seen --at 2026-05-03T12:00+02:00 -p shop -u anna -d tablet-7 --role Sales
    """
    disk = open_data(config_path, data)
    note_future(time)
    with reading(disk), progress(disk, "Replaying") as update:
        state = state_at(disk, time, update)
    seen = seen_by(state.settings, Asker(user, frozenset(roles)), application, device)
    if seen is MISSING:
        raise Stopped(
            f"user {visible(user)} saw no settings of {visible(application)} then; check --at and --role",
            FAILED,
        )
    click.echo(json.dumps(seen, ensure_ascii=False, indent=2))


for proof in (*COMMANDS, retention):
    command.add_command(proof)
