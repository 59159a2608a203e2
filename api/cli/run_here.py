"""What a command does where no server runs: it opens the data folder, acts, and closes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from retain import journal
from retain.api.admin.acts import Administration
from retain.api.cli.main import DAMAGED, FAILED, IN_USE, WRONG, Stopped, first_leaf
from retain.api.config.engine import engine_options
from retain.api.config.load import Config, ConfigError
from retain.engine import EngineError, open_engine
from retain.engine.wire import UnknownEvent


def act_alone(folder: Path, config: Config, name: str, arguments: Mapping[str, Any]) -> Any:
    """See :func:`api.acting.act`."""
    try:
        return trio.run(_act, folder, config, name, arguments)
    except* EngineError as group:
        raise Stopped(first_leaf(group).message, FAILED) from None
    except* ConfigError as group:
        raise Stopped(str(first_leaf(group)), WRONG) from None
    except* journal.Locked as group:
        process = first_leaf(group).pid or "unknown"
        message = f"{config.storage.data} is in use by process {process}, which takes no commands"
        raise Stopped(message, IN_USE) from None
    except* journal.NoSpace as group:
        raise Stopped(f"{config.storage.data}: {first_leaf(group)}", FAILED) from None
    except* UnknownEvent as group:
        told = f"{config.storage.data}: {first_leaf(group)}: written by a newer version"
        raise Stopped(told, FAILED) from None
    except* journal.JournalError as group:
        raise Stopped(f"{config.storage.data}: {first_leaf(group)}", DAMAGED) from None
    except* OSError as group:
        raise Stopped(f"{config.storage.data}: {first_leaf(group)}", FAILED) from None


async def _act(folder: Path, config: Config, name: str, arguments: Mapping[str, Any]) -> Any:
    async with open_engine(folder, options=engine_options(config)) as engine:
        administration = await Administration.open(engine, config)
        return await administration.acts()[name](**arguments)
