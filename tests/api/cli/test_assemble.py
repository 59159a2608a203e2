"""Why a server does not start: each reason with its exit code, in a line, before anything listens."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from retain.api.admin.actions import Administration
from retain.api.cli.assemble import assembled, check_tls, run, show
from retain.api.cli.main import DAMAGED, FAILED, IN_USE, WRONG, Stopped
from retain.api.cli.run_here import run_alone
from retain.api.config.load import BlobsConfig, Config, ConfigError, ServerConfig, StorageConfig
from retain.api.server import collector
from retain.engine import open_engine
from retain.engine.testing import open_memory_engine
from retain.journal import RealDisk
from tests.engine.persons.test_find import QUIET, Store
from tests.kit.certificates import certified


@pytest.fixture(autouse=True)
def _unsettled() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    collector.unsettle()
    gc.set_threshold(*thresholds)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a record and without snapshots."""

    async def fill() -> None:
        async with open_engine(tmp_path / "data", options=QUIET) as engine:
            await Store(engine).area("cart", "bob")

    trio.run(fill)
    for snapshot in (tmp_path / "data").glob("snapshot-*"):
        snapshot.unlink()
    return tmp_path / "data"


def refusal(data: Path, **server: str) -> tuple[int, str]:
    config = Config(
        server=ServerConfig(bind="127.0.0.1:0", **server),  # type: ignore[arg-type]
        storage=StorageConfig(data=str(data)),
    )
    with pytest.raises(Stopped) as stopped:
        run(config)
    return stopped.value.exit_code, stopped.value.message


def test_a_folder_that_another_took_meanwhile(data: Path) -> None:
    """That is after `retain serve` has seen that it is free."""
    disk = RealDisk(data)
    disk.lock()
    try:
        text = f"{data} is in use by process {os.getpid()}; stop it, or name another folder with --data"
        assert refusal(data) == (IN_USE, text)
    finally:
        disk.unlock()


def test_a_command_beside_a_server_that_starts_says_when_to_run_it_again(data: Path) -> None:
    disk = RealDisk(data)
    disk.lock()
    try:
        with pytest.raises(Stopped, match=rf"process {os.getpid()}, .* still starting, .* again") as stopped:
            run_alone(data, Config(storage=StorageConfig(data=str(data))), "tenant list", {"actor": "cli:me"})
    finally:
        disk.unlock()
    assert stopped.value.exit_code == IN_USE


def test_a_damaged_journal(data: Path) -> None:
    [segment] = (data / "journal").glob("*.journal")
    with segment.open("r+b") as file:
        file.seek(600)
        file.write(b"\xff" * 8)
    code, message = refusal(data)
    assert code == DAMAGED
    assert message.startswith(f"{data} is damaged: ")
    assert message.count("\n") == 0
    assert "`retain audit verify`" in message


def test_a_journal_of_a_newer_version(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retain.engine.wire.CODES", {})
    code, message = refusal(data)
    assert code == FAILED
    assert message.startswith(f"{data} was written by a newer version of Retain; upgrade this one")


def test_an_account_without_keys(data: Path) -> None:
    (data / "accounts").mkdir()
    (data / "accounts" / "mytenant").write_text("none")
    assert refusal(data) == (
        FAILED,
        "accounts/mytenant in the data folder contains no valid keys; restore it from a backup",
    )


def test_a_key_for_tls_that_is_not_there(data: Path) -> None:
    key = str(data / "none.pem")
    assert refusal(data, tls_certificate=key, tls_key=key) == (
        WRONG,
        f"{key}: server.tls_key: No such file or directory",
    )


@pytest.mark.parametrize("enabled", [True, False])
async def test_blobs_are_mounted_unless_they_are_switched_off(enabled: bool) -> None:
    config = Config(blobs=BlobsConfig(enabled=enabled))
    async with open_memory_engine() as engine:
        app = assembled(engine, config, await Administration.open(engine, config))
    assert ("blobs" in {interface.name for interface in app.interfaces}) is enabled


@pytest.mark.parametrize(
    ("mode", "handed_over", "refused"),
    [
        (0o640, False, True),
        (0o640, True, False),
        (0o644, True, True),
        (0o600, False, False),
    ],
)
def test_the_group_may_read_a_key_that_the_service_manager_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, handed_over: bool, refused: bool
) -> None:
    """systemd grants access to a credential by an access control list, which shows as the group's rights."""
    certificate, key = certified(tmp_path)
    key.chmod(mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path if handed_over else tmp_path / "elsewhere"))
    config = Config(server=ServerConfig(tls_certificate=str(certificate), tls_key=str(key)))
    if refused:
        with pytest.raises(ConfigError, match="group or others may use this file"):
            check_tls(config)
    else:
        check_tls(config)


@pytest.mark.parametrize(
    ("url", "external", "base", "meaning"),
    [
        ("http://0.0.0.0:8080", None, "http://127.0.0.1:8080", " (all IPv4 addresses of this machine)"),
        ("https://[::]:443", None, "https://[::1]:443", " (all IPv6 addresses of this machine)"),
        (
            "https://[::]:443",
            "https://a.example",
            "https://a.example",
            " (all IPv6 addresses of this machine)",
        ),
        ("http://127.0.0.1:8080", None, "http://127.0.0.1:8080", ""),
    ],
)
async def test_the_first_screen_shows_addresses_that_open(
    url: str, external: str | None, base: str, meaning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(server=ServerConfig(external_url=external))
    async with open_memory_engine() as engine:
        administration = await Administration.open(engine, config)
        show(assembled(engine, config, administration), [url], [], ())
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"Retain listens on {url}{meaning}"
    assert f"Console: {base}/console" in others
    assert not [line for line in others if "0.0.0.0" in line or "[::]" in line]
    named = [line for line in others if "On other machines" in line]
    assert bool(named) is bool(meaning and external is None)
