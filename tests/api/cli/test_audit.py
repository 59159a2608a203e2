"""`retain audit` and `retain journal`: what they print, their exit codes, beside a running server too."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from retain import journal
from retain.api.admin import log_rows as audit_output
from retain.api.admin.log_rows import as_cell
from retain.api.cli.data_folder import parse_moment, visible
from retain.api.cli.main import DAMAGED, DONE, FAILED, IN_USE, WRONG, main
from retain.engine import open_engine
from retain.engine.areas import CreateArea, DeleteArea, NewFile
from retain.engine.core.event import Cause
from retain.engine.core.time import DAY, SECOND
from retain.engine.holds import HoldKind, SetHold
from retain.engine.testing import EPOCH, SteppedClock
from retain.journal import Part

RESOURCE = bytes(range(16))
OTHER = bytes(range(16, 32))
EVIL = "=cmd|' /C calc'!A0\x1b[2J"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with five records: two areas, of which one was deleted and its creation erased."""

    async def fill() -> None:
        clock = SteppedClock()
        async with open_engine(tmp_path / "data", clock=clock) as engine, engine.upload() as upload:
            await upload.write(bytes(100_000))
            file = NewFile("scan.pdf", "application/pdf", await upload.finish())
            values = {"phone": "+49", "file": file}
            await engine.submit(
                CreateArea(
                    actor="user:alice", name="plain", resource=RESOURCE, values=values, ttl=DAY // SECOND
                )
            )
            clock.advance(60)
            await engine.submit(
                CreateArea(actor=EVIL, name=EVIL, user="bob", resource=OTHER, values={"a": "secret"}, ttl=30)
            )
            await engine.submit(DeleteArea(actor=EVIL, name=EVIL, user="bob"))
            await engine.erase([(3, Part.CONTENT | Part.DETAILS)], Cause.ERASURE_REQUEST)

    trio.run(fill)
    return tmp_path / "data"


