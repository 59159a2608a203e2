"""`retain backup`: create, verify and restore backups of a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import click

from retain import journal
from retain.api.admin.control_client import ActionRefused, Unreachable, ask
from retain.api.cli.data_folder import open_data, reading, visible
from retain.api.cli.groups import Section
from retain.api.cli.main import DAMAGED, FAILED, IN_USE, WRONG, Stopped, data_options
from retain.api.cli.options import configured
from retain.api.cli.output import output_option, write_output
from retain.api.cli.ownership import refuse_as_root
from retain.api.cli.progress import asked_progress, byte_progress
from retain.api.cli.run import actor, json_option, print_json, run_action
from retain.api.cli.words import counted
from retain.engine import SystemClock
from retain.engine.audit.backups import facts_of
from retain.engine.core.time import timestamp
from retain.journal.backup.create import check_backup
from retain.journal.backup.places import check_apart
from retain.journal.backup.restore import restore
from retain.journal.erasure.manifest import Erasures, export_erasures
from retain.journal.mended import Ordered

LIST_BYTES = 1 << 30
"""Longest list of erasures that is read."""


@click.group(name="backup", cls=Section)
def command() -> None:
    """Back up the data folder, verify backups, and restore them without data erased since.

    A backup is complete and consistent; backing up into the same folder again copies only new data. A backup
    still holds data that is erased from the data folder later: update it regularly, and keep the list of
    erasures (`retain backup erasures`) apart from it.
    """


@command.command(name="create")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@data_options
@json_option
def create_command(folder: Path, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Create a backup in FOLDER, or update the backup that FOLDER holds.

    For a first backup, FOLDER must be new or empty, and outside every data folder. The server keeps answering
    requests. Files that only earlier backups needed, such as journal files from before an erasure, are
    overwritten and removed; no other file is touched. The backup contains keys: keep it private.
    """
    with asked_progress("Backing up", lambda: _progress(config_path, data)):
        report = run_action(config_path, data, "backup create", folder=str(folder.absolute()))
    if as_json:
        print_json(report)
        return
    click.echo(
        f"{folder} holds records 1 to {report['seq']}, up to {report['time']}: "
        f"{counted(report['files'], 'file')}, {counted(report['bytes'], 'byte')}; {report['copied']} copied "
        f"({counted(report['copied_bytes'], 'byte')}), "
        f"{report['removed']} removed."
    )
    for name in report["foreign"]:
        click.echo(f"Not part of the backup, not touched: {visible(name)}", err=True)


def _progress(config_path: Path | None, data: str | None) -> tuple[int, int] | None:
    """Ask the server how far its backup has come; None if there is no server, or no backup any more."""
    folder = Path(configured(config_path, data=data).storage.data).absolute()
    try:
        found = ask(folder, "backup progress", actor=actor())
    except (ActionRefused, Unreachable):
        return None
    return None if found is None else (found[0], found[1])


@command.command(name="verify")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@json_option
def verify_command(folder: Path, as_json: bool) -> None:
    """Check that the backup in FOLDER is complete: that every file exists and matches its digest.

    Exit code: 0 complete; 1 files are missing or damaged; 2 FOLDER holds no backup.
    """
    try:
        with byte_progress("Verifying") as update:
            manifest, wrong = check_backup(journal.RealDisk(folder, create=False), update)
    except (journal.JournalError, OSError) as error:
        raise Stopped(f"{folder}: {error}", WRONG) from None
    facts = {**facts_of(manifest), "time": timestamp(manifest.time), "wrong": wrong}
    if as_json:
        print_json(facts)
    else:
        for name in wrong:
            click.echo(f"Missing or damaged: {visible(name)}")
        state = "is damaged" if wrong else "is complete"
        click.echo(f"The backup of records 1 to {manifest.seq}, up to {facts['time']}, {state}.")
    if wrong:
        raise SystemExit(FAILED)


@command.command(name="erasures")
@data_options
@output_option
def erasures_command(config_path: Path | None, data: str | None, output: Path) -> None:
    """Write the list of all erasures: record numbers, causes and times, no personal data.

    Keep the newest list apart from the backups. `retain backup restore` needs it to leave out data that was
    erased after the backup.
    """
    disk = open_data(config_path, data)
    with reading(disk):
        erasures = export_erasures(disk).pack()
    write_output(output, erasures)


@command.command(name="restore")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--erasures", type=click.File("rb"), help="The newest list that `retain backup erasures` wrote."
)
@click.option(
    "--erasures-of",
    "lost",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Read the list from this old data folder, if its journal can still be read.",
)
@click.option("--bring-back-erased", is_flag=True, help="Restore without a list: erased data may come back.")
@json_option
def restore_command(
    folder: Path,
    target: Path,
    erasures: IO[bytes] | None,
    lost: Path | None,
    bring_back_erased: bool,
    as_json: bool,
) -> None:
    """Restore the backup in FOLDER into TARGET, which must be new or empty.

    Data erased since the backup is erased in TARGET before a server can open it; this needs the list of
    erasures. If the restore is interrupted, no server opens TARGET; run the restore again.

    Exit code: 0 restored; 1 failed; 2 wrong usage; 3 TARGET is in use; 4 the backup is damaged.
    """
    if [erasures is not None, lost is not None, bring_back_erased].count(True) != 1:
        raise Stopped(
            "give one of --erasures, --erasures-of, --bring-back-erased",
            WRONG,
        )
    try:
        check_apart(target, folder)
        refuse_as_root(str(target))
        known = _known(erasures, lost)
        ordered = Ordered(actor(), SystemClock().wall())
        backup = journal.RealDisk(folder, create=False)
        with byte_progress("Restoring") as update:
            report = restore(backup, journal.RealDisk(target), known, ordered=ordered, on_done=update)
    except journal.Locked as error:
        text = f"{target} is in use by process {error.pid or 'unknown'}; name a new folder"
        raise Stopped(text, IN_USE) from None
    except journal.BadTarget as error:
        raise Stopped(f"{target}: {error}", FAILED) from None
    except journal.JournalError as error:
        raise Stopped(f"{folder}: {error}", DAMAGED) from None
    except OSError as error:
        raise Stopped(str(error), FAILED) from None
    facts: dict[str, Any] = {
        **facts_of(report.manifest),
        "time": timestamp(report.manifest.time),
        "erased_parts": report.erased,
        "seq": report.seq,
    }
    if as_json:
        print_json(facts)
    else:
        click.echo(
            f"Restored the data up to {facts['time']} into {target}: {counted(report.files, 'file')}. "
            f"Erased again, because it was erased since the backup: {counted(report.erased, 'part')}."
        )


def _known(erasures: IO[bytes] | None, lost: Path | None) -> Erasures | None:
    """Return the list of erasures, None if there is none. Raises `Stopped`."""
    if erasures is not None:
        try:
            return Erasures.unpack(erasures.read(LIST_BYTES))
        except (journal.Corrupt, OSError) as error:
            hint = "give the file that `retain backup erasures` wrote"
            raise Stopped(f"--erasures {erasures.name}: {error}; {hint}", WRONG) from None
    if lost is None:
        return None
    disk = open_data(None, str(lost))
    with reading(disk):
        return export_erasures(disk)
