"""Fixtures every test may use. Helpers without state live in ``tests/kit``."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.kit import postgres
from tests.kit.crash import STATES
from tests.kit.server import Server, running

# Where the machine forbids bytecode files, each of three hundred processes would compile all modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What is imported and collected stays to the end; walking it again and again is a tenth of that time.
gc.disable()

# Shared machines stall: a slow example is no bug, and a failing one must print how to repeat it.
settings.register_profile(
    "retain", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("retain")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how many different states the crash campaigns checked."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    told = [value for report in reports for name, value in report.user_properties if name == STATES]
    if told:
        terminalreporter.write_line(f"{sum(told):,} {STATES}")


FIRST = ("cluster", "", "package", "mutants", "hostile", "console", "deploy", "clients", "bench")
"""Folders whose tests run real processes for seconds; "" for modules that are in none."""


def _turn(item: pytest.Item) -> int:
    """Return when a test is run: what takes long first, so that no worker is alone with it at the end."""
    folder, *rest = item.path.relative_to(Path(__file__).parent).parts
    place = folder if rest else ""
    return FIRST.index(place) if place in FIRST else len(FIRST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order folders as `_turn` says.

    Let a module's own `pytest.mark.trio(run=…)` come before the runner that every test is given.
    """
    items.sort(key=_turn)
    for item in items:
        for mark in item.parent.iter_markers("trio") if item.parent is not None else ():
            item.add_marker(pytest.mark.trio(**mark.kwargs), append=False)


def pytest_collection_finish() -> None:
    """Hide all tests from the garbage collector, which rested until now."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """Collect at a module's end what it leaves behind, so that a warning of it names that module.

    What is there before a module is hidden from the collector: the tests alone are 400,000 objects, which a
    full collection walks in 0.2 s.
    """
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    """`retain serve`, run in this process, sets the mode of new files; the next test starts without that."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts real servers in folders of their own; all are stopped after the test."""
    with ExitStack() as stack:
        count = 0

        def start(config: str = "", **options: object) -> Server:
            nonlocal count
            count += 1
            return stack.enter_context(running(tmp_path / f"server{count}", config, **options))  # type: ignore[arg-type]

        yield start


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server in its default configuration for all tests that only talk to it."""
    with running(tmp_path_factory.mktemp("server")) as instance:
        yield instance


@pytest.fixture(scope="session")
def postgres_servers() -> Iterator[postgres.Postgres]:
    """Makes PostgreSQL servers; skips where there is none."""
    with postgres.running() as servers:
        yield servers


@pytest.fixture(scope="session")
def _postgres_server(postgres_servers: postgres.Postgres) -> postgres.Server:
    return postgres_servers.server()


@pytest.fixture
def postgres_server(_postgres_server: postgres.Server) -> postgres.Server:
    """One PostgreSQL server for all tests that do it no harm; no shared log was begun in it."""
    _postgres_server.sql("DROP SCHEMA IF EXISTS retain CASCADE")
    return _postgres_server