def run(*arguments: str, stdin: str = "", environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(
        main, list(arguments), input=stdin, env={"RETAIN_CONFIG": None, **(environ or {})}
    )


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def damaged(folder: Path, offset: int = 600) -> None:
    """Flips a byte of the first frame."""
    (segment,) = (folder / "journal").glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[offset] ^= 0xFF
    segment.write_bytes(data)


# --- retain audit log ----------


def test_the_table_is_for_people(folder: Path) -> None:
    result = run("audit", "log", "--data", str(folder))
    assert result.exit_code == DONE
    table = result.stdout.splitlines()
    assert table[0].split() == ["SEQ", "TIME", "(UTC)", "EVENT", "RESOURCE", "ACTOR", "CAUSE", "ERASED"]
    assert re.match(r"\s+1  2026-01-01 00:00:00.000  area-created +plain +user:alice +request", table[1])
    assert "erased" in table[3]
    assert "details, content" in table[3]
    assert "\x1b" not in result.stdout
    assert r"\x1b[2J" in result.stdout
    assert "secret" not in result.stdout


def test_json_lines_are_for_machines(folder: Path) -> None:
    found = lines(run("audit", "log", "--json", "--data", str(folder)))
    assert [one["seq"] for one in found] == [1, 2, 3, 4, 5, 6]
    assert list(found[0]) == list(audit_output.FIELDS)
    assert found[0]["time"] == "2026-01-01T00:00:00.000000Z"
    assert found[2]["erased"] == ["details", "content"]
    assert found[2]["details"] is None


def test_csv_is_safe_to_open_in_a_spreadsheet(folder: Path) -> None:
    result = run("audit", "log", "-f", "csv", "--data", str(folder))
    rows = list(csv.DictReader(io.StringIO(result.stdout, newline="")))
    assert list(rows[0]) == list(audit_output.FIELDS)
    assert rows[3]["actor"] == "'" + EVIL
    assert rows[3]["subject"] == "bob/" + EVIL
    assert json.loads(rows[3]["details"])["name"] == EVIL
    assert rows[2]["erased"] == "details content"
    assert not [cell for row in rows for cell in row.values() if cell[:1] in set("=+-@\t\r")]


def test_when_and_why_it_was_erased_is_told(folder: Path) -> None:
    erased = {"part": "details", "time": "2026-01-01T00:01:00.000000Z", "cause": "erasure-request", "by": 5}
    found = lines(run("audit", "log", "--erasures", "--json", "--data", str(folder)))
    assert found[2]["erasures"] == [erased, {**erased, "part": "content"}]
    assert all(one["erasures"] == [] for one in found if not one["erased"])
    table = run("audit", "log", "--erasures", "--data", str(folder)).stdout
    assert "details 2026-01-01 00:01 erasure-request, content 2026-01-01 00:01" in table
    written = run("audit", "log", "--erasures", "-f", "csv", "--data", str(folder)).stdout
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert rows[2]["erasures"].startswith("details 2026-01-01T00:01:00.000000Z erasure-request 5; content")
    assert rows[0]["erasures"] == ""


def test_a_span_and_a_number_are_looked_up_alike(folder: Path) -> None:
    everything = lines(run("audit", "log", "--json", "--data", str(folder)))
    span = lines(run("audit", "log", "--since", "2026-01-01T00:00:30", "--json", "--data", str(folder)))
    assert span == everything[2:]
    assert (
        lines(run("audit", "log", "--until", "2026-01-01T00:00:30", "--json", "--data", str(folder)))
        == everything[:2]
    )
    number = RESOURCE.hex()
    assert lines(run("audit", "log", "--number", number, "--json", "--data", str(folder))) == everything[:2]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\ta", "\ra"])
def test_formulas_are_defused(text: str) -> None:
    assert as_cell(text) == "'" + text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-i", "areas"], [1, 2, 3, 4]),
        (["-i", "journal"], [5, 6]),
        (["-r", "plain"], [1, 2]),
        (["--match", "bob/*"], [3, 4]),
        (["--number", OTHER.hex()], [3, 4]),
        (["--match-actor", "user:*"], [1, 2]),
        (["--verb", "delete"], [4]),
        (["--cause", "erasure-request"], [5, 6]),
        (["--since", "2026-01-01T00:01"], [3, 4, 5, 6]),
        (["--until", "2026-01-01T01:01:00+01:00"], [1, 2]),
        (["-n", "2"], [5, 6]),
        (["-n", "2", "--reverse"], [6, 5]),
        (["--reverse", "-n", "0"], [6, 5, 4, 3, 2, 1]),
        (["-i", "blobs"], []),
    ],
)
def test_filters(folder: Path, options: list[str], expected: list[int]) -> None:
    result = run("audit", "log", "--json", "--data", str(folder), *options)
    assert [one["seq"] for one in lines(result)] == expected


def test_nothing_found_is_said(folder: Path) -> None:
    result = run("audit", "log", "-i", "blobs", "--data", str(folder))
    assert result.exit_code == DONE
    assert "Nothing" in result.stderr


def test_a_shortened_table_says_so(folder: Path) -> None:
    result = run("audit", "log", "-n", "2", "--data", str(folder))
    assert "newest 2 of 6" in result.stderr
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize("options", [["--since", "yesterday"], ["-i", "mail"], ["--limit", "-1"]])
def test_wrong_usage_is_told(folder: Path, options: list[str]) -> None:
    assert run("audit", "log", "--data", str(folder), *options).exit_code == WRONG


