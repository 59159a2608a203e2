"""`retain erase`, `retain export` and `retain hold`: what they print, change and leave alone."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from retain import journal
from retain.api.admin.rights import Rights, packed, unpacked
from retain.api.cli.main import DONE, FAILED, OUTPUT, WRONG, main
from retain.engine import Invalid, open_engine
from retain.engine.areas import CreateArea, NewFile
from retain.engine.audit.dossier import Dossier
from retain.engine.settings.model import Level, Place
from retain.engine.testing import open_memory_engine
from tests.engine.persons.test_find import ANN, QUIET, DeleteArea, MergeValue, Store
from tests.kit.server import running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration and data of ann and bob."""

    async def fill() -> None:
        async with open_engine(tmp_path / "data", options=QUIET) as engine:
            store = Store(engine)
            await store.area("cart", "bob")
            await store.area("plain")
            await store.document(ANN)
            await store.document(ANN, MergeValue, {"theme": {"dark": False}})
            await store.container()
            await store.blob("../4711.opus", tags=(("customer", "4711"),))
            await store.blob("../4711.opus", tags=(("customer", "4711"),))
            await store.blob("other.opus")
            await store.area("gone", "bob")
            await engine.submit(DeleteArea(actor="x", name="gone", user="bob"))

    trio.run(fill)
    (tmp_path / "retain.toml").write_text('[storage]\ndata = "data"\n')
    return tmp_path


def run(folder: Path, *arguments: str, stdin: str = "") -> Result:
    environ = {"RETAIN_CONFIG": str(folder / "retain.toml")}
    return CliRunner().invoke(main, list(arguments), input=stdin, env=environ)


