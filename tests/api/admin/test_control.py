"""The control socket, and the commands that use it or do without."""

from __future__ import annotations

import errno
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from click.testing import CliRunner, Result

from retain.api.admin import control
from retain.api.admin.control import serve_control
from retain.api.admin.control_client import NAME, ActionRefused, Unreachable, ask
from retain.api.cli.main import DAMAGED, DONE, FAILED, IN_USE, WRONG, Stopped, main
from retain.api.cli.run import actor, run_action
from retain.engine import NotFound
from retain.journal import RealDisk
from tests.kit.server import running


async def echo(**arguments: Any) -> Any:
    return arguments


async def refuse(**arguments: Any) -> Any:
    raise NotFound("there is no such thing", reason="thing")


async def fail(**arguments: Any) -> Any:
    raise ZeroDivisionError("secret")


async def lack(**arguments: Any) -> Any:
    raise OSError(errno.EROFS, "Read-only file system", "/secret/path")


ACTS = {"echo": echo, "refuse": refuse, "fail": fail, "lack": lack}


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[bool]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(serve_control, RealDisk(folder), folder, ACTS)
        nursery.cancel_scope.cancel()


async def asked(folder: Path, action: str, **arguments: Any) -> Any:
    return await trio.to_thread.run_sync(partial(ask, folder, action, **arguments))


async def test_an_action_is_done_and_answered(tmp_path: Path) -> None:
    async with serving(tmp_path):
        assert await asked(tmp_path, "echo", text="ä\n", number=1) == {"text": "ä\n", "number": 1}
    assert not (tmp_path / "control").exists()


async def test_refusals_reach_the_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path):
        with pytest.raises(ActionRefused) as refused:
            await asked(tmp_path, "refuse")
        assert (refused.value.message, refused.value.reason) == ("there is no such thing", "thing")
        with pytest.raises(ActionRefused):
            await asked(tmp_path, "unknown")
        with pytest.raises(ActionRefused) as failed:
            await asked(tmp_path, "fail")
        assert "secret" not in failed.value.message
    assert "ZeroDivisionError" in caplog.text


async def test_a_disk_that_cannot_be_written_is_told_without_its_paths(tmp_path: Path) -> None:
    async with serving(tmp_path):
        with pytest.raises(ActionRefused) as refused:
            await asked(tmp_path, "lack")
    assert refused.value.message == "Read-only file system"


async def test_a_request_may_come_in_pieces(tmp_path: Path) -> None:
    async with serving(tmp_path), await trio.open_unix_socket(str(tmp_path / NAME)) as stream:
        await stream.send_all(b'{"action": "echo", ')
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(b'"arguments": {"a": 1}}\n')
        assert json.loads(await stream.receive_some()) == {"result": {"a": 1}}


async def test_a_socket_that_somebody_took_away_does_not_disturb_the_stop(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        assert there
        (tmp_path / NAME).unlink()
    assert not (tmp_path / NAME).exists()


async def test_without_a_server_nothing_is_reached(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await asked(tmp_path, "echo")


async def test_a_socket_left_by_a_dead_process_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "control").write_bytes(b"")
    with pytest.raises(Unreachable):
        await asked(tmp_path, "echo")
    async with serving(tmp_path):
        assert await asked(tmp_path, "echo") == {}


@pytest.mark.parametrize("name", ["d" * 150, "ü" * 60])
async def test_a_path_too_long_for_a_socket_is_reached_by_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    async with serving(folder) as reachable:
        assert reachable
        assert await asked(folder, "echo", actor="x") == {"actor": "x"}
    assert not (folder / NAME).exists()


async def test_a_system_without_short_names_serves_without_a_socket_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("retain.api.admin.control_client.DESCRIPTORS", str(tmp_path / "none"))
    folder = tmp_path / ("d" * 150)
    async with serving(folder) as reachable:
        assert not reachable
        assert "commands cannot reach this server" in caplog.text
        with pytest.raises(Unreachable):
            await asked(folder, "echo")


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"action": "echo"}\n',
        b'{"action": [], "arguments": {}}\n',
        b"[" * 100_000 + b"\n",
    ],
)
async def test_nonsense_is_refused(tmp_path: Path, line: bytes) -> None:
    async with serving(tmp_path):
        stream = await trio.open_unix_socket(str(tmp_path / "control"))
        async with stream:
            await stream.send_all(line)
            answer = json.loads(b"".join([chunk async for chunk in stream]))
        assert answer["refused"]["reason"] == "action"
        assert await asked(tmp_path, "echo") == {}


async def test_a_caller_that_leaves_or_never_ends_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "LINE_BYTES", 10)
    async with serving(tmp_path):
        for sent in (b"", b"x" * 100):
            async with await trio.open_unix_socket(str(tmp_path / "control")) as stream:
                if sent:
                    await stream.send_all(sent)
        monkeypatch.setattr(control, "LINE_BYTES", 1000)
        assert await asked(tmp_path, "echo") == {}