def test_the_folder_may_come_from_the_configuration(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "retain.toml"
    config.write_text('[storage]\ndata = "data"\n')
    assert len(lines(run("audit", "log", "--json", "--config", str(config)))) == 6
    assert len(lines(run("audit", "log", "--json", environ={"RETAIN_STORAGE_DATA": str(folder)}))) == 6
    config.write_text("nonsense = 1\n")
    assert run("audit", "log", "--config", str(config)).exit_code == WRONG


@pytest.mark.parametrize(
    "command", [["audit", "log"], ["audit", "verify"], ["audit", "state", "--at", "now"]]
)
def test_a_folder_without_a_journal_is_told(tmp_path: Path, command: list[str]) -> None:
    for place in (tmp_path / "missing", tmp_path):
        result = run(*command, "--data", str(place))
        assert result.exit_code == WRONG
        assert "--data" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_journal_is_told(folder: Path) -> None:
    damaged(folder)
    for command in (["audit", "log"], ["audit", "state", "--at", "now"], ["journal", "stat"]):
        result = run(*command, "--data", str(folder))
        assert result.exit_code == DAMAGED
        assert "verify" in result.stderr


def test_works_beside_a_running_server(tmp_path: Path) -> None:
    async def serve() -> None:
        async with open_engine(tmp_path / "data") as engine:
            await engine.submit(CreateArea(actor="a", name="n", resource=RESOURCE, values={"a": "b"}, ttl=60))
            for command in (
                ["audit", "log"],
                ["audit", "verify"],
                ["journal", "stat"],
                ["journal", "repair"],
            ):
                result = await trio.to_thread.run_sync(
                    lambda one=command: run(*one, "--data", str(tmp_path / "data"))
                )
                assert result.exit_code == DONE, result.output
            await engine.submit(DeleteArea(actor="a", name="n"))

    trio.run(serve)


# --- retain audit verify ----------


def test_a_sound_journal_verifies(folder: Path) -> None:
    result = run("audit", "verify", "--data", str(folder))
    assert result.exit_code == DONE
    assert "Records: 6. Segments: 1. Parts erased: 2." in result.stdout
    assert "All data exists" in result.stdout
    report = json.loads(run("audit", "verify", "--json", "--data", str(folder)).stdout)
    assert report["sound"]
    assert report["findings"] == []
    assert report["root"] in result.stdout


def test_findings_are_told_and_fail(folder: Path) -> None:
    damaged(folder)
    result = run("audit", "verify", "--data", str(folder))
    assert result.exit_code == FAILED
    assert "Found:" in result.stdout
    assert "offset" in result.stdout
    result = run("audit", "verify", "--json", "--data", str(folder))
    assert result.exit_code == FAILED
    report = json.loads(result.stdout)
    assert not report["sound"]
    assert report["findings"][0]["file"].endswith(".journal")


def test_notes_are_told_and_do_not_fail(folder: Path) -> None:
    orphan = folder / "payloads" / "ab" / "ab" / ("ab" * 16)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"left over")
    result = run("audit", "verify", "--data", str(folder))
    assert result.exit_code == DONE
    assert "note: " in result.stdout


def test_unreadable_events_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retain.engine.wire.CODES", {})
    result = run("audit", "verify", "--data", str(folder))
    assert result.exit_code == FAILED
    assert "event: " in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "state", "--at", "now"),
        ("audit", "seen", "--at", "now", "-p", "shop", "-u", "ann"),
        ("audit", "diff", "--from", "1h", "--to", "now"),
        ("audit", "retention"),
        ("audit", "receipt", "plain"),
        ("export", "plain", "--output", "out"),
        ("tenant", "list"),
    ],
)
def test_a_journal_of_a_newer_version_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    for snapshot in folder.glob("snapshot-*"):
        snapshot.unlink()
    monkeypatch.setattr("retain.engine.wire.CODES", {})
    monkeypatch.chdir(folder)
    result = run(*arguments, "--data", str(folder))
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == FAILED
    assert "Error: " in result.stderr
    assert "was written by a newer version of Retain; upgrade this one" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_journal_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("retain.api.cli.commands.audit.verification", fail)
    assert run("audit", "verify", "--data", str(folder)).exit_code == WRONG
    monkeypatch.setattr(journal, "scan", fail)
    assert run("audit", "log", "--data", str(folder)).exit_code == FAILED


# --- retain audit state ----------


