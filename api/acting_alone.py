"""What a command does where no server runs: it opens the data folder, acts, and closes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import trio

import journal
from api.administration import Administration
from api.cli import DAMAGED, FAILED, IN_USE, WRONG, Stopped
from api.config import Config, ConfigError
from api.config_engine import engine_options
from engine import EngineError, open_engine

E = TypeVar("E", bound=BaseException)


def act_alone(folder: Path, config: Config, name: str, arguments: Mapping[str, Any]) -> Any:
    """See :func:`api.acting.act`."""
    try:
        return trio.run(_act, folder, config, name, arguments)
    except* EngineError as group:
        raise Stopped(_first(group).message, FAILED) from None
    except* ConfigError as group:
        raise Stopped(str(_first(group)), WRONG) from None
    except* journal.Locked as group:
        process = _first(group).pid or "unknown"
        message = f"{config.storage.data} is in use by process {process}, which takes no commands"
        raise Stopped(message, IN_USE) from None
    except* journal.JournalError as group:
        raise Stopped(f"{config.storage.data}: {_first(group)}", DAMAGED) from None
    except* OSError as group:
        raise Stopped(f"{config.storage.data}: {_first(group)}", FAILED) from None


async def _act(folder: Path, config: Config, name: str, arguments: Mapping[str, Any]) -> Any:
    async with open_engine(folder, options=engine_options(config)) as engine:
        administration = await Administration.open(engine, config)
        return await administration.acts()[name](**arguments)


def _first(group: BaseExceptionGroup[E]) -> E:
    """The first leaf of a group."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
