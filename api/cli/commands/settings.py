"""`retain settings`: list, export and import applications of the settings interface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from retain.api.cli.data_folder import visible
from retain.api.cli.groups import Section
from retain.api.cli.main import FAILED, WRONG, Stopped, data_options
from retain.api.cli.output import output_option, write_output
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.cli.words import counted
from retain.api.settings.transfer import (
    DocumentChange,
    differences,
    entry,
    line_of,
    read_export,
    text_of,
    unpack,
)
from retain.engine.core.errors import EngineError
from retain.engine.settings import Missing

FILE_BYTES_MAX = 1 << 30
CHUNK_BYTES = 8 << 20
"""How much of an import is sent to a running server at once; at least one document."""

IMPORT_DEPTH = 200


@click.group(name="settings", cls=Section)
def command() -> None:
    """List, export and import applications of the settings interface.

    These commands work whether or not the server runs.
    """


@command.command(name="list")
@data_options
@json_option
def list_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """List the applications and the number and size of their documents."""
    rows = run_action(config_path, data, "settings list")
    if as_json:
        print_json(rows)
        return
    columns = {
        "APPLICATION": lambda row: visible(row["application"]),
        "GLOBAL": lambda row: row["global"],
        "USERS": lambda row: row["users"],
        "DEVICES": lambda row: row["devices"],
        "BYTES": lambda row: row["bytes"],
    }
    print_table(columns, rows)


@command.command(name="export")
@click.argument("application")
@output_option
@data_options
def export_command(application: str, output: Path, config_path: Path | None, data: str | None) -> None:
    """Write all documents of APPLICATION as JSON, including role lists and owners.

    `retain settings import` imports them, here or on another server.
    """
    exported = run_action(config_path, data, "settings export", application=application)
    if not exported["documents"]:
        raise Stopped(
            f"the application {application!r} does not exist; `retain settings list` lists all", FAILED
        )
    text = json.dumps(exported, indent=2, ensure_ascii=False) + "\n"
    write_output(output, text.encode())
    written = counted(len(exported["documents"]), "document")
    click.echo(f"Wrote {written} of {visible(application)}.", err=True)


@command.command(name="import")
@click.argument("file", type=click.File("rb"))
@click.option("--application", help="Import into this application instead of the one in the file.")
@click.option("--replace", is_flag=True, help="Delete documents of the application that are not in the file.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@data_options
@json_option
def import_command(
    file: IO[bytes],
    application: str | None,
    replace: bool,
    dry_run: bool,
    config_path: Path | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Import an export from FILE (- for standard input), and show what changes.

    Each document is replaced as a whole; identical documents are not written. Arrays that hold objects are
    accepted, because SAP's own managed settings contain them.
    """
    document, application = _read(file, application)
    try:
        new = unpack(application, document["documents"])
    except EngineError as refusal:
        raise Stopped(refusal.message, WRONG) from None
    current = run_action(config_path, data, "settings export", application=application)
    old = unpack(application, current["documents"])
    found = list(differences(old, new, replace=replace))
    if not dry_run:
        touched = {difference.place for difference in found}
        stated = [entry(place, value) for place, value in new.items() if place in touched]
        ended = [entry(place, {}) for place in old if place in touched and place not in new]
        for documents, names in _chunks(stated, ended):
            run_action(
                config_path,
                data,
                "settings import",
                application=application,
                documents=documents,
                ended=names,
            )
    if as_json:
        print_json([_row(difference) for difference in found])
        return
    for difference in found:
        click.echo(visible(line_of(difference)))
    places = len({difference.place for difference in found})
    done = "would change" if dry_run else "changed"
    click.echo(f"{places} of {counted(len(new), 'document')} of {visible(application)} {done}.", err=True)


def _read(file: IO[bytes], application: str | None) -> tuple[dict[str, Any], str]:
    data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise Stopped(f"the file is longer than {FILE_BYTES_MAX} bytes", WRONG)
    try:
        document = read_export(data, IMPORT_DEPTH)
    except EngineError as refusal:
        raise Stopped(refusal.message, WRONG) from None
    return document, application or document["application"]


def _chunks(stated: list[Any], ended: list[Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """Yield the documents to import and to delete, in batches of at most `CHUNK_BYTES`."""
    batch: list[Any] = []
    size = 0
    for item in stated:
        length = len(json.dumps(item))
        if batch and size + length > CHUNK_BYTES:
            yield batch, []
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch or ended:
        yield batch, ended


def _row(difference: DocumentChange) -> dict[str, Any]:
    row: dict[str, Any] = {
        "sign": difference.sign,
        "document": text_of(difference.place),
        "path": list(difference.path),
    }
    if not isinstance(difference.old, Missing):
        row["old"] = difference.old
    if not isinstance(difference.new, Missing):
        row["new"] = difference.new
    return row