async def test_requests_that_never_end_hold_little_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "HELD_BYTES", 2500)
    async with serving(tmp_path), AsyncExitStack() as stack:
        held = [
            await stack.enter_async_context(await trio.open_unix_socket(str(tmp_path / NAME)))
            for _ in range(2)
        ]
        for stream in held:
            await stream.send_all(b"x" * 1000)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await held[1].send_all(b"x" * 1000)
        with suppress(trio.BrokenResourceError):  # it is closed before it has read all
            assert await held[1].receive_some() == b""
        assert await asked(tmp_path, "echo", text="x" * 1000) == {"text": "x" * 1000}
        await held[0].send_all(b"\n")
        assert b"refused" in await held[0].receive_some()
        assert await asked(tmp_path, "echo", text="x" * 2000) == {"text": "x" * 2000}


async def test_connections_that_say_nothing_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "AT_ONCE", 3)
    async with serving(tmp_path):
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(await trio.open_unix_socket(str(tmp_path / NAME)))
            await trio.testing.wait_all_tasks_blocked(0.01)
            with pytest.raises(ActionRefused, match="too many commands at once"):
                await asked(tmp_path, "echo")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await asked(tmp_path, "echo") == {}


def run(folder: Path, *arguments: str) -> Result:
    environ = {"RETAIN_STORAGE_DATA": str(folder / "data")}
    return CliRunner().invoke(main, list(arguments), env=environ)


def test_the_commands_from_tenant_to_refusal(tmp_path: Path) -> None:
    assert run(tmp_path, "tenant", "add", "mytenant").exit_code == 0
    created = run(tmp_path, "token", "create", "mytenant", "--expiry", "2100-01-01", "--json")
    tokens = json.loads(created.output)
    assert [token["container"] for token in tokens] == [None, "recordings", "gim-export"]
    shown = run(tmp_path, "token", "create", "mytenant", "--expiry", "2100-01-01", "--revoke-existing")
    assert "?sv=" in shown.output
    listed = run(tmp_path, "token", "list", "mytenant")
    assert tokens[1]["id"] in listed.output
    assert "sig=" not in listed.output
    assert "Revoked 2 tokens" in run(tmp_path, "token", "revoke", "mytenant", "--all").output
    assert "forever" in run(tmp_path, "tenant", "retention", "mytenant", "recordings", "forever").output
    assert "4 tokens" not in run(tmp_path, "tenant", "rotate-key", "mytenant").output
    assert "AccountKey=" in run(tmp_path, "tenant", "show", "mytenant", "--keys").output
    assert "AccountKey=" not in run(tmp_path, "tenant", "show", "mytenant").output
    assert "mytenant" in run(tmp_path, "tenant", "list").output
    assert run(tmp_path, "tenant", "remove", "mytenant", "--yes").exit_code == 0
    gone = run(tmp_path, "token", "list", "mytenant")
    assert "Traceback" not in gone.output
    assert (gone.exit_code, gone.output.strip()) == (
        FAILED,
        "Error: the tenant mytenant does not exist; `retain tenant list` lists all",
    )


def test_every_command_speaks_json(tmp_path: Path) -> None:
    def told(*arguments: str) -> Any:
        result = run(tmp_path, *arguments, "--json")
        assert result.exit_code == DONE, result.output
        return json.loads(result.stdout)

    assert told("tenant", "add", "mytenant")["name"] == "mytenant"
    ids = [token["id"] for token in told("token", "create", "mytenant", "--expiry", "2100-01-01")]
    assert len(told("tenant", "show", "mytenant", "--keys")["keys"]) == 2
    assert {token["id"] for token in told("token", "list", "mytenant")} == set(ids)
    assert len(told("token", "revoke", "mytenant", ids[1])) == 1
    kept = told("tenant", "retention", "mytenant", "recordings", "30")
    assert {one["name"]: one["keeps_days"] for one in kept["containers"]}["recordings"] == 30
    assert told("tenant", "rotate-key", "mytenant", "--key", "2")["tokens_ended"] == 0
    hold = told("hold", "add", "--whole-tenant", "mytenant", "--reason", "case 7")[0]["hold"]
    assert [one["reason"] for one in told("hold", "lift", str(hold), "--yes")] == ["case 7"]
    assert told("tenant", "remove", "mytenant", "--yes")["containers"] == 2
    assert told("tenant", "list") == []


