"""The door for commands: what breaks a field's type is refused by the field's name, and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Annotated, Any, NamedTuple

import pytest

from retain.engine.areas.commands import CreateArea, DeleteArea, NewFile, UpdateArea
from retain.engine.blobs.commands import BlockSource, CommitBlocks
from retain.engine.blobs.container_commands import (
    CreateContainer,
    SetContainerRetention,
    SetServiceProperties,
)
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.body import Inline
from retain.engine.core.errors import Invalid
from retain.engine.core.typed import Between, Resource, wrong_field
from retain.engine.settings import Asker, EncodedValue, Level, Place, PostValue, SettingsPolicy
from retain.engine.testing import ManualClock, open_memory_engine
from tests.kit.work import steps

AREA = CreateArea(actor="anonymous", name="a" * 36, resource=bytes(16), values={"k": "v"}, ttl=60)


class Word(StrEnum):
    ONE = "one"


class Number(IntEnum):
    ONE = 1


class Pair(NamedTuple):
    name: str
    size: int | None


@dataclass(frozen=True)
class Everything:
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    data: bytes = b""
    resource: Resource = bytes(16)
    days: Annotated[int, Between(0, 10)] | None = None
    word: Word = Word.ONE
    code: Number = Number.ONE
    pair: Pair = field(default_factory=lambda: Pair("", None))
    rows: tuple[tuple[str, bytes], ...] = ()
    several: frozenset[str] = frozenset()
    named: Mapping[str, str | Pair] = field(default_factory=dict)
    anything: Any = None


@pytest.mark.parametrize(
    "change",
    [
        {}, {"number": -(1 << 63)}, {"number": 1 << 80}, {"ratio": 1}, {"days": 0}, {"days": 10},
        {"code": 1}, {"pair": Pair("x", 1)}, {"several": frozenset("ab")},
        {"rows": (("a", b"b"), ("c", b"d"))},
        {"named": {"a": "b", "c": Pair("d", 1)}}, {"anything": object()}, {"text": "\U0001f600\0é"},
    ],
)  # fmt: skip
def test_what_is_declared_is_taken(change: dict[str, Any]) -> None:
    assert wrong_field(replace(Everything(), **change)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"text": None}, {"text": b"a"}, {"text": "\ud800"},
        {"number": True}, {"number": 1.0}, {"number": "1"},
        {"ratio": "1"}, {"ratio": True}, {"flag": 1},
        {"data": "a"}, {"data": bytearray()}, {"resource": bytes(15)}, {"resource": bytes(17)},
        {"resource": "x" * 16}, {"days": -1}, {"days": 11}, {"days": 1.5}, {"word": "one"}, {"code": 2},
        {"code": True}, {"pair": ("", None)}, {"pair": Pair(1, None)}, {"pair": Pair("", "1")},
        {"rows": [("a", b"b")]}, {"rows": (("a", "b"),)}, {"rows": (("a", b"b"), ("a",))}, {"rows": ("ab",)},
        {"several": {"a"}}, {"several": frozenset([1])}, {"several": "ab"}, {"named": [("a", "b")]},
        {"named": {1: "a"}}, {"named": {"a": 1}}, {"named": {"a": "b", "c": Pair("d", "e")}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_is_named(change: dict[str, Any]) -> None:
    assert wrong_field(replace(Everything(), **change)) == next(iter(change))


ODD: list[tuple[Any, str]] = [
    (replace(AREA, ttl=1.5), "ttl"),
    (replace(AREA, ttl=True), "ttl"),
    (replace(AREA, values={"a": 1}), "values"),
    (replace(AREA, values={b"a": "b"}), "values"),
    (replace(AREA, values={"a": "\udfff"}), "values"),
    (replace(AREA, values={"a": NewFile("f", 7, Inline(b"x", bytes(16)))}), "values"),  # type: ignore[arg-type]
    (replace(AREA, values={"a": NewFile("f", None, Inline("x", bytes(16)))}), "values"),  # type: ignore[arg-type]
    (replace(AREA, name=b"n"), "name"),
    (replace(AREA, actor=None), "actor"),
    (replace(AREA, resource=b"short"), "resource"),
    (UpdateArea(actor="a", name="n", resource=bytes(16), values={}, ttl="60"), "ttl"),  # type: ignore[arg-type]
    (DeleteArea(actor="a", name="n", custom=None), "custom"),  # type: ignore[arg-type]
    (
        CreateContainer(
            actor="a", account="acc", container="con", resource=bytes(16),
            metadata=[("a", "b")], public_access=None,  # type: ignore[arg-type]
        ),
        "metadata",
    ),
    (SetContainerRetention(actor="a", account="acc", container="con", days=-1), "days"),
    (
        PostValue(
            actor="a", asker=Asker("a"), place=Place("app", Level.USER, "", None), path=(),  # type: ignore[arg-type]
            policy=SettingsPolicy(), resource=bytes(16), body=EncodedValue.of({}),
        ),
        "place",
    ),
    ("no command", ""),
]  # fmt: skip


@pytest.mark.parametrize(("command", "wrong"), ODD)
async def test_an_odd_command_is_refused_and_nothing_changes(command: Any, wrong: str) -> None:
    async with open_memory_engine(clock=ManualClock()) as engine:
        before = engine.state.digest(), engine.state.seq
        with pytest.raises(Invalid) as caught:
            await engine.submit(command)
        assert (caught.value.reason, caught.value.data) == ("command", {"field": wrong})
        assert wrong in caught.value.message
        assert (engine.state.digest(), engine.state.seq) == before
        assert await engine.submit(AREA) == AREA.name


@pytest.mark.parametrize("document", [{"a": {1, 2}}, {"a": 1 << 70}, {"a": object()}, {"a": "\ud800"}])
async def test_what_no_record_can_hold_is_refused(document: dict[str, Any]) -> None:
    command = SetServiceProperties(actor="a", account="acc", resource=bytes(16), document=document)
    async with open_memory_engine(clock=ManualClock()) as engine:
        before = engine.state.digest(), engine.state.seq
        with pytest.raises(Invalid):
            await engine.submit(command)
        assert (engine.state.digest(), engine.state.seq) == before
        assert await engine.submit(AREA) == AREA.name


def test_a_large_command_is_looked_at_in_a_few_steps() -> None:
    """Lists of blocks by the column: no more than three steps of the interpreter for a check of each."""

    def listing(size: int) -> CommitBlocks:
        return CommitBlocks(
            actor="a", account="acc", container="con", name="b", resource=bytes(16), md5=None,
            headers=ContentHeaders(), blocks=tuple((BlockSource.LATEST, b"%08d" % n) for n in range(size)),
        )  # fmt: skip

    command = listing(1_000)
    assert wrong_field(command) is None
    assert steps(lambda: lambda: wrong_field(command)) < 1_000 * 40
