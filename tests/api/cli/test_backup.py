"""`retain backup`: there and back, beside a running server, and never with what was erased."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from retain.api.admin.backups import Backups
from retain.api.cli.main import DAMAGED, DONE, FAILED, IN_USE, WRONG, main
from retain.engine import Invalid, Unavailable, open_engine
from retain.engine.testing import open_memory_engine
from retain.journal import RealDisk
from tests.engine.persons.test_find import QUIET, Store
from tests.kit.server import running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration and data of ann and bob, and a backup of it in ``backup``."""

    async def fill() -> None:
        async with open_engine(tmp_path / "data", options=QUIET) as engine:
            store = Store(engine)
            await store.area("cart", "bob")
            await store.area("cart", "carol")

    trio.run(fill)
    (tmp_path / "retain.toml").write_text('[storage]\ndata = "data"\n[[tenants]]\nname = "mytenant"\n')
    assert run(tmp_path, "backup", "create", str(tmp_path / "backup")).exit_code == DONE
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    environ = {"RETAIN_CONFIG": str(folder / "retain.toml")}
    return CliRunner().invoke(main, list(arguments), env=environ)


def log_of(data: Path) -> list[dict[str, Any]]:
    result = CliRunner().invoke(main, ["audit", "log", "--json", "--data", str(data)])
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_second_backup_copies_only_what_is_new(folder: Path) -> None:
    again = json.loads(run(folder, "backup", "create", str(folder / "backup"), "--json").stdout)
    assert again["kept"] > 0
    assert {"seq", "root", "time", "files", "bytes", "copied", "removed"} <= again.keys()


def test_what_comes_back_is_the_same_and_verifies(folder: Path) -> None:
    result = run(
        folder,
        "backup",
        "restore",
        str(folder / "backup"),
        str(folder / "new"),
        "--erasures-of",
        str(folder / "data"),
    )
    assert result.exit_code == DONE, result.output
    assert run(folder, "audit", "verify", "--data", str(folder / "new")).exit_code == DONE
    count = len(log_of(folder / "new"))
    assert log_of(folder / "new") == log_of(folder / "data")[:count]
    for name in ("audit.key", "accounts/mytenant"):
        assert (folder / "new" / name).read_bytes() == (folder / "data" / name).read_bytes()
        assert ((folder / "new" / name).stat().st_mode & 0o777) == 0o600


def test_a_restore_is_a_record_and_explains_itself_to_who_has_an_old_checkpoint(folder: Path) -> None:
    data, new, note = str(folder / "data"), str(folder / "new"), str(folder / "old.checkpoint")
    assert run(folder, "backup", "create", str(folder / "backup")).exit_code == DONE
    for user in ("dan", "eve"):
        trio.run(_one_more, folder / "data", user)
    assert run(folder, "audit", "checkpoint", "-o", note).exit_code == DONE
    size = len(log_of(folder / "data"))
    arguments = ("backup", "restore", str(folder / "backup"), new, "--erasures-of", data)
    assert run(folder, *arguments).exit_code == DONE

    def verified(*more: str) -> Result:
        return run(folder, "audit", "verify", "--data", new, *more)

    told = f"records {size - 3} to {size} of the history before are gone"
    for _ in ("before the first start", "after it"):
        assert verified().exit_code == DONE
        assert told in verified().stdout
        found = json.loads(verified("--since", note, "--json").stdout)
        [finding] = found["findings"]
        assert (finding["kind"], told in finding["text"]) == ("checkpoint", True)
        assert len(found["changes"]) == 1
        text = verified("--since", note)
        assert (text.exit_code, "journal repair" in text.stdout) == (FAILED, False)
        assert run(folder, "clock", "show", "--data", new).exit_code == DONE  # opens the folder
    [record] = [one for one in log_of(folder / "new") if one["event"] == "history-changed"]
    assert record["actor"].startswith("cli")
    assert record["details"]["change"] == "restored"


async def _one_more(data: Path, user: str) -> None:
    async with open_engine(data, options=QUIET) as engine:
        await Store(engine).area("cart", user)