def test_time_travel(folder: Path) -> None:
    result = run("audit", "state", "--at", "2026-01-01T00:00:30", "--data", str(folder))
    assert result.exit_code == DONE
    picture = json.loads(result.stdout)
    assert picture["at"] == "2026-01-01T00:00:30.000000Z"
    assert picture["seq"] == 2
    (area,) = picture["holds"]
    assert area["keys"]["phone"]["text"] == "+49"
    assert area["keys"]["file"]["size"] == 100_000
    (area,) = lines(
        run(
            "audit", "state", "--at", "2026-01-01T00:05", "--compact", "--match", "pl*", "--data", str(folder)
        )
    )
    assert area["subject"] == "plain"
    assert run("audit", "state", "--data", str(folder)).exit_code == WRONG


# --- retain journal ----------


def test_stat_counts(folder: Path) -> None:
    result = run("journal", "stat", "--data", str(folder))
    assert result.exit_code == DONE
    assert "6 records, 2026-01-01T00:00:00.000000Z to 2026-01-01T00:01:00.000000Z" in result.stdout
    assert "snapshot-" in result.stdout
    figures = json.loads(run("journal", "stat", "--json", "--data", str(folder)).stdout)
    assert figures["records"] == 6
    assert figures["kinds"]["areas put"] == 2
    assert figures["content"]["erased_parts"] == 1
    assert 0 < figures["erased_share"] < 1
    assert figures["payload_files"] == 1
    assert figures["payload_bytes"] > 100_000
    assert len(figures["segments"]) == 1


def test_stat_beside_a_server_that_removes_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = journal.PayloadStore.names
    gone = "0" * 32
    monkeypatch.setattr(journal.PayloadStore, "names", lambda store: [*names(store), gone])
    result = run("journal", "stat", "--json", "--data", str(folder))
    assert result.exit_code == DONE, result.output
    told = json.loads(result.stdout)
    assert told["payload_files"] == len(names(journal.PayloadStore(journal.RealDisk(folder)))) + 1


def test_stat_of_an_empty_journal(tmp_path: Path) -> None:
    async def make() -> None:
        async with open_engine(tmp_path):
            pass

    trio.run(make)
    (tmp_path / "journal" / "x.broken").write_bytes(b"cut")
    result = run("journal", "stat", "--data", str(tmp_path))
    assert "No records yet." in result.stdout
    assert "Damaged bytes, kept aside: journal/x.broken" in result.stdout
    assert "0.0%" in result.stdout


def test_nothing_to_repair(folder: Path) -> None:
    for options in ([], ["--accept-loss", "--yes"]):
        result = run("journal", "repair", "--data", str(folder), *options)
        assert result.exit_code == DONE
        assert "Nothing to repair." in result.stdout
    report = json.loads(run("journal", "repair", "--json", "--data", str(folder)).stdout)
    assert report == {"needed": False, "done": False, "seq": 6, "kept": [], "losses": []}


def test_repair_shows_first_and_changes_nothing(folder: Path) -> None:
    damaged(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = run("journal", "repair", "--data", str(folder))
    assert result.exit_code == FAILED
    assert "Lost: " in result.stdout
    assert "--accept-loss" in result.stderr
    result = run("journal", "repair", "--accept-loss", "--data", str(folder), stdin="n\n")
    assert result.exit_code == FAILED
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("options", "stdin"), [(["--yes"], ""), ([], "y\n"), (["--json", "--yes"], "")])
def test_repair_with_consent_leaves_a_journal_that_verifies(
    folder: Path, options: list[str], stdin: str
) -> None:
    damaged(folder)
    result = run("journal", "repair", "--accept-loss", "--data", str(folder), *options, stdin=stdin)
    assert result.exit_code == DONE
    if "--json" in options:
        assert json.loads(result.stdout)["done"]
    else:
        assert "Kept: " in result.stdout
        assert "Repaired." in result.stdout
    assert run("audit", "verify", "--data", str(folder)).exit_code == DONE