def answer(folder: Path, *arguments: str, code: int = DONE) -> Any:
    result = run(folder, *arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def names(found: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["status"] for row in found["found"]}


def everything(folder: Path) -> bytes:
    """All bytes under the data folder, as they are on disk."""
    return b"".join(path.read_bytes() for path in sorted((folder / "data").rglob("*")) if path.is_file())


# --- erase ----------


def test_without_yes_nothing_is_erased(folder: Path) -> None:
    before = everything(folder)
    result = run(folder, "erase", "--gms-user", "bob")
    assert result.exit_code == DONE
    table = result.stdout.splitlines()
    assert table[0].split() == ["INTERFACE", "RESOURCE", "STATUS", "RECORDS", "WITH", "CONTENT", "BYTES"]
    assert table[1].split()[:4] == ["areas", "bob/cart", "live", "2"]
    assert table[2].split()[:4] == ["areas", "bob/gone", "ended", "3"]
    assert "--yes" in result.stderr
    assert len(everything(folder)) >= len(before) // 2
    assert names(answer(folder, "erase", "--gms-user", "bob")) == {"bob/cart": "live", "bob/gone": "ended"}


def test_with_now_content_is_gone_from_every_file(folder: Path) -> None:
    found = answer(folder, "erase", "--gms-user", "bob", "--user", "ann", "--yes", "--now")
    assert names(found) == {"bob/cart": "ended-now", "bob/gone": "ended", "app/user:ann": "ended-now"}
    assert found["done"]
    assert found["erased_parts"] == 6
    again = answer(folder, "erase", "--gms-user", "bob", "--user", "ann", "--yes", "--now")
    assert set(names(again).values()) == {"ended"}
    assert again["erased_parts"] == 0
    assert all(row["kept"] == 0 for row in again["found"])
    assert run(folder, "audit", "verify").exit_code == DONE
    log = run(folder, "audit", "log", "--cause", "erasure-request", "--json")
    assert {json.loads(line)["verb"] for line in log.stdout.splitlines()} >= {"delete", "erase"}
    assert "bob/cart" in log.stdout


def test_neither_snapshots_nor_files_outlive_an_erasure(folder: Path) -> None:
    """Records hide their content from a search by whitening it; snapshots and file names do not."""
    marker = "marker-of-dan-4711"

    async def fill() -> None:
        async with open_engine(folder / "data", options=QUIET) as engine, engine.upload() as upload:
            await upload.write(bytes(100_000))
            values = {"phone": marker, "scan": NewFile("x", "y/z", await upload.finish())}
            await engine.submit(
                CreateArea(actor="x", name="cart", user="dan", resource=bytes(16), values=values, ttl=1000)
            )

    trio.run(fill)
    files = list((folder / "data" / "payloads").rglob("?" * 32))
    assert len(files) == 1
    assert marker.encode() in everything(folder)
    assert run(folder, "erase", "--gms-user", "dan", "--yes", "--now").exit_code == DONE
    assert marker.encode() not in everything(folder)
    assert not files[0].exists()


def test_names_can_go_as_well(folder: Path) -> None:
    assert answer(folder, "erase", "--match", "bob/*", "--yes", "--names")["erased_parts"] == 10
    assert answer(folder, "erase", "--match", "bob/*")["found"] == []
    assert "bob" not in run(folder, "audit", "log", "--json").stdout
    assert run(folder, "audit", "verify").exit_code == DONE


def test_who_ordered_an_erasure_is_a_record(folder: Path) -> None:
    def orders() -> list[dict[str, Any]]:
        log = [json.loads(line) for line in run(folder, "audit", "log", "--json").stdout.splitlines()]
        return [one for one in log if one["event"] == "erasure-ordered"]

    answer(folder, "erase", "--gms-user", "bob")
    assert orders() == [], "nothing was ordered"
    answer(folder, "erase", "--gms-user", "bob", "--yes", "--now", "--ordered-by", "case 7, Ms Doe")
    answer(folder, "erase", "--now")
    first, second = orders()
    assert first["actor"].startswith("cli")
    assert first["cause"] == "erasure-request"
    told = first["details"]
    assert (told["ordered_by"], told["things"], told["at_once"], told["names"]) == (
        "case 7, Ms Doe",
        2,
        True,
        False,
    )
    assert (second["details"]["things"], second["details"]["ordered_by"]) == (0, "")
    refused = run(folder, "erase", "--gms-user", "bob", "--yes", "--ordered-by", "a\nb")
    assert refused.exit_code == FAILED
    assert len(orders()) == 2
    assert run(folder, "audit", "verify").exit_code == DONE


def test_whatever_an_export_finds_is_erased_or_named_as_kept(folder: Path) -> None:
    async def write() -> None:
        async with open_engine(folder / "data", options=QUIET) as engine:
            await Store(engine).document(Place("app", Level.GLOBAL, "", ""))

    trio.run(write)
    assert run(folder, "export", "--user", "ann", "-o", str(folder / "out")).exit_code == DONE
    exported = json.loads((folder / "out" / "export.json").read_text())
    found = {action["seq"] for action in exported["actions"]}
    told = answer(folder, "erase", "--user", "ann", "--yes", "--names")
    kept = {row["seq"]: row for row in told["kept"]}
    log = [json.loads(line) for line in run(folder, "audit", "log", "--json").stdout.splitlines()]
    naming = {one["seq"] for one in log if one["actor"] == "user:ann"}
    assert naming == kept.keys() < found
    for row in kept.values():
        assert row["reason"] == "who did what is kept for the audit period"
        assert row["until"] > row["time"]
        assert row["name"] == "app"
    text = run(folder, "erase", "--actor", "user:ann")
    assert text.exit_code == DONE
    assert "until" in text.stdout.lower()
    assert answer(folder, "erase", "--match-actor", "user:a*")["kept"] == told["kept"]
    assert answer(folder, "erase", "--actor", "user:nobody") == {
        "done": False,
        "erased_parts": 0,
        "found": [],
        "kept": [],
    }


def test_with_now_alone_what_is_due_goes(folder: Path) -> None:
    told = answer(folder, "erase", "--now")
    assert told["erased_records"] >= 2
    found = {row["name"]: row["kept"] for row in answer(folder, "erase", "--match", "bob/*")["found"]}
    assert found == {"bob/cart": 2, "bob/gone": 0}
    assert answer(folder, "erase", "--now") == {"ended": 0, "erased_records": 0}
    assert "erased 0 records" in run(folder, "erase", "--now").stderr


def test_without_now_it_is_hidden_at_once(folder: Path) -> None:
    result = run(folder, "erase", "--tag", "customer=4711", "--yes")
    assert result.exit_code == DONE
    assert "ended-now" in result.stdout
    assert "within" in result.stderr
    assert run(folder, "erase", "--tag", "customer=4711", "--yes", "--now").exit_code == DONE


def test_nothing_to_erase_is_no_failure(folder: Path) -> None:
    result = run(folder, "erase", "--user", "nobody", "--yes")
    assert result.exit_code == DONE
    assert "No stored data" in result.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("--tag", "customer"), ("--tag", "=4711"), ("x", "--tag", "a=b"), ("--nonsense",)]
)
def test_whose_data_must_be_said(folder: Path, arguments: tuple[str, ...]) -> None:
    assert run(folder, "erase", *arguments, "--yes").exit_code == WRONG


