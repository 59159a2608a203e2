"""What cannot be written ends a command in one line, with an exit code of its own, and changes no file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from retain.api.cli.main import DONE, OUTPUT, main
from retain.engine import open_engine
from retain.journal.disk.real import write_file
from tests.engine.persons.test_find import QUIET, Store

FULL = Path("/dev/full")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    async def fill() -> None:
        async with open_engine(tmp_path / "data", options=QUIET) as engine:
            await Store(engine).area("grüße", "böb")

    trio.run(fill)
    return tmp_path / "data"


def process(*arguments: str, stdout: int, **environ: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "retain", *arguments]
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, timeout=120, env={**os.environ, **environ}
    )


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "log"),
        ("audit", "log", "--json"),
        ("audit", "state", "--at", "now"),
        ("tenant", "list"),
        ("backup", "erasures"),
    ],
)
def test_a_full_disk_behind_the_output_is_no_verdict(data: Path, arguments: tuple[str, ...]) -> None:
    with FULL.open("wb") as full:
        done = process(*arguments, "--data", str(data), stdout=full.fileno())
    assert (done.returncode, done.stderr) == (
        OUTPUT,
        b"Error: the output cannot be written: No space left on device\n",
    )


def test_a_terminal_without_the_characters_shows_their_escapes(data: Path) -> None:
    for arguments in (("audit", "log"), ("erase", "--gms-user", "böb")):
        done = process(*arguments, "--data", str(data), stdout=subprocess.PIPE, PYTHONIOENCODING="ascii")
        assert (done.returncode, b"Traceback" in done.stderr) == (DONE, False), done.stderr
        assert rb"b\xf6b/gr\xfc\xdfe" in done.stdout


def test_a_reader_that_goes_away_ends_a_command_quietly(data: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = process("audit", "log", "--json", "--data", str(data), stdout=writing)
    os.close(writing)
    assert done.stderr == b""


@pytest.mark.parametrize("place", ["none/file", "folder", "file/file"])
@pytest.mark.parametrize("arguments", [("backup", "erasures"), ("audit", "checkpoint")])
def test_a_file_that_cannot_be_made_is_named(data: Path, place: str, arguments: tuple[str, ...]) -> None:
    (data.parent / "folder").mkdir()
    (data.parent / "file").write_text("theirs")
    output = data.parent / place
    result = CliRunner().invoke(main, [*arguments, "--data", str(data), "-o", str(output)])
    assert result.exit_code in (OUTPUT, 2)
    assert str(output) in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert (data.parent / "file").read_text() == "theirs"


def test_a_file_is_replaced_as_a_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, link = tmp_path / "list", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_file(link, b"new")
    assert (path.read_text(), sorted(one.name for one in tmp_path.iterdir())) == ("old", ["link", "list"])
    write_file(link, b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777, link.is_symlink()) == ("new", 0o640, True)
    with pytest.raises(FileExistsError):
        write_file(path, b"other", replace=False)
    write_file(tmp_path / "fresh", b"x", replace=False)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o600


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDWR)
    write_file(pipe, b"through")
    assert os.read(descriptor, 100) == b"through"
    os.close(descriptor)