def test_repair_needs_the_folder_for_itself(folder: Path) -> None:
    damaged(folder)
    disk = journal.RealDisk(folder)
    disk.lock()
    result = run("journal", "repair", "--accept-loss", "--yes", "--data", str(folder))
    disk.unlock()
    assert result.exit_code == IN_USE
    assert "in use" in result.stderr


# --- what they share ----------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", EPOCH),
        ("90s", EPOCH - 90 * SECOND),
        ("15m", EPOCH - 900 * SECOND),
        ("2h", EPOCH - 7200 * SECOND),
        ("30d", EPOCH - 30 * DAY),
        ("1w", EPOCH - 7 * DAY),
        ("2026-01-01", EPOCH),
        ("2026-01-01T00:00", EPOCH),
        ("2026-01-01T02:00:00+02:00", EPOCH),
        ("2026-01-01T00:00:00.000123Z", EPOCH + 123_000),
        ("1969-12-31T23:59:59.5Z", -SECOND // 2),
    ],
)
def test_moments(text: str, expected: int) -> None:
    assert parse_moment(text, EPOCH) == expected


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "-5m", "5 m", "9999999999h"])
def test_no_moments(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_moment(text, EPOCH)


def test_what_could_steer_a_terminal_becomes_visible() -> None:
    assert visible("a\x1b[0m\u202eb\n\u00e9") == "a\\x1b[0m\\u202eb\\n\u00e9"


@pytest.mark.parametrize("command", ["audit", "journal"])
def test_help_teaches(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == DONE
    names = re.findall(r"^  ([a-z]+) ", result.stdout.partition("Commands:")[2], re.M)
    assert names
    for name in names:
        shown = run(command, name, "--help")
        assert shown.exit_code == DONE
        assert len(shown.stdout.split()) > 60


# --- retain audit retention ----------


def test_retention_tells_what_is_held_and_what_waits(folder: Path) -> None:
    result = run("audit", "retention", "--data", str(folder), "--json")
    found = json.loads(result.stdout)
    assert [(one["interface"], one["tenant"], one["entries"]) for one in found["holdings"]] == [
        ("areas", "plain", 2)
    ]
    assert (found["waiting"], found["lag_seconds"], found["oldest_due"]) == (0, 0.0, None)
    assert result.exit_code == DONE
    assert run("audit", "retention", "--data", str(folder)).stdout.endswith(
        "waiting to be erased: 0 records; to be rewritten: 0 entries; nothing is due\n"
    )


def test_retention_fails_where_erasing_is_late(tmp_path: Path) -> None:
    async def fill() -> None:
        async with open_engine(tmp_path / "data", clock=SteppedClock()) as engine:
            values = {"a": "secret"}
            await engine.submit(CreateArea(actor="a", name="plain", resource=RESOURCE, values=values, ttl=30))
            await engine.submit(DeleteArea(actor="a", name="plain"))

    trio.run(fill)
    result = run("audit", "retention", "--data", str(tmp_path / "data"))
    assert result.exit_code == FAILED
    assert "waiting to be erased: 1 record;" in result.stdout
    assert "more than an hour late" in result.stderr


def test_retention_counts_with_no_defaults_in_place_of_what_is_configured(
    folder: Path, tmp_path: Path
) -> None:
    environ = {"RETAIN_CONFIG": str(tmp_path / "nowhere.toml")}
    assert run("audit", "retention", "--data", str(folder)).exit_code == DONE
    assert run("audit", "retention", "--data", str(folder), environ=environ).exit_code == WRONG
    assert run("audit", "retention", environ=environ).exit_code == WRONG


def test_retention_tells_what_a_hold_keeps(tmp_path: Path) -> None:
    async def fill() -> None:
        async with open_engine(tmp_path / "data", clock=SteppedClock()) as engine:
            values = {"a": "secret"}
            await engine.submit(CreateArea(actor="a", name="plain", resource=RESOURCE, values=values, ttl=30))
            await engine.submit(DeleteArea(actor="a", name="plain"))
            hold = SetHold(
                actor="a", hold_id=OTHER, kind=HoldKind.RESOURCE, resource=RESOURCE, reason="case 7"
            )
            await engine.submit(hold)

    trio.run(fill)
    result = run("audit", "retention", "--data", str(tmp_path / "data"))
    assert result.exit_code == DONE
    assert "kept by a legal hold: 1 record; nothing is due" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "state", "--at", "2999-01-01"),
        ("audit", "diff", "--from", "1h", "--to", "2999-01-01"),
        ("audit", "seen", "--at", "2999-01-01", "-p", "app", "-u", "ann"),
    ],
)
def test_a_moment_in_the_future_is_pointed_out(folder: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--data", str(folder))
    assert "Note: 2999-01-01T00:00:00.000000Z is in the future" in result.stderr
    assert "Note" not in run("audit", "state", "--at", "now", "--data", str(folder)).stderr


@pytest.mark.parametrize("arguments", [("audit", "retention"), ("audit", "log")])
def test_a_bad_configuration_is_told_where_it_counts(folder: Path, arguments: tuple[str, ...]) -> None:
    """What is due depends on it, so that defaults would be wrong; the log does not."""
    config = folder.parent / "bad.toml"
    config.write_text("[retention]\naudit_days = 'many'\n")
    result = run(*arguments, "--data", str(folder), "--config", str(config))
    assert result.exit_code == (WRONG if "retention" in arguments else DONE)
    assert ("audit_days" in result.stderr) is ("retention" in arguments)


# --- retain journal lost ----------


def lost_file(folder: Path) -> Path:
    """Remove the one payload file."""
    [path] = (path for path in (folder / "payloads").rglob("*") if path.is_file())
    path.unlink()
    return path


def test_lost_content_is_listed_and_given_up_only_when_told_to(folder: Path) -> None:
    data = ("--data", str(folder))
    assert run("journal", "lost", *data).exit_code == DONE
    path = lost_file(folder)
    verified = run("audit", "verify", *data)
    assert verified.exit_code == FAILED
    assert "`retain journal lost`" in verified.stdout
    assert "journal repair" not in verified.stdout, "it has nothing to repair"
    listed = run("journal", "lost", *data)
    assert listed.exit_code == FAILED
    assert "file of an area plain/file, record 2: the payload file is missing" in listed.stdout
    assert path.name in listed.stdout
    assert run("journal", "lost", "--accept-loss", *data, stdin="n\n").exit_code != DONE
    assert run("audit", "verify", *data).exit_code == FAILED
    given_up = run("journal", "lost", "--accept-loss", "--yes", *data)
    assert given_up.exit_code == DONE
    assert "`retain audit log --cause lost`" in given_up.stdout
    verified = run("audit", "verify", "--bodies", *data)
    assert verified.exit_code == DONE
    assert f"content of record 2, payloads/{path.name[:2]}/{path.name[2:4]}/{path.name}" in verified.stdout
    entries = lines(run("audit", "log", "--cause", "lost", "--json", *data))
    assert {entry["event"] for entry in entries} == {"history-changed", "keys-expired"}
    assert all(entry["actor"].startswith("cli") for entry in entries)


def test_lost_content_is_told_to_machines(folder: Path) -> None:
    lost_file(folder)
    result = run("journal", "lost", "--json", "--data", str(folder))
    assert result.exit_code == FAILED
    [one] = json.loads(result.stdout)["lost"]
    assert (one["kind"], one["record"], one["bytes"]) == ("file of an area", 2, 100_000)
    unasked = run("journal", "lost", "--json", "--accept-loss", "--data", str(folder))
    assert (unasked.exit_code, "needs --yes" in unasked.stderr) == (WRONG, True)
    result = run("journal", "lost", "--json", "--accept-loss", "--yes", "--data", str(folder))
    assert (result.exit_code, json.loads(result.stdout)["given_up"]) == (DONE, 1)
