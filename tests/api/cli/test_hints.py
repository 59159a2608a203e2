"""Every command that verification, a start or readiness names is worth running in the state that names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from retain.api.cli.main import WRONG, main
from retain.api.web.readiness import readiness
from retain.engine import open_engine
from retain.engine.areas.commands import CreateArea, NewFile
from retain.journal import JournalError

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


STATES: list[Callable[[Path], None]] = [missing, wrong_bytes, frame, anchor]


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", str(folder)], env={"RETAIN_CONFIG": None})


async def fill(folder: Path) -> None:
    async with open_engine(folder) as engine, engine.upload() as upload:
        await upload.write(bytes(100_000))
        values = {"file": NewFile("f", None, await upload.finish())}
        await engine.submit(CreateArea(actor="a", name="n", resource=bytes(16), values=values, ttl=86400))


async def said_at_a_start(folder: Path) -> str:
    try:
        async with open_engine(folder) as engine:
            return "\n".join([*engine.notices, readiness(engine.statistics())[1]])
    except JournalError:
        return ""


@pytest.mark.parametrize("damage", STATES, ids=lambda damage: damage.__name__)
def test_every_hint_leads_somewhere(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "data"
    trio.run(fill, folder)
    damage(folder)
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
