"""`retain audit key|checkpoint|receipt|check-receipt|diff` and `verify --since`."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from retain.api.cli.main import DONE, FAILED, OUTPUT, WRONG, main
from retain.engine import open_engine
from retain.engine.audit.checkpoints import KEY_FILE, Signer
from retain.engine.audit.receipts import MOST_BYTES, embedded
from retain.engine.testing import EPOCH, SteppedClock
from tests.engine.persons.test_find import QUIET, Store
from tests.kit.server import running

SECOND = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration, and areas of which two had one name."""

    async def fill() -> None:
        clock = SteppedClock(EPOCH - 3600 * SECOND)
        async with open_engine(tmp_path / "data", options=QUIET, clock=clock) as engine:
            store = Store(engine)
            await store.area("<cart>", "bob")
            await store.area("twice", "bob")
            clock.advance(1001)
            await engine.sweep()
            await store.area("twice", "bob")
            await store.area("other")
            await store.container()
            await store.blob("call.opus")

    trio.run(fill)
    (tmp_path / "retain.toml").write_text('[storage]\ndata = "data"\n[audit]\norigin = "example.org/log"\n')
    return tmp_path


def run(folder: Path, *arguments: str, stdin: bytes = b"") -> Result:
    environ = {"RETAIN_CONFIG": str(folder / "retain.toml")}
    return CliRunner().invoke(main, list(arguments), input=stdin, env=environ)


def key_of(folder: Path) -> str:
    run(folder, "audit", "checkpoint")
    return run(folder, "audit", "key").stdout.strip()


@pytest.fixture
def kept(folder: Path) -> tuple[Path, str]:
    """A receipt of an erased area, on its own, and the public key."""
    assert run(folder, "erase", "bob/<cart>", "--yes", "--now").exit_code == DONE
    result = run(folder, "audit", "receipt", "bob/<cart>", "--output", str(folder / "receipt.json"))
    assert result.exit_code == DONE, result.output
    return folder / "receipt.json", key_of(folder)


# --- key and checkpoint ----------


def test_the_key_is_printed_once_a_start_made_it(folder: Path) -> None:
    assert run(folder, "audit", "key").exit_code == FAILED
    key = key_of(folder)
    assert key.startswith("example.org/log+")
    told = json.loads(run(folder, "audit", "key", "--json").stdout)
    assert (told["name"], told["key"]) == ("example.org/log", key)
    assert ((folder / "data" / KEY_FILE).stat().st_mode & 0o777) == 0o600
    (folder / "data" / KEY_FILE).write_text("nonsense")
    assert run(folder, "audit", "key").exit_code == FAILED


def test_history_since_a_checkpoint_is_proven(folder: Path) -> None:
    old = folder / "old.checkpoint"
    assert run(folder, "audit", "checkpoint", "-o", str(old)).exit_code == DONE
    assert old.read_text().startswith("example.org/log\n")
    assert run(folder, "erase", "bob/twice", "--yes", "--now").exit_code == DONE
    result = run(folder, "audit", "verify", "--since", str(old))
    assert result.exit_code == DONE, result.output
    assert "matches the checkpoint of example.org/log" in result.stdout
    told = json.loads(run(folder, "audit", "verify", "--since", str(old), "--json").stdout)
    assert told["since"] == int(old.read_text().split("\n")[1])
    assert json.loads(run(folder, "audit", "verify", "--json").stdout)["since"] is None
    key = ("--key", key_of(folder))
    assert run(folder, "audit", "verify", "--since", str(old), *key).exit_code == DONE


