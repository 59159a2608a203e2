"""What can go wrong with a data folder, as one line and an exit code: the same for every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from retain import journal
from retain.api.cli.exits import DAMAGED, FAILED, IN_USE, WRONG, Stopped
from retain.api.config.load import ConfigError
from retain.engine import EngineError
from retain.engine.wire import UnknownEvent


@contextmanager
def failures_of(folder: str, *, in_use: str = "") -> Iterator[None]:
    """Turn errors and groups of errors of opening and using the data folder into `Stopped`.

    Args:
        folder: How the operator calls the data folder.
        in_use: What more to say where another process is using it.

    """
    try:
        yield
    except Exception as error:
        leaves = list(_leaves(error))
        if any(isinstance(leaf, BrokenPipeError) for leaf in leaves):
            raise BrokenPipeError from None  # click ends quietly
        ends = [_stopped(folder, leaf, in_use) for leaf in leaves]
        if None in ends or ends[0] is None:
            raise  # a fault of ours, whatever else there was
        raise ends[0] from None


def _stopped(folder: str, error: Exception, in_use: str) -> Stopped | None:
    """The end of a command for an error; None for a fault of ours."""
    match error:
        case Stopped():
            return error
        case journal.Locked():
            return Stopped(f"{folder} is in use by process {error.pid or 'unknown'}{in_use}", IN_USE)
        case journal.ForeignFolder():
            return Stopped(f"{folder} cannot be the data folder: {error}", WRONG)
        case journal.NoSpace() | journal.BadTarget():
            return Stopped(f"{folder}: {error}", FAILED)
        case UnknownEvent() | journal.UnknownVersion():
            reason = "was written by a newer version of Retain; upgrade this one"
            return Stopped(f"{folder} {reason} ({error})", FAILED)
        case journal.JournalError():
            hint = "`retain audit verify` lists the damage, `retain journal repair` what is lost with it"
            return Stopped(f"{folder} is damaged: {error}; {hint}", DAMAGED)
        case ConfigError():
            return Stopped(str(error), WRONG)
        case EngineError():
            return Stopped(error.message, FAILED)
        case OSError():
            return Stopped(unusable(folder, error), FAILED)
        case _:
            return None


def _leaves(error: Exception) -> Iterator[Exception]:
    """The errors in a group that are not groups themselves."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def unusable(folder: str, error: OSError) -> str:
    """Why the data folder cannot be used, and what to do about it."""
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
