"""`retain erase`: erasure on request (GDPR, article 17)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from retain import journal
from retain.api.admin.rights import MOST_TARGETS, packed
from retain.api.cli.data_folder import open_data, progress, reading, visible
from retain.api.cli.main import FAILED, Stopped, data_options
from retain.api.cli.options import configured
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.cli.selection import (
    PATTERN,
    PATTERN_HELP,
    asked_from,
    check_tenants,
    selection_options,
    show_selection,
)
from retain.api.cli.words import counted
from retain.api.config.engine import engine_options
from retain.engine.audit.kept_names import kept_names
from retain.engine.core.pattern import Pattern, Wanted
from retain.engine.core.policy import RetentionPolicy
from retain.engine.core.time import timestamp
from retain.engine.holds import HoldKind
from retain.engine.persons.end import HELD
from retain.engine.persons.find import Selection, Subject, recorded
from retain.engine.snapshots.load import present


@click.command(name="erase")
@selection_options
@click.option(
    "--actor",
    "actors",
    multiple=True,
    metavar="WHO",
    help="Also list the log entries that name this actor, e.g. cli:eve, and how long they do. --user NAME "
    "includes user:NAME.",
)
@click.option(
    "--match-actor", "actor_patterns", multiple=True, type=PATTERN, help=f"As --actor: {PATTERN_HELP}"
)
@click.option(
    "--ordered-by", metavar="WHO", help="Who ordered the erasure, for the audit log, in addition to you."
)
@click.option("--yes", "-y", is_flag=True, help="Erase. Without this, only show what would be erased.")
@click.option(
    "--now",
    is_flag=True,
    help="Erase from disk before the command returns, not within retention.erase_within_hours.",
)
@click.option(
    "--names",
    "with_names",
    is_flag=True,
    help="Also erase names and actors from the audit log, now; it then shows only that something happened.",
)
@data_options
@json_option
def command(
    actors: tuple[str, ...],
    actor_patterns: tuple[Pattern, ...],
    ordered_by: str | None,
    yes: bool,
    now: bool,
    with_names: bool,
    config_path: Path | None,
    data: str | None,
    as_json: bool,
    **selection: Any,
) -> None:
    """Erase everything stored about a person, a tenant or individual resources.

    The command lists what it finds: what clients see, and what was overwritten or deleted but is not erased
    yet. It erases only with --yes. The data is then hidden at once and erased from every file within
    retention.erase_within_hours, or with --now before the command returns. Data under a legal hold is not
    erased. You can repeat the command safely.

    RESOURCE is a name as `retain audit log` shows it; * and ? in it are taken literally. Selectors are
    combined with OR; --tag together with --name or --match is an AND.

    Records of other resources can name a person too, such as the user who changed a shared document. They are
    listed as kept, with the reason and the date on which the name is erased.

    With --now alone, erase everything that is already due, of all persons.

    \b
    retain erase --user ann --gms-user 4711
    retain erase --tag customer=4711 --yes --now
    retain erase --match 'mytenant/recordings/2026-05-*' --yes

    Exit code: 0 erased, or nothing to erase; 1 a legal hold prevents an erasure; 2 wrong usage.
    """
    wanted: set[Wanted] = {*actors, *actor_patterns, *(f"user:{user}" for user in selection["users"])}
    if now and not any(selection.values()) and not wanted:
        _erase_due(config_path, data, ordered_by, as_json=as_json)
        return
    asked = asked_from(**selection) if any(selection.values()) or not wanted else Selection()
    disk = open_data(config_path, data)
    with reading(disk), progress(disk, "Searching") as update:
        found = recorded(disk, asked, update) if asked else []
    check_tenants(disk, config_path, data, asked, found)
    if not as_json:
        show_selection(asked, found)
    options = {"ordered_by": ordered_by, "dry_run": not yes, "now": now, "names": with_names}
    results, parts = _erased(config_path, data, found, options)
    policy = engine_options(configured(config_path, data=data)).retention()
    stays = None if with_names else policy.audit
    rows = [_row(subject, result, stays) for subject, result in zip(found, results, strict=True)]
    kept = _kept(disk, policy, wanted, found)
    if as_json:
        print_json({"done": yes, "erased_parts": parts, "found": rows, "kept": kept})
    else:
        _tell(rows, parts, yes=yes, now=now or with_names)
        _tell_kept(kept)
    if yes and any(row["status"] == HELD for row in rows):
        raise Stopped("some data is under a legal hold and was not erased; see `retain hold list`", FAILED)


def _erased(
    config_path: Path | None, data: str | None, found: Sequence[Subject], options: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], int]:
    """Erase in actions of bounded size. Return the result for each subject and the number of erased parts."""
    results: list[dict[str, Any]] = []
    parts = 0
    for start in range(0, len(found), MOST_TARGETS):
        chunk = [packed(subject.target) for subject in found[start : start + MOST_TARGETS]]
        more = start + MOST_TARGETS < len(found)
        answer = run_action(config_path, data, "erase", targets=chunk, more=more, **options)
        results += answer["results"]
        parts += answer["erased_parts"]
    return results, parts


def _kept(
    disk: journal.RealDisk, policy: RetentionPolicy, actors: Collection[Wanted], found: Sequence[Subject]
) -> list[dict[str, Any]]:
    """Return the records of other resources that name the actors, oldest first."""
    if not actors:
        return []
    apart = {subject.target.resource for subject in found}
    with reading(disk), progress(disk, "Searching names") as update:
        kept = list(kept_names(disk, present(disk), actors, apart, policy, update))
    return [
        {
            "seq": one.entry.seq,
            "time": timestamp(one.entry.time),
            "event": one.entry.event,
            "name": one.entry.subject,
            "actor": one.entry.actor,
            "reason": one.reason,
            "until": None if one.until is None else timestamp(one.until),
        }
        for one in kept
    ]


def _tell_kept(kept: Sequence[Mapping[str, Any]]) -> None:
    if not kept:
        return
    columns = {
        "RECORD": lambda row: row["seq"],
        "EVENT": lambda row: row["event"],
        "OF": lambda row: visible(row["name"]),
        "NAMES": lambda row: visible(row["actor"]),
        "UNTIL": lambda row: row["until"] or "the hold is lifted",
        "BECAUSE": lambda row: row["reason"],
    }
    click.echo("Kept, with the name:", err=True)
    print_table(columns, kept)


def _erase_due(config_path: Path | None, data: str | None, ordered_by: str | None, *, as_json: bool) -> None:
    answer = run_action(config_path, data, "erase due", ordered_by=ordered_by)
    if as_json:
        print_json(answer)
    else:
        ended = counted(answer["ended"], "deadline")
        click.echo(f"Ended {ended}; erased {counted(answer['erased_records'], 'record')}.", err=True)


def _row(subject: Subject, result: dict[str, Any], names_stay: int | None) -> dict[str, Any]:
    """Return a row of the table.

    `names_stay`: how long names remain in the log, in nanoseconds; None if they are erased as well.
    """
    names_until = None if names_stay is None else timestamp(subject.last + names_stay)
    return {
        "interface": subject.interface,
        "name": subject.target.subject,
        "resource": subject.target.resource.hex(),
        "status": result["status"],
        "holds": result["holds"],
        "records": subject.records,
        "kept": subject.kept,
        "bytes": subject.size,
        "names_until": None if result["status"] == HELD else names_until,
    }


def _tell(rows: list[dict[str, Any]], parts: int, *, yes: bool, now: bool) -> None:
    if not rows:
        click.echo("No stored data matches the selection.", err=True)
        return
    columns = {
        "INTERFACE": lambda row: row["interface"],
        "RESOURCE": lambda row: visible(row["name"]),
        "STATUS": lambda row: row["status"],
        "RECORDS": lambda row: row["records"],
        "WITH CONTENT": lambda row: row["kept"],
        "BYTES": lambda row: row["bytes"],
    }
    if any(row["status"] == HELD for row in rows):
        columns["HELD BECAUSE"] = _reasons
    print_table(columns, rows)
    if not yes:
        click.echo(f"{len(rows)} found. Nothing was changed; --yes erases this.", err=True)
    elif now:
        click.echo(f"Parts of records erased: {parts}.", err=True)
    else:
        click.echo("Hidden now; erased from disk within retention.erase_within_hours.", err=True)


def _reasons(row: dict[str, Any]) -> str:
    """Return why a row is held: the reason of each hold, with the whole that is held if it is not the row."""
    whole = {HoldKind.CONTAINER: " (its container)", HoldKind.TENANT: " (its tenant)"}
    return "; ".join(f"{visible(one['reason'])}{whole.get(one['kind'], '')}" for one in row["holds"])
