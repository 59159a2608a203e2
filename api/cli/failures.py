"""Turn errors of a data folder into one line and an exit code, the same for every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from retain import journal
from retain.api.cli.exits import DAMAGED, FAILED, IN_USE, IN_USE_HINT, STEPPED_DOWN, WRONG, Stopped
from retain.api.config.load import ConfigError
from retain.engine import EngineError
from retain.engine.nodes.options import SteppedDown
from retain.engine.wire import UnknownEvent
from retain.journal.backup.manifest import MANIFEST_FILE


@contextmanager
def failures_of(folder: str, *, in_use: str = IN_USE_HINT) -> Iterator[None]:
    """Turn errors and groups of errors of opening and using the data folder into `Stopped`.

    Args:
        folder: The data folder, as the operator named it.
        in_use: Added to the message if another process is using it.

    """
    try:
        yield
    except Exception as error:
        leaves = list(_leaves(error))
        if any(isinstance(leaf, BrokenPipeError) for leaf in leaves):
            raise BrokenPipeError from None  # click ends quietly
        ends = [_stopped(folder, leaf, in_use) for leaf in leaves]
        if None in ends or ends[0] is None:
            raise  # a bug, whatever else happened
        raise ends[0] from None


def _stopped(folder: str, error: Exception, in_use: str) -> Stopped | None:
    """Return the error that ends the command; None for a bug."""
    match error:
        case Stopped():
            return error
        case journal.Locked():
            return Stopped(f"{folder} is in use by process {error.pid or 'unknown'}{in_use}", IN_USE)
        case journal.ForeignFolder():
            return Stopped(f"{folder} cannot be used as the data folder: {error}", WRONG)
        case SteppedDown():
            return Stopped(f"this node ends and must be started again: {error}", STEPPED_DOWN)
        case journal.Unsettled() | journal.Fenced():
            advice = "check cluster.log, and that PostgreSQL runs and accepts this role"
            return Stopped(f"the shared log of the cluster cannot be used: {error}; {advice}", STEPPED_DOWN)
        case journal.TooFarBehind():
            seed = "empty it, and restore a backup of another node into it: `retain backup restore`"
            return Stopped(f"{folder}: {error}; {seed}", FAILED)
        case journal.NoSpace() | journal.BadTarget():
            return Stopped(f"{folder}: {error}", FAILED)
        case UnknownEvent() | journal.UnknownVersion():
            reason = "was written by a newer version of Retain; upgrade this one"
            return Stopped(f"{folder} {reason} ({error})", FAILED)
        case journal.JournalError():
            hint = "`retain audit verify` lists the damage, `retain journal repair` what a repair would lose"
            return Stopped(f"{folder} is damaged: {error}; {hint}", DAMAGED)
        case ConfigError():
            return Stopped(str(error), WRONG)
        case EngineError():
            return Stopped(error.message, FAILED)
        case OSError():
            return Stopped(unusable(folder, error), FAILED)
        case _:
            return None


def no_journal(data: str, disk: journal.Disk) -> str:
    """Return the message for a folder without a journal; a backup is none, but contains a journal."""
    if disk.exists(MANIFEST_FILE):
        return (
            f"{data} is a backup; `retain backup verify` checks it, and `retain backup restore` makes a data "
            "folder of it, which this command can read"
        )
    return f"{data} contains no journal; name another folder with --data"


def _leaves(error: Exception) -> Iterator[Exception]:
    """Yield the errors in a group that are not groups themselves."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def unusable(folder: str, error: OSError) -> str:
    """Return why the data folder cannot be used, and what to do about it."""
    reason = error.strerror or str(error)
    match error:
        case PermissionError():
            hint = "; run the command as the user that owns the folder"
        case FileNotFoundError() | NotADirectoryError():
            hint = "; --data names another folder"
        case _:
            hint = ""
    place = "" if error.filename in (None, folder) else f" ({error.filename})"
    return f"{folder} cannot be used: {reason}{place}{hint}"
