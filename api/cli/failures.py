"""What can go wrong with a data folder, as one line and an exit code: the same for every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from retain import journal
from retain.api.cli.exits import DAMAGED, FAILED, IN_USE, WRONG, Stopped
from retain.api.config.load import ConfigError
from retain.engine import EngineError
from retain.engine.wire import UnknownEvent

E = TypeVar("E", bound=BaseException)


@contextmanager
def failures_of(folder: str, *, in_use: str = "") -> Iterator[None]:
    """Turn errors and groups of errors of opening and using the data folder into `Stopped`.

    Args:
        folder: How the operator calls the data folder.
        in_use: What more to say where another process is using it.
    """
    try:
        yield
    except* (Stopped, BrokenPipeError) as group:
        raise _first(group) from None
    except* journal.Locked as group:
        process = _first(group).pid or "unknown"
        raise Stopped(f"{folder} is in use by process {process}{in_use}", IN_USE) from None
    except* journal.ForeignFolder as group:
        raise Stopped(f"{folder} cannot be the data folder: {_first(group)}", WRONG) from None
    except* (journal.NoSpace, journal.BadTarget) as group:
        raise Stopped(f"{folder}: {_first(group)}", FAILED) from None
    except* (UnknownEvent, journal.UnknownVersion) as group:
        reason = "was written by a newer version of Retain; upgrade this one"
        raise Stopped(f"{folder} {reason} ({_first(group)})", FAILED) from None
    except* journal.JournalError as group:
        hint = "`retain audit verify` lists what is wrong, `retain journal repair` what mending it would lose"
        raise Stopped(f"{folder} is damaged: {_first(group)}; {hint}", DAMAGED) from None
    except* ConfigError as group:
        raise Stopped(str(_first(group)), WRONG) from None
    except* EngineError as group:
        raise Stopped(_first(group).message, FAILED) from None
    except* OSError as group:
        raise Stopped(unusable(folder, _first(group)), FAILED) from None


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


def _first(group: BaseExceptionGroup[E]) -> E:
    """The first error in a group that is not a group itself."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
