"""The command line: it finds its commands, helps, and ends with a code a script can use."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import socket
import subprocess
import sys
import termios
import threading
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from retain.api.admin.control_client import NAME
from retain.api.cli import main as cli
from retain.api.config.engine import engine_options
from retain.api.config.load import Config, ConfigError, StorageConfig
from retain.api.identity.passwords import verify_hash
from retain.journal import RealDisk
from tests.kit.server import ROOT


def test_commands_are_the_modules_of_that_name() -> None:
    result = CliRunner().invoke(cli.main, ["--help"])
    assert result.exit_code == 0
    modules = {path.stem for path in (Path(cli.__file__).parent / "commands").glob("[a-z]*.py")}
    assert set(cli.SUMMARIES) == modules
    for name in modules:
        assert f"\n  {name} " in result.output


def test_completion_offers_commands_and_options() -> None:
    context = click.Context(cli.main)
    assert [item.value for item in cli.main.shell_complete(context, "to")] == ["token"]
    assert "--version" in [item.value for item in cli.main.shell_complete(context, "--")]


HEAVY = ("retain.engine", "retain.journal", "quart", "rich", "trio", "werkzeug")


def loaded(*arguments: str) -> set[str]:
    """What of `HEAVY`, and which modules of ours, a command imports."""
    code = (
        "import sys\nfrom retain.api.cli.main import main\n"
        "try: main(sys.argv[1:])\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return {name for name in done.stderr.split() if name in HEAVY or name.startswith("retain.")}


def test_the_list_of_commands_imports_none_of_them() -> None:
    assert loaded("--help") == {
        "retain.api",
        "retain.api.cli",
        "retain.api.cli.exits",
        "retain.api.cli.main",
        "retain.api.cli.streams",
        "retain.api.importing",
    }


@pytest.mark.slow
def test_a_start_imports_no_pages_and_a_second_one_no_server(tmp_path: Path) -> None:
    code = "import sys, retain.api.cli.assemble; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert not {"quart", "flask", "jinja2", "rich", "jwt", "hypercorn.asyncio"} & set(done.stdout.split())
    disk = RealDisk(tmp_path)
    disk.lock()
    try:
        second = loaded("serve", "--data", str(tmp_path))
    finally:
        disk.unlock()
    assert "retain.journal" in second
    assert not second & {"retain.api.cli.assemble", "retain.engine", "trio"}


def test_a_command_beside_a_server_imports_neither_engine_nor_server(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / NAME))
        listening.listen()
        listening.settimeout(60)  # a command that fails before it connects fails this test, not the session

        def answer() -> None:
            asked, _ = listening.accept()
            with asked, asked.makefile("rb") as line:
                assert json.loads(line.readline())["action"] == "tenant list"
                asked.sendall(b'{"result": []}\n')

        thread = threading.Thread(target=answer)
        thread.start()
        told = loaded("tenant", "list", "--json", "--data", str(tmp_path))
        thread.join(60)
        assert not thread.is_alive()
    assert not told & set(HEAVY)


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli.main, ["destroy"]).exit_code == cli.WRONG


def test_init_writes_a_file_once(tmp_path: Path) -> None:
    path = tmp_path / "retain.toml"
    runner = CliRunner()
    assert runner.invoke(cli.main, ["init", str(path)]).exit_code == cli.DONE
    assert tomllib.loads(path.read_text())["server"] == {}
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("mine")
    refused = runner.invoke(cli.main, ["init", str(path)])
    assert (refused.exit_code, path.read_text()) == (cli.FAILED, "mine")
    assert runner.invoke(cli.main, ["init", "--force", str(path)]).exit_code == cli.DONE
    assert path.read_text() != "mine"
    assert runner.invoke(cli.main, ["init", "-"]).stdout == path.read_text()
    assert runner.invoke(cli.main, ["init", str(tmp_path / "no" / "such")]).exit_code == cli.OUTPUT


def test_user_hash_reads_a_line_and_prints_what_verifies() -> None:
    result = CliRunner().invoke(cli.main, ["user", "hash"], input="a pass word\n")
    assert result.exit_code == cli.DONE
    assert verify_hash(result.output.strip(), "a pass word")
    assert CliRunner().invoke(cli.main, ["user", "hash"], input="\n").exit_code == cli.WRONG


def test_user_hash_asks_a_terminal_twice_and_shows_nothing() -> None:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        [sys.executable, "-m", "retain", "user", "hash"],
        cwd=ROOT,
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        preexec_fn=take_terminal,
    ) as process:
        os.close(theirs)
        shown = b""
        for prompt in (b"Password: ", b"confirmation: "):
            while not shown.endswith(prompt):
                shown += os.read(ours, 1000)
            os.write(ours, b"sesame\n")
        assert process.stdout is not None
        told = process.stdout.read().decode().strip()
    os.close(ours)
    assert process.returncode == cli.DONE
    assert verify_hash(told, "sesame")
    assert b"sesame" not in shown


def test_a_reader_that_has_enough_ends_a_command_quietly(tmp_path: Path) -> None:
    added = [sys.executable, "-m", "retain", "tenant", "add", "mytenant", "--data", str(tmp_path)]
    subprocess.run(added, cwd=ROOT, check=True, capture_output=True, timeout=60)
    reading, writing = os.pipe()
    os.close(reading)
    log = [sys.executable, "-m", "retain", "audit", "log", "--json", "--data", str(tmp_path)]
    done = subprocess.run(
        log, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (cli.FAILED, "")


@pytest.mark.parametrize("arguments", [("serve",), ("tenant", "list"), ("erase", "--now")])
def test_a_folder_of_other_files_is_no_data_folder(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letter.txt").write_text("theirs")
    result = CliRunner().invoke(cli.main, [*arguments, "--data", str(tmp_path)])
    assert (result.exit_code, result.stderr.count("\n")) == (cli.WRONG, 1), result.output
    assert "is not empty (letter.txt) and holds no journal; name a new or an empty folder" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("arguments", [("serve",), ("tenant", "list"), ("audit", "log")])
def test_a_file_is_no_data_folder_and_keeps_its_mode(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("theirs")
    file.chmod(0o644)
    result = CliRunner().invoke(cli.main, [*arguments, "--data", str(file)])
    assert result.exit_code in (cli.FAILED, cli.WRONG)
    assert result.stderr == f"Error: {file} cannot be used: Not a directory; --data names another folder\n"
    assert file.stat().st_mode & 0o777 == 0o644


def test_serve_refuses_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.main, ["serve", "--config", str(tmp_path / "none.toml")])
    assert result.exit_code == cli.WRONG
    assert "retain init" in result.output


def test_the_default_file_is_used_only_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.configuration_path(None) is None
    assert cli.configuration_path(Path("x")) == Path("x")
    (tmp_path / "retain.toml").touch()
    assert cli.configuration_path(None) == Path("retain.toml")


def test_a_folder_this_user_may_not_look_into_is_told_apart_from_one_without_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after `runuser -u retain` in root's own folder; another configuration must not count silently."""

    def denied(_path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "stat", denied)
    with pytest.raises(ConfigError, match=r"^\./retain\.toml: this user may not look .* give --config FILE$"):
        cli.configuration_path(None)
    assert cli.configuration_path(Path("x")) == Path("x")


