"""`retain doctor`: check the configuration, the data folder, the machine and a running server."""

from __future__ import annotations

import dataclasses
import logging
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from retain import journal
from retain.api.admin.control_client import ActionRefused, Unreachable, ask
from retain.api.cli import checkup
from retain.api.cli.checkup import ERROR, FINE, NOTE, WARNING, CheckResult
from retain.api.cli.main import FAILED, Stopped, configuration_path, data_options
from retain.api.cli.options import configured
from retain.api.cli.run import actor, json_option, print_json, print_table
from retain.api.config.credentials import VARIABLE as CREDENTIALS
from retain.api.config.load import Config, exposed_secrets, variables_of
from retain.api.importing import importing
from retain.engine.core.clock import SystemClock, is_synchronized


@click.command(name="doctor")
@data_options
@json_option
def command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Check configuration, permissions, clock, limits, disk, proxy, journal and payloads, and give advice.

    At a node of a cluster, the secret, the database and the store of payloads are checked, too.

    It changes nothing and works with or without a running server. It looks at a sample; `retain audit verify`
    checks the whole journal. To check the proxy, make a request through it first.

    Exit code: 0 nothing is wrong, 1 there are warnings or errors.
    """
    findings = list(_examined(config_path, data))
    wrong = [one for one in findings if one.level in (WARNING, ERROR)]
    if as_json:
        rows = [dataclasses.asdict(one) for one in findings]
        print_json({"healthy": not wrong, "findings": rows})
    else:
        columns = {
            "": lambda row: row["level"],
            "WHAT": lambda row: row["subject"],
            "FOUND": lambda row: row["found"],
            "DO": lambda row: row["advice"],
        }
        print_table(columns, [dataclasses.asdict(one) for one in findings])
    if wrong:
        raise SystemExit(FAILED)


def _examined(config_path: Path | None, data: str | None) -> Iterator[CheckResult]:
    path = configuration_path(config_path)
    notes = _Notes()
    logger = logging.getLogger("retain.config")
    logger.addHandler(notes)
    try:
        config = configured(config_path, data=data)
    except Stopped as stopped:
        yield CheckResult(
            "configuration",
            ERROR,
            stopped.message,
            "correct it and run this command again; nothing else was checked",
        )
        return
    finally:
        logger.removeHandler(notes)
    yield from _configuration(path, config, notes.texts)
    yield from checkup.certificate(config)
    yield from checkup.time_service(SystemClock().wall(), is_synchronized())
    if config.cluster.log is not None:
        with importing():
            from retain.api.cli import checkup_node
        yield from checkup_node.node(config)
    folder = Path(config.storage.data).absolute()
    try:
        yield from checkup.folder_access(folder)
        disk = journal.RealDisk(folder, create=False)
        free = disk.free_bytes()
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            text = f"{folder} cannot be read: {error.strerror or error}"
            yield CheckResult("data folder", ERROR, text, "run `retain` as the user that owns the folder")
        return
    yield from checkup.disk_health(folder, free)
    yield from checkup.journal_sample(str(folder))
    yield from _server(folder, config)


class _Notes(logging.Handler):
    """Collects the loader's warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self.texts.append(record.getMessage())


def _configuration(path: Path | None, config: Config, notes: list[str]) -> Iterator[CheckResult]:
    variables = variables_of(os.environ)
    source = f"read from {path.absolute()}" if path is not None else "no file: every key has its default"
    if variables:
        source += f"; the environment sets {', '.join(variables)}"
    if folder := os.environ.get(CREDENTIALS):
        source += f"; credentials in {folder} count as well"
    yield CheckResult("configuration", FINE, source)
    for note in notes:
        yield CheckResult("configuration", WARNING, note, "use the new name")
    if (warning := exposed_secrets(path, config)) is not None:
        text, _, advice = warning.partition("; ")
        yield CheckResult("configuration", WARNING, text, advice)
    yield from checkup.private_file(path, "configuration")


def _server(folder: Path, config: Config) -> Iterator[CheckResult]:
    try:
        status: dict[str, Any] = ask(folder, "status", actor=actor())
        found: dict[str, Any] = ask(folder, "doctor", actor=actor())
    except Unreachable:
        text = "no server answers; its clock, proxy and payloads were not checked"
        yield CheckResult("server", NOTE, text, "start it with `retain serve`, then run this command again")
        yield checkup.descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[0], "of this shell")
        return
    except ActionRefused as refusal:
        yield CheckResult("server", ERROR, f"it cannot report its state: {refusal.message}", "see its log")
        return
    yield from checkup.server_state(status)
    yield checkup.descriptors(found["descriptors"], "of the server")
    yield checkup.payloads(found)
    yield from checkup.soft_delete(found["soft_delete"])
    yield from checkup.proxy(config, found["requests"])
