"""`retain export`: everything stored about a person (GDPR, article 15)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from retain import journal
from retain.api.admin.exports import DOCUMENT, FILES, document, path_of
from retain.api.cli.data_folder import open_data, progress, reading, visible
from retain.api.cli.main import OUTPUT, Stopped, data_options
from retain.api.cli.output import writing
from retain.api.cli.run import run_action
from retain.api.cli.selection import (
    PATTERN,
    PATTERN_HELP,
    asked_from,
    check_tenants,
    selection_options,
    show_selection,
)
from retain.api.cli.words import counted
from retain.engine import SystemClock
from retain.engine.audit.dossier import Attachment, Dossier
from retain.engine.core.pattern import Pattern
from retain.journal.backup.places import check_apart
from retain.journal.disk.real import new_folder


@click.command(name="export")
@selection_options
@click.option(
    "--actor",
    "actors",
    multiple=True,
    metavar="WHO",
    help="The actions of this actor, e.g. cli:eve. --user NAME includes user:NAME.",
)
@click.option(
    "--match-actor", "actor_patterns", multiple=True, type=PATTERN, help=f"As --actor: {PATTERN_HELP}"
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Write to this folder, which must be new or empty: export.json, and bodies under files/.",
)
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def command(
    output: Path,
    actors: tuple[str, ...],
    actor_patterns: tuple[Pattern, ...],
    config_path: Path | None,
    data: str | None,
    as_json: bool,
    **selection: Any,
) -> None:
    """Export everything stored about a person, a tenant or individual resources.

    The export contains what clients see, data that has expired or was deleted but is not erased yet, every
    earlier version, and the log. It works beside a running server. The audit log records that you made it,
    before anything is written. Only you can read the files (mode 0600): hand them over, then delete them.

    \b
    retain export --user ann --gms-user 4711 --output ann/

    Exit code: 0 written, or nothing is stored; 1 the data cannot be read; 5 the folder cannot be written.
    """
    asked = asked_from(actors=(*actors, *actor_patterns), **selection)
    selection |= {"actors": actors, "match_actor": actor_patterns}
    disk = open_data(config_path, data)
    now = SystemClock().wall()
    with reading(disk), progress(disk, "Reading") as update:
        dossier = Dossier(disk, asked, now, update)
        actions = list(dossier.actions(update))
        check_tenants(disk, config_path, data, asked, dossier.subjects)
    folder = _new_folder(output)
    if dossier.subjects:
        numbers = [subject.target.resource.hex() for subject in dossier.subjects]
        run_action(config_path, data, "export record", resources=numbers)
    with reading(disk):
        written = _written(folder, output, dossier, actions, now, selection)
    if as_json:
        click.echo(json.dumps(written, ensure_ascii=False))
    else:
        show_selection(asked, dossier.subjects)
        resources, files = counted(written["resources"], "resource"), counted(written["files"], "file")
        wrote = f"{resources}, {files}, {counted(written['actions'], 'line')} of the log"
        click.echo(f"Wrote {wrote} to {visible(str(output))}.")
        for name in written["missing"]:
            click.echo(f"Erased during the export, not included: {visible(name)}", err=True)


def _written(
    folder: journal.Disk,
    output: Path,
    dossier: Dossier,
    actions: list[dict[str, Any]],
    now: int,
    selection: dict[str, Any],
) -> dict[str, Any]:
    resources: list[dict[str, Any]] = []
    missing: list[str] = []
    count = 0
    for entry in dossier.entries():
        for facts, attachment in zip(entry.facts["files"], entry.files, strict=True):
            count += 1
            facts["path"] = path_of(count, attachment.name)
            try:
                _store(folder, output, facts["path"], attachment)
            except journal.Corrupt:
                missing.append(attachment.name)
                facts["path"] = None
        resources.append(entry.facts)
    asked = {
        name: [one.text if isinstance(one, Pattern) else one for one in values]
        for name, values in selection.items()
        if values
    }
    with writing(output):
        folder.write_atomic(DOCUMENT, document(now, asked, resources, actions))
    return {
        "output": str(output),
        "resources": len(resources),
        "files": count - len(missing),
        "actions": len(actions),
        "missing": missing,
    }


def _new_folder(output: Path) -> journal.Disk:
    """Create a new folder: an earlier export in it may concern another person. Raises `Stopped`."""
    try:
        check_apart(output)
        folder = new_folder(output)
        folder.make_folder(FILES)
    except (OSError, journal.BadTarget) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Stopped(f"{output}: {reason}; name a new folder for --output", OUTPUT) from None
    return folder


def _store(folder: journal.Disk, output: Path, path: str, attachment: Attachment) -> None:
    at = 0
    try:
        with writing(output):
            file = folder.open(path, create=True)
        with file:
            for chunk in _sized(attachment):
                with writing(output):
                    file.pwrite(at, chunk)
                at += len(chunk)
            with writing(output):
                file.sync()
    except journal.Corrupt:
        folder.unlink(path)
        raise


def _sized(attachment: Attachment) -> Iterator[bytes]:
    yield from (chunk for chunk in attachment.chunks() if chunk)