def test_another_history_is_found_out(folder: Path, tmp_path: Path) -> None:
    old = folder / "old.checkpoint"
    run(folder, "audit", "checkpoint", "-o", str(old))
    other = tmp_path / "other"
    other.mkdir()

    async def fill() -> None:
        async with open_engine(other / "data", options=QUIET) as engine:
            for number in range(20):
                await Store(engine).area(f"area-{number}")

    trio.run(fill)
    key = ("--key", key_of(folder))
    data = ("--data", str(other / "data"))
    result = run(folder, "audit", "verify", "--since", str(old), *key, *data)
    assert result.exit_code == FAILED
    assert "checkpoint" in result.stdout
    assert run(folder, "audit", "verify", "--since", str(old), *data).exit_code == WRONG, "no key to trust"
    foreign = ("--key", str(Signer("example.org/log", bytes(32)).verifier))
    assert run(folder, "audit", "verify", "--since", str(old), *foreign).exit_code == FAILED


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_checkpoint_replaces_none_of_another_history(folder: Path, as_json: tuple[str, ...]) -> None:
    output = folder / "log.checkpoint"
    checkpoint = ("audit", "checkpoint", "-o", str(output), *as_json)
    shutil.copytree(folder / "data", folder / "before")
    assert run(folder, *checkpoint).exit_code == DONE
    assert run(folder, "erase", "bob/twice", "--yes", "--now").exit_code == DONE
    first = output.read_bytes()
    assert run(folder, *checkpoint).exit_code == DONE
    kept = output.read_bytes()
    assert kept != first, "an earlier one of the same history is replaced"

    key = folder / "data" / KEY_FILE
    (folder / "before" / KEY_FILE).write_bytes(key.read_bytes())
    shutil.rmtree(folder / "data")
    (folder / "before").rename(folder / "data")
    result = run(folder, *checkpoint)
    assert result.exit_code == OUTPUT
    assert "more than the journal has" in result.stderr
    for name in ("bob/<cart>", "bob/twice"):
        assert run(folder, "erase", name, "--yes", "--now").exit_code == DONE
    for _ in range(5):
        assert run(folder, "erase", "--yes", "--now").exit_code == DONE
    result = run(folder, *checkpoint)
    assert result.exit_code == OUTPUT
    assert "is not the journal's" in result.stderr
    assert output.read_bytes() == kept

    key.write_text(Signer("other.example/log", bytes(32)).text() + "\n")
    result = run(folder, *checkpoint)
    assert (result.exit_code, output.read_bytes()) == (OUTPUT, kept)
    output.write_text("no checkpoint\n")
    assert run(folder, *checkpoint).exit_code == DONE


def test_a_checkpoint_is_json_for_machines(folder: Path) -> None:
    told = json.loads(run(folder, "audit", "checkpoint", "--json").stdout)
    assert told["checkpoint"].split("\n")[1] == str(told["size"])
    assert told["key"] == key_of(folder)


# --- receipts ----------


def test_a_receipt_is_checked_with_nothing_but_the_key(kept: tuple[Path, str], tmp_path: Path) -> None:
    file, key = kept
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    result = CliRunner().invoke(main, ["audit", "check-receipt", str(file), "--key", key])
    assert result.exit_code == DONE, result.output
    assert "The receipt is valid" in result.stdout
    assert "All content of these records was erased by" in result.stdout
    assert "(erasure-request)" in result.stdout
    keyfile = alone / "key"
    keyfile.write_text(key + "\n")
    told = json.loads(
        CliRunner()
        .invoke(main, ["audit", "check-receipt", str(file), "--key", str(keyfile), "--json"])
        .stdout
    )
    assert told["holds"]
    assert told["erased"]
    assert [row["what"] for row in told["records"]] == [
        "put (request)",
        "patch (request)",
        "delete (expired)",
    ]
    assert "cart" not in file.read_text()