def test_what_was_erased_since_does_not_come_back(folder: Path) -> None:
    assert run(folder, "erase", "--gms-user", "bob", "--yes", "--now").exit_code == DONE
    assert run(folder, "backup", "erasures", "-o", str(folder / "erasures")).exit_code == DONE
    target = folder / "new"
    told = run(
        folder,
        *("backup", "restore", str(folder / "backup"), str(target)),
        *("--erasures", str(folder / "erasures"), "--json"),
    )
    assert told.exit_code == DONE, told.output
    assert json.loads(told.stdout)["erased_parts"] == 2
    gone = [one["erased"] for one in log_of(target) if one["subject"] == "bob/cart"]
    assert gone == [["content"], ["content"]]
    assert run(folder, "audit", "verify", "--data", str(target)).exit_code == DONE


@pytest.mark.parametrize("options", [(), ("--bring-back-erased", "--erasures-of", ".")])
def test_what_to_do_about_erasures_must_be_said_once(folder: Path, options: tuple[str, ...]) -> None:
    result = run(folder, "backup", "restore", str(folder / "backup"), str(folder / "new"), *options)
    assert result.exit_code == WRONG


def test_a_target_that_cannot_be_made_is_told(folder: Path) -> None:
    target = folder / "retain.toml" / "new"
    result = run(folder, "backup", "restore", str(folder / "backup"), str(target), "--bring-back-erased")
    assert (result.exit_code, result.stderr.count("\n")) == (FAILED, 1)
    assert str(target) in result.stderr


def test_a_folder_in_use_is_not_restored_into(folder: Path) -> None:
    arguments = ("backup", "restore", str(folder / "backup"), str(folder / "data"), "--bring-back-erased")
    assert run(folder, *arguments).exit_code == FAILED
    disk = RealDisk(folder / "data")
    disk.lock()
    assert run(folder, *arguments).exit_code == IN_USE
    disk.unlock()


def test_a_damaged_backup_is_told_and_not_restored(folder: Path) -> None:
    assert "is complete" in run(folder, "backup", "verify", str(folder / "backup")).stdout
    (segment, *_) = sorted((folder / "backup" / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:-1])
    result = run(folder, "backup", "verify", str(folder / "backup"))
    assert result.exit_code == FAILED
    assert "Missing or damaged" in result.stdout
    told = json.loads(run(folder, "backup", "verify", str(folder / "backup"), "--json").stdout)
    assert len(told["wrong"]) == 1
    arguments = ("backup", "restore", str(folder / "backup"), str(folder / "new"), "--bring-back-erased")
    assert run(folder, *arguments).exit_code == DAMAGED
    assert run(folder, "backup", "verify", str(folder / "data")).exit_code == WRONG


def test_a_running_server_is_backed_up(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        environ = {"RETAIN_STORAGE_DATA": str(server.data), "RETAIN_CONFIG": None}
        url = f"{server.url}/genesys/1/storage/60"
        with urllib.request.urlopen(url, data=b"phone=1", timeout=120) as reply:
            area = json.loads(reply.read())["id"]
        result = CliRunner().invoke(main, ["backup", "create", str(tmp_path / "backup")], env=environ)
        assert result.exit_code == DONE, result.output
    target = tmp_path / "new"
    restored = CliRunner().invoke(
        main, ["backup", "restore", str(tmp_path / "backup"), str(target), "--bring-back-erased"]
    )
    assert restored.exit_code == DONE, restored.output
    assert area in [one["subject"] for one in log_of(target)]


async def test_the_folder_must_be_absolute_and_fit_to_be_one(tmp_path: Path) -> None:
    async with open_memory_engine(options=QUIET) as engine:
        with pytest.raises(Invalid):
            await Backups(engine).create(actor="x", folder="relative")
    target = tmp_path / "target"
    target.mkdir()
    (target / "manifest.json").write_text("nonsense")
    async with open_engine(tmp_path / "data", options=QUIET) as engine:
        with pytest.raises(Unavailable, match="damaged"):
            await Backups(engine).create(actor="x", folder=str(target))
        (target / "segments").mkdir()
        (target / "manifest.json").rename(tmp_path / "manifest.json")
        with pytest.raises(Unavailable, match=r"not empty \(segments\)"):
            await Backups(engine).create(actor="x", folder=str(target))
        with pytest.raises(Unavailable, match="Not a directory"):
            await Backups(engine).create(actor="x", folder=str(tmp_path / "manifest.json" / "x"))


def snapshot_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "place", ["data", "data/backup", "data/journal", "link/backup", ".", "other", "other/x"]
)
def test_a_data_folder_is_no_place_for_a_backup(folder: Path, place: str) -> None:
    """Neither its own nor another one: itself, in it, around it, by a link."""

    async def another() -> None:
        async with open_engine(folder / "other", options=QUIET) as engine:
            await Store(engine).area("cart", "dave")

    trio.run(another)
    (folder / "link").symlink_to(folder / "data")
    before = {name: snapshot_of(folder / name) for name in ("data", "other")}
    result = run(folder, "backup", "create", str(folder / place))
    assert (result.exit_code, result.stderr.count("\n")) == (FAILED, 1)
    assert "name a" in result.stderr
    assert snapshot_of(folder / "other") == before["other"]
    assert before["data"].keys() - snapshot_of(folder / "data").keys() == set()


