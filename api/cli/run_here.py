"""What a command does where no server runs: it opens the data folder, acts, and closes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from retain.api.admin.acts import Administration
from retain.api.cli.failures import failures_of
from retain.api.config.engine import engine_options
from retain.api.config.load import Config
from retain.engine import open_engine


def act_alone(folder: Path, config: Config, name: str, arguments: Mapping[str, Any]) -> Any:
    """Open the data folder in this process and do it here. See `retain.api.cli.run.act`."""
    with failures_of(config.storage.data, in_use=", which does not answer on its control socket"):
        return trio.run(_act, folder, config, name, arguments)


async def _act(folder: Path, config: Config, name: str, arguments: Mapping[str, Any]) -> Any:
    async with open_engine(folder, options=engine_options(config)) as engine:
        administration = await Administration.open(engine, config)
        return await administration.acts()[name](**arguments)
