"""Every command that verification, a start or readiness names is worth running in the state that names it."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result
from crc32c import crc32c

from retain.api.cli.main import DONE, FAILED, WRONG, main
from retain.api.web.readiness import readiness
from retain.engine import Cause, Options, open_engine
from retain.engine.areas.commands import CreateArea, NewFile
from retain.journal import JournalError, Part, RealDisk, write_indexes
from retain.journal.format.envelope import INDEX_MAGIC, unwrap, wrap

HINT = re.compile(r"`retain ([^`]+)`")
NOTHING = ("Nothing to repair", "No content is lost", "No payload file is missing", "Nothing in the journal")


def file_of(folder: Path) -> Path:
    [path] = (path for path in (folder / "payloads").rglob("*") if path.is_file())
    return path


def missing(folder: Path) -> None:
    file_of(folder).unlink()


def changed(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def wrong_bytes(folder: Path) -> None:
    changed(file_of(folder), 100)


def frame(folder: Path) -> None:
    [segment] = (folder / "journal").glob("*.journal")
    changed(segment, 600)


def anchor(folder: Path) -> None:
    changed(folder / "journal" / "anchor", 20)


def segments(folder: Path, at_least: int = 4) -> list[Path]:
    found = sorted((folder / "journal").glob("*.journal"))
    assert len(found) >= at_least, "the kinds below need a segment that others surround"
    return found


def index(folder: Path) -> None:
    """One whose checksums hold, and which hides a record."""
    path = min((folder / "journal").glob("*.index"))
    data = path.read_bytes()
    facts, start = unwrap(INDEX_MAGIC, data, file=path.name)
    body, at = bytearray(data[start:]), facts["sections"][0][0]
    body[at] ^= 1
    resources = facts["sections"][1]
    resources[1] = crc32c(bytes(body[at : at + resources[0]]))
    path.write_bytes(wrap(INDEX_MAGIC, facts) + body)


def segment(folder: Path) -> None:
    segments(folder)[1].unlink()


def foreign_segment(folder: Path) -> None:
    found = segments(folder)
    found[1].write_bytes(found[2].read_bytes())


def version(folder: Path) -> None:
    """An opener of a format that only a later release knows."""
    path = segments(folder)[1]
    raw = bytearray(path.read_bytes())
    (length,) = struct.unpack_from(">I", raw, 12)
    raw[8:10] = b"\x00\x63"
    raw[16 + length : 20 + length] = crc32c(bytes(raw[: 16 + length])).to_bytes(4, "big")
    path.write_bytes(raw)


def erasure(folder: Path) -> None:
    """An erased part that has bytes again."""
    path = segments(folder)[0]
    changed(path, path.read_bytes().index(bytes(900), 600) + 400)


def undone_erasure(folder: Path) -> None:
    """The file as it was before a part of it was erased, as a restored file system has it."""
    shutil.copy(folder.parent / "before", segments(folder)[0])


SMALL: list[Callable[[Path], None]] = [missing, wrong_bytes, frame, anchor]
LONG: list[Callable[[Path], None]] = [segment, foreign_segment, version, erasure, undone_erasure]


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", str(folder)], env={"RETAIN_CONFIG": None})


async def fill(folder: Path) -> None:
    async with open_engine(folder) as engine, engine.upload() as upload:
        await upload.write(bytes(100_000))
        values = {"file": NewFile("f", None, await upload.finish())}
        await engine.submit(CreateArea(actor="a", name="n", resource=bytes(16), values=values, ttl=86400))


async def fill_long(folder: Path) -> None:
    async with open_engine(folder, options=Options(segment_bytes=4096)) as engine:
        for number in range(12):
            values = {"text": f"{number}" * 1500}
            where = {"name": f"n{number}", "user": "u", "resource": number.to_bytes(16)}
            await engine.submit(CreateArea(actor="a", values=values, ttl=86400, **where))
            if number == 6:
                shutil.copy(segments(folder, 1)[0], folder.parent / "before")
                await engine.erase([(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
    write_indexes(RealDisk(folder))


async def said_at_a_start(folder: Path) -> str:
    try:
        async with open_engine(folder) as engine:
            return "\n".join([*engine.notices, readiness(engine.statistics())[1]])
    except JournalError:
        return ""


@pytest.mark.parametrize("damage", LONG, ids=lambda damage: damage.__name__)
def test_every_hint_about_a_long_journal_leads_somewhere(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    trio.run(fill_long, folder)
    damage(folder)
    kinds = {one["kind"] for one in json.loads(run(folder, "audit", "verify", "--json").stdout)["findings"]}
    assert damage.__name__.rpartition("_")[2] in kinds
    follow(folder)


def test_an_index_that_lies_is_made_anew_once_it_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    trio.run(fill_long, folder)
    index(folder)
    told = run(folder, "audit", "verify")
    assert told.exit_code == FAILED
    assert "remove the file, and it is rebuilt" in told.output
    assert HINT.findall(told.output) == []
    min((folder / "journal").glob("*.index")).unlink()
    assert run(folder, "audit", "verify").exit_code == DONE


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (erasure, "an erased part of record 1 is not all zero"),
        (undone_erasure, "record 1 has parts again that record 8 says are erased"),
    ],
)
def test_an_erased_part_that_has_bytes_again_is_erased_by_a_repair(
    tmp_path: Path, damage: Callable[[Path], None], text: str
) -> None:
    folder = tmp_path / "data"
    trio.run(fill_long, folder)
    damage(folder)
    before = segments(folder)[0].read_bytes()
    assert text in run(folder, "journal", "repair").output
    assert run(folder, "journal", "repair", "--accept-loss", "--yes").exit_code == DONE
    trio.run(said_at_a_start, folder)
    assert run(folder, "audit", "verify").exit_code == DONE
    after = segments(folder)[0].read_bytes()
    assert before != after
    assert bytes(900) in after


@pytest.mark.parametrize("damage", SMALL, ids=lambda damage: damage.__name__)
def test_every_hint_leads_somewhere(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "data"
    trio.run(fill, folder)
    damage(folder)
    follow(folder)


def follow(folder: Path) -> None:
    """Run each command that is named, and each that those name."""
    waiting = {"audit verify --bodies", "clock show"}
    followed: set[str] = set()
    texts = trio.run(said_at_a_start, folder)
    while waiting:
        hint = waiting.pop()
        followed.add(hint)
        result = run(folder, *hint.split())
        assert result.exit_code != WRONG, (hint, result.output)
        if hint not in ("audit verify --bodies", "clock show"):
            assert not any(text in result.output for text in NOTHING), (hint, result.output)
        texts += result.output
        waiting |= set(HINT.findall(texts)) - followed
        texts = ""
    assert len(followed) > 2, "nothing said what to do"