def test_a_backup_is_not_restored_into_itself_or_into_a_data_folder(folder: Path) -> None:
    for place in ("backup", "backup/new", "data/new", "."):
        target = str(folder / place)
        result = run(folder, "backup", "restore", str(folder / "backup"), target, "--bring-back-erased")
        assert (result.exit_code, result.stderr.count("\n")) == (FAILED, 1), result.output
        assert not (folder / place / "journal" / "anchor").exists()


def test_a_folder_of_other_files_is_not_restored_into(folder: Path) -> None:
    target = folder / "theirs"
    (target / "payloads").mkdir(parents=True)
    (target / "payloads" / "letter").write_text("theirs")
    result = run(folder, "backup", "restore", str(folder / "backup"), str(target), "--bring-back-erased")
    assert result.exit_code == FAILED
    assert "other files (payloads)" in result.stderr
    assert snapshot_of(target / "payloads") == {"letter": b"theirs"}


def test_files_that_no_backup_named_stay_and_are_named(folder: Path) -> None:
    theirs = folder / "backup" / "segments" / "theirs"
    theirs.write_text("theirs")
    result = run(folder, "backup", "create", str(folder / "backup"))
    assert result.exit_code == DONE
    assert result.stderr == "Not part of the backup, not touched: segments/theirs\n"
    assert theirs.read_text() == "theirs"


@pytest.mark.parametrize("junk", [b"", b"junk", b'{"format": "retain erasures 1"}\n'])
def test_a_junk_list_of_erasures_is_not_called_a_damaged_backup(folder: Path, junk: bytes) -> None:
    (folder / "list").write_bytes(junk)
    arguments = ("backup", "restore", str(folder / "backup"), str(folder / "new"))
    result = run(folder, *arguments, "--erasures", str(folder / "list"))
    assert (result.exit_code, result.stderr.count("\n")) == (WRONG, 1)
    assert f"--erasures {folder / 'list'}: this is not a list of erasures" in result.stderr
    (folder / "empty").mkdir()
    result = run(folder, *arguments, "--erasures-of", str(folder / "empty"))
    assert (result.exit_code, result.stderr.count("\n")) == (WRONG, 1)
    assert "contains no journal" in result.stderr


@pytest.mark.parametrize(
    "command", [("audit", "verify"), ("audit", "log"), ("tenant", "list")], ids=lambda found: " ".join(found)
)
def test_a_command_on_a_backup_says_that_it_must_be_restored(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An auditor has a backup on a medium, and no server."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["user", "add", "ann", "--data", "data"], input="secret\n").exit_code == 0
    assert CliRunner().invoke(main, ["backup", "create", "medium", "--data", "data"]).exit_code == 0
    refused = CliRunner().invoke(main, [*command, "--data", "medium"])
    assert refused.exit_code == 2
    assert "medium is a backup" in refused.stderr
    assert "`retain backup restore` makes a data folder of it" in refused.stderr
