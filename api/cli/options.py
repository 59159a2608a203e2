"""Load the configuration for a command."""

from __future__ import annotations

import os
from pathlib import Path

from retain.api.cli.main import WRONG, Stopped, configuration_path
from retain.api.config.load import Config, ConfigError, load


def configured(
    config_path: Path | None, *, data: str | None = None, bind: str | None = None, workers: int | None = None
) -> Config:
    """Return the configuration from file and environment, overridden by the command line.

    Raises `Stopped`.
    """
    given = {
        "storage.data": ("--data", data),
        "server.bind": ("--bind", bind),
        "server.workers": ("--workers", None if workers is None else str(workers)),
    }
    options = {place: (option, value) for place, (option, value) in given.items() if value is not None}
    try:
        return load(configuration_path(config_path), os.environ, options)
    except ConfigError as error:
        raise Stopped(str(error), WRONG) from None
