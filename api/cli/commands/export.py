"""``retain export``: everything that is kept about a person (GDPR, article 15)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from retain import journal
from retain.api.cli.data_folder import open_data, progress, told_apart, visible
from retain.api.cli.main import data_options
from retain.api.cli.selection import asked_from, selection_options
from retain.engine import SystemClock
from retain.engine.audit.contents import timestamp
from retain.engine.audit.dossier import Attachment, Dossier

FORMAT = "retain-export/1"
DOCUMENT = "export.json"
FILES = "files"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_WRITTEN = re.compile(r"[0-9]{5,}-.*", re.DOTALL)


@click.command(name="export")
@selection_options
@click.option(
    "--actor",
    "actors",
    multiple=True,
    metavar="WHO",
    help="What this one did, e.g. cli:eve. --user NAME already means user:NAME as well.",
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Write to this folder: export.json, and bodies under files/.",
)
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def command(
    output: Path, config_path: Path | None, data: str | None, as_json: bool, **selection: Any
) -> None:
    """Write down everything that is kept about a person, a tenant, or of single resources.

    That is what clients see, what is past its deadline or deleted and not erased yet, every earlier version,
    and the log of what happened. Only reads; works beside a running server. The folder is for your eyes
    only (mode 0700): hand it over, then remove it.

    \b
    retain export --user ann --gms-user 4711 --output ann/

    Exit code: 0 written, or nothing is kept; 1 the data cannot be read or the folder not be written.
    """
    asked = asked_from(**selection)
    disk = open_data(config_path, data)
    now = SystemClock().wall()
    with told_apart(), progress(disk, "Reading") as update:
        dossier = Dossier(disk, asked, now, update)
        acts = list(dossier.acts(update))
        written = _written(output, dossier, acts, now, selection)
    if as_json:
        click.echo(json.dumps(written, ensure_ascii=False))
    else:
        told = f"{written['things']} things, {written['files']} files, {written['acts']} lines of the log"
        click.echo(f"Wrote {told} to {visible(str(output))}.")
        for name in written["missing"]:
            click.echo(f"Erased while this was written: {visible(name)}", err=True)


def _written(
    output: Path, dossier: Dossier, acts: list[dict[str, Any]], now: int, selection: dict[str, Any]
) -> dict[str, Any]:
    folder = journal.RealDisk(output)
    _clear(folder)
    things: list[dict[str, Any]] = []
    missing: list[str] = []
    count = 0
    for entry in dossier.entries():
        for told, attachment in zip(entry.facts["files"], entry.files, strict=True):
            count += 1
            told["path"] = _path(count, attachment.name)
            try:
                _store(folder, told["path"], attachment)
            except journal.Corrupt:
                missing.append(attachment.name)
                told["path"] = None
        things.append(entry.facts)
    document = {
        "format": FORMAT,
        "made": timestamp(now),
        "asked": {name: list(values) for name, values in selection.items() if values},
        "things": things,
        "acts": acts,
    }
    folder.write_atomic(DOCUMENT, json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n")
    return {
        "output": str(output),
        "things": len(things),
        "files": count - len(missing),
        "acts": len(acts),
        "missing": missing,
    }


def _clear(folder: journal.Disk) -> None:
    """Takes an earlier export out of the folder: it may be of somebody else."""
    if folder.exists(DOCUMENT):
        folder.unlink(DOCUMENT)
    folder.make_folder(FILES)
    for name in folder.names(FILES):
        if _WRITTEN.fullmatch(name):
            folder.unlink(f"{FILES}/{name}")


def _path(number: int, name: str) -> str:
    """A file name that no body's name can steer out of the folder, or into another body's."""
    return f"{FILES}/{number:05}-{_UNSAFE.sub('_', name.rpartition('/')[2])[-100:].lstrip('.')}"


def _store(folder: journal.Disk, path: str, attachment: Attachment) -> None:
    at = 0
    try:
        with folder.open(path, create=True) as file:
            for chunk in _sized(attachment):
                file.pwrite(at, chunk)
                at += len(chunk)
            file.sync()
    except journal.Corrupt:
        folder.unlink(path)
        raise


def _sized(attachment: Attachment) -> Iterator[bytes]:
    yield from (chunk for chunk in attachment.chunks() if chunk)
