"""Blobs in columns: a snapshot with columns restores the same state as one without, for any content."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retain.engine.blobs import columns
from retain.engine.blobs.columns import RUN, SHORT, blobs_of, rows_of
from retain.engine.blobs.entries import BlobEntry, Block, Composite, ContentHeaders, CopyInfo
from retain.engine.blobs.leases import Lease
from retain.engine.blobs.rows import BLOB, COLUMNS, _row
from retain.engine.core.body import Inline, OnDisk
from retain.engine.state import State
from retain.journal import NO_RESOURCE, Payload
from tests.kit.slices import payload

WORDS = st.sampled_from(["a", "b", "ä", "", "x" * 40])
NUMBERS = st.integers(1, 1 << 62)
ON_DISK = st.builds(OnDisk, NUMBERS, st.integers(0, 1 << 20))
FILES = st.integers(0, 1 << 100).map(lambda number: payload(f"{number:032x}"))
INLINE = st.builds(Inline, st.binary(max_size=3), st.binary(min_size=16, max_size=16))
COMPOSITE = st.lists(st.builds(Block, st.just(b"id"), ON_DISK | FILES, NUMBERS), max_size=3).map(
    lambda blocks: Composite(tuple(blocks), sum(block.size for block in blocks))
)
HEADERS = st.builds(ContentHeaders, st.none() | WORDS, language=st.none() | WORDS)
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=2).map(tuple)
MD5S = st.none() | st.binary(min_size=16, max_size=16)


@st.composite
def entries(draw: st.DrawFn) -> BlobEntry:
    modified = draw(NUMBERS)
    body = draw(st.one_of(ON_DISK, FILES, INLINE, COMPOSITE))
    odd = draw(st.integers(0, 9)) == 0
    return BlobEntry(
        resource=draw(st.binary(min_size=16, max_size=16)),
        created=modified if draw(st.booleans()) else draw(NUMBERS),
        modified=modified,
        seq=draw(NUMBERS),
        body=body,
        md5=body.md5 if isinstance(body, Payload) and draw(st.booleans()) else draw(MD5S),
        headers=draw(HEADERS),
        metadata=draw(PAIRS),
        tags=draw(PAIRS.map(lambda pairs: tuple(dict(pairs).items()))),
        tier=draw(st.none() | WORDS) if odd else None,
        tier_changed=draw(st.none() | NUMBERS) if odd else None,
        copy=CopyInfo("id", "http://a", 1, 2) if odd and draw(st.booleans()) else None,
        lease=Lease("i", 15, None) if odd and draw(st.booleans()) else None,
        metadata_seq=draw(st.integers(0, 9)) if odd else 0,
    )


@st.composite
def containers(draw: st.DrawFn) -> list[tuple[str, BlobEntry]]:
    """Runs of blobs like the first one of each, with others in between."""
    found: list[BlobEntry] = []
    for first in draw(st.lists(entries(), max_size=4)):
        count = draw(st.sampled_from([1, SHORT - 1, SHORT, 2 * SHORT]))
        found += [first._replace(seq=first.seq + number) for number in range(count)]
        found += draw(st.lists(entries(), max_size=2))
    return [(f"blob-{number * 7919 % 1000:03}", entry) for number, entry in enumerate(found)]


def loaded(rows: list[Any], *, use_list: bool) -> State:
    state = State()
    container = [2, "acc", "box", NO_RESOURCE, 1, 1, [], None, [], None, None, -1]
    packed = msgpack.packb([[0, 30], container, *rows])
    state.load(iter([("blobs", msgpack.unpackb(packed, use_list=use_list))]))
    state.check()
    return state


@settings(max_examples=40, deadline=None)
@given(blobs=containers(), use_list=st.booleans())
def test_columns_bring_back_what_single_rows_do(blobs: list[tuple[str, BlobEntry]], use_list: bool) -> None:
    single = [_row(name, entry) for name, entry in blobs]
    mixed = list(rows_of(blobs, _row, COLUMNS))
    old, new = loaded(single, use_list=use_list), loaded(mixed, use_list=use_list)
    assert new.digest() == old.digest()
    assert new.deadlines.entries() == old.deadlines.entries()
    assert new.shared.payloads == old.shared.payloads
    found = new.blobs.accounts["acc"]["box"].blobs
    assert list(found.items()) == list(old.blobs.accounts["acc"]["box"].blobs.items()) == blobs
    for entry in found.values():
        assert type(entry) is BlobEntry
        assert entry.created != entry.modified or entry.created is entry.modified


def recordings(count: int) -> list[tuple[str, BlobEntry]]:
    """As they are uploaded: written once, large, with two tags."""
    return [
        (
            f"{number:04}",
            BlobEntry(
                resource=number.to_bytes(16, "big"),
                created=10**18 + number,
                modified=10**18 + number,
                seq=number + 1,
                body=(body := payload(f"{number:032x}")),
                md5=body.md5,
                headers=ContentHeaders("audio/mpeg"),
                metadata=(("call", str(number)),),
                tags=(("RecordingType", "CALL"), ("StoredTime", str(number))),
                tier=None,
                tier_changed=None,
                copy=None,
                lease=None,
                metadata_seq=0,
            ),
        )
        for number in range(count)
    ]


def test_recordings_stand_in_columns_and_share_what_is_equal() -> None:
    blobs = recordings(2 * RUN + SHORT - 1)
    rows = list(rows_of(blobs, _row, COLUMNS))
    assert [row[0] for row in rows] == [COLUMNS, COLUMNS, *[BLOB] * (SHORT - 1)]
    assert len(msgpack.packb(rows[0])) < 0.75 * len(msgpack.packb([_row(*blob) for blob in blobs[:RUN]]))
    names, found, files = blobs_of(msgpack.unpackb(msgpack.packb(rows[0]))[1:])
    first, second, *_ = found
    assert (names[0], files[0], first) == ("0000", blobs[0][1].body.name, blobs[0][1])  # type: ignore[union-attr]
    assert first.md5 is first.body.md5  # type: ignore[union-attr]
    assert first.headers is second.headers
    assert first.tags[0] is second.tags[0]
    assert first.metadata[0][0] is second.metadata[0][0]


def test_the_largest_row_is_far_below_the_bound_of_a_block() -> None:
    _, entry = recordings(1)[0]
    wide = entry._replace(
        metadata=tuple((f"{number:030}", "m" * 1000) for number in range(8)),
        tags=tuple((f"{number}" * 64, "\U0001f600" * 256) for number in range(10)),
    )
    [row, *_] = rows_of([(f"{number:04}" * 256, wide) for number in range(RUN)], _row, COLUMNS)
    assert row[0] == COLUMNS
    assert len(msgpack.packb(row)) < 8 << 20


@pytest.mark.parametrize("place", range(2, 13))
def test_a_column_that_is_too_short_is_refused(place: int) -> None:
    blobs = [(name, entry._replace(created=1)) for name, entry in recordings(SHORT)]
    [row] = rows_of(blobs, _row, COLUMNS)
    row = msgpack.unpackb(msgpack.packb(row))
    shortened(row[place])
    with pytest.raises((ValueError, TypeError, KeyError, IndexError)):
        loaded([row], use_list=True)


def shortened(column: list[Any]) -> None:
    """Takes the last value away, wherever in it that is; what is not there stays away."""
    while column and isinstance(column[-1], list):
        column = column[-1]
    if column:
        column.pop()
    else:
        column.append(1)


def test_switching_columns_off_is_what_the_property_compares_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "SHORT", 1 << 30)
    assert {row[0] for row in rows_of(recordings(RUN), _row, COLUMNS)} == {BLOB}


def test_a_row_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind 99"):
        loaded([[99]], use_list=True)
