"""`retain backup`: copies of a data folder, and the way back without what was erased since."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import click

from retain import journal
from retain.api.cli.data_folder import open_data, reading, visible
from retain.api.cli.groups import Section
from retain.api.cli.main import DAMAGED, FAILED, IN_USE, WRONG, Stopped, data_options
from retain.api.cli.output import output_option, write_output
from retain.api.cli.run import act, actor, json_option, print_json
from retain.api.cli.words import counted
from retain.engine import SystemClock
from retain.engine.audit.backups import told
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
    """Back up the data folder, check backups, restore them without what was erased since.

    A backup is complete and of one moment; taking it again copies only what is new. It holds what is erased
    from the data folder later: take the next one into the same folder soon, and keep the list of erasures
    (`retain backup erasures`) apart from it.
    """


@command.command(name="create")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@data_options
@json_option
def create_command(folder: Path, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Bring the backup in FOLDER up to the present; the first time, make it.

    For a first backup, FOLDER must be new or empty, and apart from every data folder. Requests go on
    meanwhile. Files of earlier backups that the new one does not need are overwritten and removed, above all
    journal files as they were before something was erased; no other file is touched. The backup holds keys:
    keep it private.
    """
    report = act(config_path, data, "backup create", folder=str(folder.absolute()))
    if as_json:
        print_json(report)
        return
    click.echo(
        f"{folder} holds records 1 to {report['seq']}, until {report['time']}: "
        f"{counted(report['files'], 'file')}, {counted(report['bytes'], 'byte')}; {report['copied']} copied "
        f"({counted(report['copied_bytes'], 'byte')}), "
        f"{report['removed']} removed."
    )
    for name in report["foreign"]:
        click.echo(f"Not part of a backup, left alone: {visible(name)}", err=True)


@command.command(name="verify")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@json_option
def verify_command(folder: Path, as_json: bool) -> None:
    """Check that the backup in FOLDER is whole: every file is there, with its digest.

    Exit code: 0 it is; 1 files are missing or damaged; 2 there is no backup.
    """
    try:
        manifest, wrong = check_backup(journal.RealDisk(folder, create=False))
    except (journal.JournalError, OSError) as error:
        raise Stopped(f"{folder}: {error}", WRONG) from None
    facts = {**told(manifest), "time": timestamp(manifest.time), "wrong": wrong}
    if as_json:
        print_json(facts)
    else:
        for name in wrong:
            click.echo(f"Missing or damaged: {visible(name)}")
        state = "is damaged" if wrong else "is whole"
        click.echo(f"The backup of records 1 to {manifest.seq}, until {facts['time']}, {state}.")
    if wrong:
        raise SystemExit(FAILED)


@command.command(name="erasures")
@data_options
@output_option
def erasures_command(config_path: Path | None, data: str | None, output: Path) -> None:
    """Write the list of all that was ever erased: numbers of records, causes and times, nothing personal.

    Keep the newest one apart from the backups. `retain backup restore` needs it, so that it does not bring
    back what was erased after the backup was taken.
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
@click.option(
    "--bring-back-erased", is_flag=True, help="There is no list: accept that erased data may be back."
)
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

    What was erased since the backup was taken is erased in TARGET before anything can open it; for that the
    list of erasures is needed. If the restore is interrupted, no server opens TARGET; run the restore again.

    Exit code: 0 done; 1 failed; 2 wrong usage; 3 TARGET is in use; 4 the backup is damaged.
    """
    if [erasures is not None, lost is not None, bring_back_erased].count(True) != 1:
        raise Stopped("give --erasures, --erasures-of or --bring-back-erased", WRONG)
    try:
        check_apart(target, folder)
        known = _known(erasures, lost)
        ordered = Ordered(actor(), SystemClock().wall())
        backup = journal.RealDisk(folder, create=False)
        report = restore(backup, journal.RealDisk(target), known, ordered=ordered)
    except journal.Locked as error:
        raise Stopped(f"{target} is in use by process {error.pid or 'unknown'}", IN_USE) from None
    except journal.BadTarget as error:
        raise Stopped(f"{target}: {error}", FAILED) from None
    except journal.JournalError as error:
        raise Stopped(f"{folder}: {error}", DAMAGED) from None
    except OSError as error:
        raise Stopped(str(error), FAILED) from None
    facts: dict[str, Any] = {
        **told(report.manifest),
        "time": timestamp(report.manifest.time),
        "erased_parts": report.erased,
        "seq": report.seq,
    }
    if as_json:
        print_json(facts)
    else:
        click.echo(
            f"{target} holds what was kept until {facts['time']}: {counted(report.files, 'file')}. "
            f"Erased here as well, because it was erased since: {counted(report.erased, 'part')}."
        )


def _known(erasures: IO[bytes] | None, lost: Path | None) -> Erasures | None:
    """The list of erasures, if there is one. Raises `Stopped`."""
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