def test_the_engine_gets_its_part_of_the_configuration() -> None:
    config = Config(storage=StorageConfig(inline_bytes=1000, snapshot_records=7, segment_bytes=1 << 20))
    options = engine_options(config)
    assert (options.inline_bytes, options.snapshot_records, options.segment_bytes) == (1000, 7, 1 << 20)
    assert options.sweep_interval_s == config.retention.sweep_interval


@pytest.mark.parametrize("group", ["audit", "backup", "hold", "journal", "settings", "tenant", "token"])
def test_summaries_are_whole_sentences(group: str) -> None:
    text = CliRunner().invoke(cli.main, [group, "--help"], terminal_width=100).stdout
    assert "..." not in text.partition("Commands:")[2]


def test_a_port_in_use_names_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "retain", "serve", "--data", str(tmp_path / "d"), "--bind", address]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.splitlines()[-1].count("--bind")) == (cli.FAILED, 1)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("arguments", [("serve",), ("tenant", "list"), ("audit", "log"), ("erase", "--now")])
def test_the_folder_of_another_user_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(0o755)

    (tmp_path / "file").touch()
    CliRunner().invoke(cli.main, [*arguments, "--data", str(tmp_path / "file")])
    os.seteuid(65534)
    try:
        result = CliRunner().invoke(cli.main, [*arguments, "--data", str(data)])
    finally:
        os.seteuid(0)
    assert result.exit_code in (cli.FAILED, cli.WRONG)
    assert result.stderr.splitlines()[-1] == (
        f"Error: {data} cannot be used: Permission denied; run the command as the user that owns the folder"
    )
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("name", ["api", "console", "docs", "healthz", "openapi"])
def test_a_tenant_is_not_called_like_an_address(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(cli.main, ["tenant", "add", name, "--data", str(tmp_path / "data")])
    assert (result.exit_code, "choose another name" in result.stderr) == (cli.FAILED, True)


@pytest.mark.parametrize("arguments", [("erase",), ("hold", "add", "--reason", "7"), ("export", "-o", "out")])
def test_a_tenant_that_does_not_exist_is_no_empty_one(
    tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    assert run(cli.main, ["tenant", "add", "mytenant", "--data", "data"]).exit_code == cli.DONE
    result = run(cli.main, [*arguments, "--tenant", "mytenat", "--data", "data"])
    assert (result.exit_code, "the tenant mytenat does not exist" in result.stderr) == (cli.FAILED, True)
    assert not (tmp_path / "out").exists()
    result = run(cli.main, [*arguments, "--tenant", "mytenant", "--data", "data"])
    assert "does not exist" not in result.stderr


@pytest.mark.parametrize("arguments", [("tenant", "add", "mytenant"), ("user", "add", "ann")])
def test_the_default_data_folder_is_made_only_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Where it is depends on the present folder, so a command in the wrong one would begin a second site."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.main, arguments, input="secret\n")
    assert result.exit_code == cli.WRONG, result.output
    assert result.stderr.splitlines()[-1] == (
        f"Error: ./retain-data cannot be used: No such file or directory ({tmp_path / 'retain-data'}); "
        "--data names another folder; to begin a new one here, add `--data ./retain-data`"
    )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "retain-data").mkdir()
    result = CliRunner().invoke(cli.main, arguments, input="secret\n")
    assert result.exit_code == cli.WRONG, result.output
    assert "./retain-data contains no journal; name another folder with --data" in result.stderr
    assert "to begin a new one here, add `--data ./retain-data`" in result.stderr
    assert list((tmp_path / "retain-data").iterdir()) == []
    named = CliRunner().invoke(cli.main, [*arguments, "--data", "./retain-data"], input="secret\n")
    assert named.exit_code == cli.DONE, named.output


def test_a_configured_data_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retain.toml").write_text('[storage]\ndata = "site"\n')
    result = CliRunner().invoke(cli.main, ["tenant", "add", "mytenant", "--config", "retain.toml"])
    assert result.exit_code == cli.DONE, result.output
    assert (tmp_path / "site").is_dir()


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenant", "list"),
        ("tenant", "show", "mytenant"),
        ("tenant", "remove", "mytenant", "--yes"),
        ("token", "list", "mytenant"),
        ("user", "list"),
        ("hold", "list"),
        ("settings", "list"),
        ("clock", "show"),
        ("status",),
        ("audit", "log"),
        ("audit", "checkpoint"),
        ("backup", "create", "backup"),
    ],
)
def test_a_mistyped_data_folder_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.main, [*arguments, "--data", "typo"])
    assert result.exit_code == cli.WRONG, result.output
    assert "typo" in result.stderr
    assert "--data names another folder" in result.stderr
    assert list(tmp_path.iterdir()) == []