class Page(HTMLParser):
    """Elements of a page, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []
        self.text = ""
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("script", "style")
        if tag == "script":
            self.scripts.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data


def test_a_page_is_readable_and_holds_the_same_proof(folder: Path) -> None:
    key = key_of(folder)
    result = run(folder, "audit", "receipt", "bob/<cart>", "--html", "--names")
    assert result.exit_code == DONE
    page = Page(result.stdout)
    assert [script["type"] for script in page.scripts] == ["application/json"]
    assert "bob/<cart>" in page.text
    assert "Not all content of these records is proven to be erased." in page.text
    assert "http://" not in result.stdout.partition("<script")[0]
    checked = run(folder, "audit", "check-receipt", "-", "--key", key, stdin=result.stdout.encode())
    assert checked.exit_code == DONE, checked.output
    assert "bob/<cart>" in checked.stdout
    assert json.loads(embedded(result.stdout))["format"] == "retain-receipt/1"


def test_records_without_content_prove_that_they_had_none(folder: Path) -> None:
    log = [json.loads(line) for line in run(folder, "audit", "log", "--json").stdout.splitlines()]
    (number,) = {one["resource"] for one in log if one["event"] == "container-created"}
    made = run(folder, "audit", "receipt", "--number", number)
    key = key_of(folder)
    checked = run(folder, "audit", "check-receipt", "-", "--key", key, "--json", stdin=made.stdout.encode())
    assert "kept" in json.loads(checked.stdout)["records"][0]["content"]


def test_what_never_had_content_has_nothing_to_be_erased(folder: Path) -> None:
    (hold,) = json.loads(run(folder, "hold", "add", "other", "--reason", "case 7", "--json").stdout)
    made = run(folder, "audit", "receipt", "--number", hold["hold"])
    key = key_of(folder)
    checked = run(folder, "audit", "check-receipt", "-", "--key", key, stdin=made.stdout.encode())
    assert "These records never had any content." in checked.stdout


def test_a_name_that_several_things_had_must_be_told_apart(folder: Path) -> None:
    result = run(folder, "audit", "receipt", "bob/twice")
    assert result.exit_code == WRONG
    numbers = [line.split()[0] for line in result.stderr.splitlines()[1:]]
    assert len(numbers) == 2
    assert [run(folder, "audit", "receipt", "--number", number).exit_code for number in numbers] == [
        DONE,
        DONE,
    ]
    assert run(folder, "audit", "receipt", "nobody").exit_code == FAILED
    assert run(folder, "audit", "receipt", "--number", "0" * 32).exit_code == FAILED


def changed(value: dict[str, Any]) -> bytes:
    return json.dumps({**value, "resource": "0" * 32}).encode()


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000, b" " * (MOST_BYTES + 1), None])
def test_what_is_no_receipt_does_not_hold(kept: tuple[Path, str], data: bytes | None) -> None:
    file, key = kept
    data = changed(json.loads(file.read_text())) if data is None else data
    arguments = ["audit", "check-receipt", "-", "--key", key]
    result = CliRunner().invoke(main, arguments, input=data)
    assert result.exit_code == FAILED
    assert "is not valid" in result.stderr
    told = CliRunner().invoke(main, [*arguments, "--json"], input=data)
    assert told.exit_code == FAILED
    assert json.loads(told.stdout)["holds"] is False


@pytest.mark.parametrize("key", ["nonsense", "a+b+c", "/nowhere/key"])
def test_a_key_that_is_none_is_wrong_usage(kept: tuple[Path, str], key: str) -> None:
    result = CliRunner().invoke(main, ["audit", "check-receipt", str(kept[0]), "--key", key])
    assert result.exit_code == WRONG


def test_another_logs_key_proves_nothing(kept: tuple[Path, str]) -> None:
    key = str(Signer("example.org/log", bytes(32)).verifier)
    result = CliRunner().invoke(main, ["audit", "check-receipt", str(kept[0]), "--key", key])
    assert result.exit_code == FAILED


def test_a_running_server_signs(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        environ = {"RETAIN_STORAGE_DATA": str(server.data), "RETAIN_CONFIG": None}
        result = CliRunner().invoke(main, ["audit", "checkpoint"], env=environ)
        assert result.exit_code == DONE, result.output
        checked = CliRunner().invoke(
            main, ["audit", "verify", "--since", "-"], input=result.stdout, env=environ
        )
        assert checked.exit_code == DONE, checked.output


# --- diff ----------


def test_what_changed_between_two_moments_is_told(folder: Path) -> None:
    span = ("--from", "2025-12-31T23:00", "--to", "2025-12-31T23:17")
    result = run(folder, "audit", "diff", *span)
    assert result.exit_code == DONE, result.output
    assert result.stdout.split()[:5] == ["WHAT", "INTERFACE", "KIND", "RESOURCE", "FIELDS"]
    rows = [json.loads(line) for line in run(folder, "audit", "diff", *span, "--json").stdout.splitlines()]
    assert [(row["what"], (row["after"] or row["before"])["subject"]) for row in rows] == [
        ("added", "bob/twice"),
        ("added", "other"),
        ("added", "mytenant/recordings"),
        ("added", "mytenant/recordings/call.opus"),
        ("removed", "bob/<cart>"),
        ("removed", "bob/twice"),
    ]
    only = run(folder, "audit", "diff", *span, "-i", "areas", "-r", "other", "--json").stdout
    assert len(only.splitlines()) == 1


def test_nothing_changed_is_said(folder: Path) -> None:
    result = run(folder, "audit", "diff", "--from", "2020-01-01", "--to", "2020-01-02")
    assert result.exit_code == DONE
    assert "Nothing changed" in result.stderr
    assert run(folder, "audit", "diff", "--from", "now", "--to", "2020-01-02").exit_code == WRONG
