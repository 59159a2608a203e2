"""The configuration that a command goes by."""

from __future__ import annotations

import os
from pathlib import Path

from retain.api.cli.main import WRONG, Stopped, configuration_path
from retain.api.config.load import Config, ConfigError, load


def configured(config_path: Path | None, *, data: str | None = None, bind: str | None = None) -> Config:
    """File and environment, with another data folder or address where the command line names one. Raises
    Stopped."""
    given = {"RETAIN_STORAGE_DATA": data, "RETAIN_SERVER_BIND": bind}
    environ = {**os.environ, **{name: value for name, value in given.items() if value is not None}}
    try:
        return load(configuration_path(config_path), environ)
    except ConfigError as error:
        raise Stopped(str(error), WRONG) from None