def test_a_number_names_a_resource(folder: Path) -> None:
    (row,) = answer(folder, "erase", "plain")["found"]
    assert answer(folder, "erase", "--number", row["resource"])["found"] == [row]
    told = run(folder, "erase", row["resource"])
    assert f"Name {row['resource']}: nothing found; --number takes the number of a resource" in told.stderr
    assert run(folder, "erase", "--number", "1234").exit_code == WRONG


NAMES = ["call[1].mp3", "call1.mp3", "call?.mp3", "call*.mp3", "call\\*.mp3"]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Blobs, areas and an application with names that could be taken for something else."""

    async def fill() -> None:
        async with open_engine(tmp_path / "data", options=QUIET) as engine:
            store = Store(engine)
            await store.container()
            for name in NAMES:
                await store.blob(name)
                await store.area(name, "carl")
            await store.document(Place("0123456789abcdef" * 2, Level.USER, "", "ann"))
            await store.area("0123456789abcdef" * 2)

    trio.run(fill)
    (tmp_path / "retain.toml").write_text('[storage]\ndata = "data"\n')
    return tmp_path


def blob(name: str) -> str:
    return f"mytenant/recordings/{name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_that_name_and_nothing_else(odd: Path, name: str) -> None:
    for found in (
        answer(odd, "erase", blob(name)),
        answer(odd, "erase", "--name", blob(name)),
        answer(odd, "erase", blob(name), "--yes", "--now"),
    ):
        assert [row["name"] for row in found["found"]] == [blob(name)]
    left = {row["name"] for row in answer(odd, "erase", "--tenant", "mytenant")["found"] if row["kept"]}
    assert left == {blob(one) for one in NAMES} - {blob(name)}


@pytest.mark.parametrize("name", NAMES)
def test_a_hold_keeps_what_was_named(odd: Path, name: str) -> None:
    (planned,) = answer(odd, "hold", "add", f"carl/{name}", "--reason", "case 7", "--dry-run")
    (hold,) = answer(odd, "hold", "add", f"carl/{name}", "--reason", "case 7")
    assert planned["subject"] == hold["subject"] == f"carl/{name}"


@pytest.mark.parametrize("name", NAMES)
def test_an_export_holds_what_was_named(odd: Path, name: str) -> None:
    assert answer(odd, "export", blob(name), "-o", str(odd / "out"))["resources"] == 1
    (thing,) = json.loads((odd / "out" / "export.json").read_text())["resources"]
    assert thing["name"] == blob(name)
    (row,) = run(odd, "audit", "log", "-r", blob(name), "--json").stdout.splitlines()
    assert json.loads(row)["subject"] == blob(name)
    (row,) = run(odd, "audit", "state", "--at", "now", "-r", blob(name), "--compact").stdout.splitlines()
    assert json.loads(row)["subject"] == blob(name)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", NAMES),
        ("call?.mp3", ["call1.mp3", "call?.mp3", "call*.mp3"]),
        (r"call\*.mp3", ["call*.mp3"]),
        (r"call\?.mp3", ["call?.mp3"]),
        (r"call\\\*.mp3", ["call\\*.mp3"]),
        ("call[1].mp3", ["call[1].mp3"]),
        ("*]*", ["call[1].mp3"]),
    ],
)
def test_a_pattern_is_asked_for_and_has_an_escape(odd: Path, pattern: str, expected: list[str]) -> None:
    found = answer(odd, "erase", "--match", "mytenant/recordings/" + pattern)["found"]
    assert [row["name"] for row in found] == [blob(name) for name in expected]


def test_a_pattern_that_ends_in_a_backslash_is_wrong_usage(odd: Path) -> None:
    result = run(odd, "erase", "--match", "call\\", "--yes")
    assert (result.exit_code, "the pattern call\\ ends in a backslash" in result.stderr) == (WRONG, True)


def test_a_name_of_32_hexadecimal_digits_is_a_name(odd: Path) -> None:
    name = "0123456789abcdef" * 2
    assert [row["name"] for row in answer(odd, "erase", name)["found"]] == [name]
    assert [row["name"] for row in answer(odd, "erase", f"{name}/user:ann")["found"]] == [f"{name}/user:ann"]
    found = run(odd, "audit", "log", "-r", name, "--json").stdout.splitlines()
    assert {json.loads(row)["subject"] for row in found} == {name}
    assert answer(odd, "erase", "--number", name)["found"] == []


def test_what_was_taken_for_what_is_shown(odd: Path) -> None:
    told = run(
        odd, "erase", blob("call[1].mp3"), blob("call[2]*"), "--match", "*.mp3", "--tenant", "mytenant"
    )
    assert told.stderr.splitlines()[:4] == [
        "Name mytenant/recordings/call[1].mp3: 1 found",
        "Name mytenant/recordings/call[2]*: nothing found; --match takes a pattern",
        "Pattern *.mp3: 10 found",
        "Tenant mytenant: 5 found",
    ]
    held = run(odd, "hold", "add", blob("call?.mp3"), "--reason", "case 7", "--dry-run")
    assert held.stderr.splitlines()[0] == "Name mytenant/recordings/call?.mp3: 1 found"


def test_lifting_shows_what_it_is_about_and_lifts_all_or_nothing(odd: Path) -> None:
    (hold,) = answer(odd, "hold", "add", "carl/call[1].mp3", "--reason", "case 7")
    refused = run(odd, "hold", "lift", hold["hold"], "00" * 16, "--yes")
    assert (refused.exit_code, "Nothing was lifted" in refused.stderr) == (FAILED, True)
    asked = run(odd, "hold", "lift", hold["hold"], stdin="n\n")
    assert "carl/call[1].mp3" in asked.stdout
    assert len(answer(odd, "hold", "list")) == 1


def test_what_is_held_stays(folder: Path) -> None:
    (hold,) = answer(folder, "hold", "add", "bob/cart", "--reason", "case 7")
    result = run(folder, "erase", "--gms-user", "bob", "--yes", "--now")
    assert result.exit_code == FAILED
    title, *rows = (line.split() for line in result.stdout.splitlines())
    assert title[-3:] == ["BYTES", "HELD", "BECAUSE"]
    assert [row[5:] for row in rows] == [[rows[0][5], "case", "7"], [rows[1][5]]]
    assert "legal hold" in result.stderr
    run(folder, "hold", "lift", hold["hold"], "--yes")
    assert names(answer(folder, "erase", "--gms-user", "bob", "--yes", "--now"))["bob/cart"] == "ended-now"


def test_what_is_held_says_each_reason_also_before_an_erasure(folder: Path) -> None:
    run(folder, "hold", "add", "--container", "mytenant/recordings", "--reason", "case 8\x1b[2J")
    run(folder, "hold", "add", blob("../4711.opus"), "--reason", "case 7")
    for more in ((), ("--yes",)):
        result = run(folder, "erase", blob("../4711.opus"), *more)
        assert result.stdout.splitlines()[1].endswith("case 8\\x1b[2J (its container); case 7")
    (row,) = answer(folder, "erase", blob("../4711.opus"))["found"]
    assert [(one["kind"], one["reason"]) for one in row["holds"]] == [
        ("container", "case 8\x1b[2J"),
        ("blob", "case 7"),
    ]


def test_a_running_server_does_it(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        config = {"RETAIN_STORAGE_DATA": str(server.data), "RETAIN_CONFIG": None}

        def ask(*arguments: str) -> Result:
            return CliRunner().invoke(main, list(arguments), env=config)

        url = f"{server.url}/genesys/1/storage/60"
        with urllib.request.urlopen(url, data=b"phone=secret-number", timeout=120) as reply:
            area = json.loads(reply.read())["id"]
        assert ask("hold", "add", area, "--reason", "case 7").exit_code == DONE
        (hold,) = json.loads(ask("hold", "list", "--json").stdout)
        assert hold["subject"] == area
        assert ask("hold", "lift", hold["hold"], "--yes").exit_code == DONE
        result = ask("erase", area, "--yes", "--now")
        assert result.exit_code == DONE, result.output
        (left,) = json.loads(ask("erase", area, "--json").stdout)["found"]
        assert (left["status"], left["kept"]) == ("ended", 0)
        assert ask("audit", "verify").exit_code == DONE


# --- the actions' own bounds ----------


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"kind": "area", "resource": "xx", "names": ["a", None]},
        {"kind": "area", "resource": "00", "names": ["a", None]},
        {"kind": "area", "resource": "00" * 16, "names": ["a"]},
        {"kind": "fish", "resource": "00" * 16, "names": []},
        {"kind": "area", "resource": 7, "names": []},
    ],
)
def test_a_target_that_is_none_is_refused(target: Any) -> None:
    with pytest.raises(Invalid):
        unpacked(target)


async def test_only_data_can_be_erased() -> None:
    async with open_memory_engine(options=QUIET) as engine:
        tenant = {"kind": "tenant", "resource": "00" * 16, "names": ["x"]}
        with pytest.raises(Invalid):
            await Rights(engine).erase(actor="x", targets=[tenant])
        with pytest.raises(Invalid):
            await Rights(engine).lift_hold(actor="x", hold="not a number")


# --- export ----------


def test_everything_about_a_person_is_written_down(folder: Path) -> None:
    out = folder / "out"
    told = answer(
        folder, "export", "--user", "ann", "--gms-user", "bob", "--tag", "customer=4711", "-o", str(out)
    )
    document = json.loads((out / "export.json").read_text())
    assert document["format"] == "retain-export/1"
    assert document["asked"] == {"users": ["ann"], "customers": ["bob"], "tags": ["customer=4711"]}
    things = {thing["name"]: thing for thing in document["resources"]}
    assert told["resources"] == len(things) == 4
    cart = things["bob/cart"]
    assert cart["status"] == "live"
    assert cart["present"]["keys"]["phone"]["text"] == "+49"
    assert [(out / file["path"]).read_bytes() for file in cart["files"]] == [b"pdf"]
    gone = things["bob/gone"]
    assert (gone["status"], gone["present"]) == ("ended", None)
    assert gone["history"][0]["values"] == {"phone": "+49"}
    assert [(out / file["path"]).read_bytes() for file in gone["files"]] == [b"pdf"]
    ann = things["app/user:ann"]
    assert [one["document"] for one in ann["versions"]] == [
        {"theme": {"dark": True}},
        {"theme": {"dark": False}},
    ]
    blob = things["mytenant/recordings/../4711.opus"]
    assert [file["path"] for file in blob["files"]] == ["files/00002-4711.opus", "files/00003-record-8"]
    assert [(out / file["path"]).read_bytes() for file in blob["files"]] == [b"voice of ../4711.opus"] * 2
    assert {action["actor"] for action in document["actions"]} == {"user:ann"}
    assert told["actions"] == 2
    assert (out.stat().st_mode & 0o777) == 0o700


def test_an_export_leaves_nothing_of_an_earlier_one_in_its_folder(folder: Path) -> None:
    """Whoever gets the folder must not get what was somebody else's: it is new or empty."""
    out = folder / "out"
    out.mkdir()
    out.chmod(0o755)
    assert answer(folder, "export", "--gms-user", "bob", "-o", str(out))["files"] == 2
    assert (out.stat().st_mode & 0o777) == 0o755
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    told = run(folder, "export", "mytenant/recordings/other.opus", "-o", str(out))
    assert (told.exit_code, "is not empty" in told.stderr) == (OUTPUT, True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("made", ["files/00001-theirs", "export.json", "letter.txt"])
def test_an_export_takes_nothing_of_somebody_elses_away(folder: Path, made: str) -> None:
    theirs = folder / "out" / made
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    assert run(folder, "export", "--gms-user", "bob", "-o", str(folder / "out")).exit_code == OUTPUT
    assert [path for path in (folder / "out").rglob("*") if path.is_file()] == [theirs]


def test_an_export_follows_no_link_and_enters_no_data_folder(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "out").symlink_to(folder / "elsewhere")
    told = run(folder, "export", "--gms-user", "bob", "-o", str(folder / "out"))
    assert (told.exit_code, "symbolic link" in told.stderr) == (OUTPUT, True)
    assert list((folder / "elsewhere").iterdir()) == []
    for place in (folder, folder / "data", folder / "data" / "out"):
        assert run(folder, "export", "--gms-user", "bob", "-o", str(place)).exit_code == OUTPUT


def test_an_export_stands_in_the_audit_log_before_it_is_written(folder: Path) -> None:
    assert run(folder, "export", "--gms-user", "bob", "-o", str(folder / "out")).exit_code == DONE
    (entry,) = [one for one in entries(folder) if one["event"] == "data-exported"]
    exported = json.loads((folder / "out" / "export.json").read_text())
    assert entry["actor"].startswith("cli:")
    assert "".join(sorted(re.findall(".{32}", entry["details"]["numbers"]))) == "".join(
        sorted(one["resource"] for one in exported["resources"])
    )
    assert run(folder, "export", "--gms-user", "nobody-here", "-o", str(folder / "none")).exit_code == DONE
    assert len([one for one in entries(folder) if one["event"] == "data-exported"]) == 1


def entries(folder: Path) -> list[dict[str, Any]]:
    """The lines of the audit log."""
    told = run(folder, "audit", "log", "--json")
    assert told.exit_code == DONE
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_an_export_of_nothing_says_so(folder: Path) -> None:
    told = run(folder, "export", "--actor", "cli:nobody", "-o", str(folder / "out"))
    assert told.exit_code == DONE
    assert told.stdout.startswith("Wrote 0 resources, 0 files, 0 lines of the log")


def test_what_is_erased_while_it_is_exported_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanishing(self: Dossier, held: Any, contents: Any) -> Iterator[bytes]:
        yield b"first half"
        raise journal.Corrupt("the content was erased meanwhile", file="journal")

    monkeypatch.setattr(Dossier, "_read", vanishing)
    out = folder / "out"
    told = run(folder, "export", "bob/cart", "-o", str(out))
    assert told.exit_code == DONE
    assert "Erased during the export, not included: scan.pdf" in told.stderr
    assert list((out / "files").iterdir()) == []
    (thing,) = json.loads((out / "export.json").read_text())["resources"]
    assert thing["files"][0]["path"] is None


async def test_actions_that_follow_one_another_tidy_up_once() -> None:
    async with open_memory_engine(options=QUIET) as engine:
        store = Store(engine)
        await store.area("cart", "bob")
        (target,) = store.targets(customers=frozenset({"bob"}))
        erase = Rights(engine).erase
        told = await erase(actor="x", targets=[packed(target)], now=True, more=True)
        assert told["erased_parts"] == 2
        again = await erase(actor="x", targets=[packed(target)], now=True)
        assert again["results"][0]["status"] == "ended"


async def test_a_round_of_the_eraser_beside_it_erases_nothing_a_second_time() -> None:
    """Six records for each: two of its creation, the order, the end, and the two of one erasure."""
    async with open_memory_engine(options=QUIET) as engine:
        store = Store(engine)
        ended = trio.Event()

        async def rounds() -> None:
            while not ended.is_set():
                await engine.erase_due()
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(rounds)
            for number in range(20):
                await store.area("cart", f"customer-{number}")
                (target,) = store.targets(customers=frozenset({f"customer-{number}"}))
                await Rights(engine).erase(actor="x", targets=[packed(target)], now=True)
                assert engine.state.seq == 6 * (number + 1)
            ended.set()


# --- hold ----------


def test_holds_are_added_listed_and_lifted(folder: Path) -> None:
    reason = ("--reason", "case 7")
    dry = run(
        folder, "hold", "add", "--user", "ann", "--container", "mytenant/recordings", *reason, "--dry-run"
    )
    assert dry.exit_code == DONE
    assert "2 holds would be set." in dry.stderr
    assert answer(folder, "hold", "list") == []
    made = answer(
        folder,
        *("hold", "add", "--user", "ann", "--container", "mytenant/recordings", *reason),
        *("--whole-tenant", "mytenant"),
    )
    assert [hold["subject"] for hold in made] == ["mytenant/recordings", "mytenant", "app/user:ann"]
    assert answer(folder, "hold", "list") == made
    table = run(folder, "hold", "list").stdout.splitlines()
    assert table[0].split() == ["HOLD", "SINCE", "KIND", "RESOURCE", "REASON", "BY"]
    assert "mytenant/recordings" in table[1]
    refused = run(folder, "hold", "lift", made[0]["hold"], stdin="n\n")
    assert refused.exit_code == FAILED
    lifted = run(folder, "hold", "lift", *(hold["hold"] for hold in made), stdin="y\n")
    assert "Lifted the hold on mytenant/recordings (case 7)." in lifted.stdout
    assert answer(folder, "hold", "list") == []
    assert run(folder, "hold", "lift", made[0]["hold"], "--yes").exit_code == FAILED


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), WRONG),
        (("nobody/nothing",), FAILED),
        (("--container", "mytenant"), WRONG),
        (("--container", "mytenant/nothing"), FAILED),
        (("--container", "mytenant/nothing", "--dry-run"), FAILED),
        (("--whole-tenant", "nobody"), FAILED),
    ],
)
def test_a_hold_must_keep_something(folder: Path, arguments: tuple[str, ...], code: int) -> None:
    assert run(folder, "hold", "add", *arguments, "--reason", "case 7").exit_code == code