@pytest.mark.parametrize(("word", "left"), [("n", ["mytenant"]), ("", ["mytenant"]), ("y", [])])
def test_what_cannot_be_taken_back_is_asked_for_first(tmp_path: Path, word: str, left: list[str]) -> None:
    run(tmp_path, "tenant", "add", "mytenant")
    environ = {"RETAIN_STORAGE_DATA": str(tmp_path / "data")}
    asked = CliRunner().invoke(main, ["tenant", "remove", "mytenant"], input=f"{word}\n", env=environ)
    assert "Delete mytenant and everything it holds?" in asked.stderr
    assert asked.exit_code == (DONE if word == "y" else FAILED)
    found = json.loads(run(tmp_path, "tenant", "list", "--json").stdout)
    assert [tenant["name"] for tenant in found] == left


async def test_what_a_running_server_refuses_ends_the_command(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        actions = {"tenant list": refuse}
        await nursery.start(serve_control, RealDisk(tmp_path), tmp_path, actions)
        with pytest.raises(Stopped, match="there is no such thing") as stopped:
            await trio.to_thread.run_sync(run_action, None, str(tmp_path), "tenant list")
        assert stopped.value.exit_code == FAILED
        nursery.cancel_scope.cancel()


def test_an_actor_may_have_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert actor().startswith("cli:")
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)
    assert actor() == "cli"


def test_a_data_folder_that_cannot_be_used_is_told_with_the_code_for_why(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    result = run(tmp_path, "tenant", "list")
    assert (result.exit_code, result.stderr.count("\n")) == (WRONG, 1)
    assert str(tmp_path / "data") in result.stderr
    (tmp_path / "data").unlink()
    assert run(tmp_path, "tenant", "add", "mytenant").exit_code == DONE
    config = tmp_path / "retain.toml"
    config.write_text("[[tenants]]\nname = 'other'\nkey = 'short'\n")
    result = run(tmp_path, "tenant", "list", "--config", str(config))
    assert (result.exit_code, result.stderr.count("\n")) == (WRONG, 1)
    assert "base64" in result.stderr
    for snapshot in (tmp_path / "data").glob("snapshot-*"):
        snapshot.unlink()
    [segment] = (tmp_path / "data" / "journal").glob("*.journal")
    with segment.open("r+b") as file:
        file.seek(600)
        file.write(b"\xff" * 8)
    result = run(tmp_path, "tenant", "list")
    assert (result.exit_code, "Traceback" in result.output) == (DAMAGED, False)


def test_another_data_folder_is_named_by_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retain.toml").write_text("[storage]\ndata = 'configured'\n")
    for arguments in (
        ("tenant", "add", "mytenant"),
        ("token", "create", "mytenant", "--expiry", "2100-01-01"),
        ("settings", "list"),
        ("hold", "add", "--whole-tenant", "mytenant", "--reason", "case 7"),
    ):
        done = CliRunner().invoke(main, [*arguments, "--data", "other"])
        assert done.exit_code == 0, done.output
    assert not (tmp_path / "configured").exists()
    found = CliRunner().invoke(main, ["tenant", "list", "--data", "other", "--json"])
    assert [tenant["name"] for tenant in json.loads(found.output)] == ["mytenant"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "create", "mytenant"),
        ("token", "revoke", "mytenant"),
        ("token", "revoke", "mytenant", "aa", "--all"),
        ("tenant", "retention", "mytenant", "recordings", "soon"),
        ("tenant", "retention", "mytenant", "recordings", "0"),
        ("tenant", "retention", "mytenant", "recordings", "00"),
        ("tenant", "retention", "mytenant", "recordings", ""),
        ("tenant", "rotate-key", "mytenant", "--key", "3"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, *arguments).exit_code == WRONG


def test_a_data_folder_in_use_by_a_deaf_process_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIN_STORAGE_DATA", str(tmp_path))
    disk = RealDisk(tmp_path)
    disk.lock()
    try:
        with pytest.raises(Stopped) as stopped:
            run_action(None, None, "tenant list")
        assert stopped.value.exit_code == IN_USE
    finally:
        disk.unlock()


@pytest.mark.slow
def test_a_running_server_obeys_before_the_command_returns(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        environ = {"RETAIN_STORAGE_DATA": str(server.data)}

        def retain(*arguments: str) -> Result:
            return CliRunner().invoke(main, list(arguments), env=environ)

        assert retain("tenant", "add", "mytenant").exit_code == 0
        created = retain("token", "create", "mytenant", "--expiry", "2100-01-01", "--json")
        issued = json.loads(created.output)[1]
        token = issued["token"]
        assert issued["url"] == f"{server.url}/mytenant/recordings"
        url = f"{issued['url']}?restype=container&comp=list&{token}"
        with urllib.request.urlopen(url, timeout=120) as answer:
            assert answer.status == 200
        assert retain("token", "revoke", "mytenant", "--all").exit_code == 0
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=120)
        with refused.value as answer:
            assert answer.code == 403
            assert answer.headers["x-ms-error-code"] == "AuthenticationFailed"
        assert server.stop() == 0
        assert not (server.data / "control").exists()
        assert token not in server.log()
