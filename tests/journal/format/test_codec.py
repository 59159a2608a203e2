"""Batches to bytes and back, without any file."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import msgpack
import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from retain.journal.format import parts
from retain.journal.format.codec import Batch, Decoder, Want, encode_batch, salts_needed
from retain.journal.format.frame import (
    Chain,
    Damage,
    Frame,
    layout,
    pack_prefix,
    parse_head,
    parse_header,
    parse_prefix,
)
from retain.journal.format.limits import (
    BATCH_BYTES,
    FRAME_ROOM,
    PART_BYTES,
    PART_OVERHEAD,
    draft_room,
    part_size,
)
from retain.journal.format.merkle import Frontier, leaf_hash
from retain.journal.format.record import NO_COMMITMENT, Draft, Part, Verb, address
from retain.journal.format.whitening import Whitening
from tests.kit.journals import counting_entropy, draft

WHITENING = Whitening(bytes(16), 7)
START = 1536


def encode(drafts: list[Draft], chain: Chain | None = None, offset: int = START) -> Batch:
    chain = chain or Chain(Frontier(), 5)
    salts = counting_entropy()(salts_needed(drafts))
    return encode_batch(
        drafts, chain, chain.frontier.root(), segment=7, offset=offset, whitening=WHITENING, salts=salts
    )


def decoder(chain: Chain | None = None) -> Decoder:
    chain = chain or Chain(Frontier(), 0)
    return Decoder(chain, segment=7, offset=START, whitening=WHITENING)


def decode(data: bytes) -> Frame:
    reading = decoder()
    reading.feed(data)
    frame = reading.next()
    assert isinstance(frame, Frame)
    assert reading.next() is Want.MORE
    return frame


bodies = st.one_of(st.just(b""), st.binary(max_size=700), st.integers(1, 3000).map(bytes))
drafts = st.lists(
    st.builds(
        Draft,
        verb=st.sampled_from(Verb),
        interface=st.integers(0, 2**32 - 1),
        resource=st.binary(min_size=16, max_size=16),
        cause=st.integers(0, 2**32 - 1),
        details=bodies,
        content=bodies,
    ),
    min_size=1,
    max_size=5,
)


@given(st.lists(drafts, min_size=1, max_size=4), st.integers(1, 4096))
def test_what_was_encoded_is_decoded_however_it_is_fed(batches: list[list[Draft]], piece: int) -> None:
    frontier, time, data, expected = Frontier(), 0, b"", []
    for batch in batches:
        time += 3
        encoded = encode(batch, Chain(frontier, time), START + len(data))
        assert len(encoded.data) % 512 == 0
        expected += [
            ((frontier.size + 1 + index, time, *_what(one)), one.details, one.content, at)
            for index, (one, at) in enumerate(zip(batch, encoded.addresses, strict=True))
        ]
        for leaf in encoded.leaves:
            frontier.append(leaf)
        data += encoded.data

    reading, found = decoder(), []
    for at in range(0, len(data), piece):
        reading.feed(data[at : at + piece])
        while isinstance(frame := reading.next(), Frame):
            found += [
                (tuple(one.header[:6]), one.details, one.content, one.content_at) for one in frame.records
            ]
            assert not frame.holes
        assert frame is Want.MORE

    assert found == expected
    assert reading.root == frontier.root()
    assert reading.offset == START + len(data)
    assert reading.chain.time == time


def _what(one: Draft) -> tuple[int, int, bytes, int]:
    return one.verb, one.interface, one.resource, one.cause


def test_a_header_commits_to_parts_padded_to_64_bytes() -> None:
    frame = decode(encode([draft(b"x" * 24, b"y" * 25)]).data)
    header = frame.records[0].header

    assert (header.details_size, header.content_size) == (64, 128)
    sealed, proof = parts.seal(b"x" * 24, counting_entropy()(32))
    assert len(sealed) == 64
    assert header.details_commitment == proof == parts.commitment(sealed)


def test_an_absent_part_takes_no_room_and_no_salt() -> None:
    assert salts_needed([draft(b"", b""), draft(b"x", b""), draft(b"x", b"y")]) == 96
    batch = encode([draft(b"", b"")])
    record = decode(batch.data).records[0]

    assert batch.addresses == [-1]
    assert record.content_at == -1
    assert (record.details, record.content) == (b"", b"")
    assert record.header[6:] == (0, 0, NO_COMMITMENT, NO_COMMITMENT)


def test_an_address_is_segment_and_offset_of_the_part() -> None:
    batch = encode([draft(), draft()])
    prefix = parse_prefix(batch.data[:32])

    assert prefix is not None
    assert batch.addresses[1] == address(7, START + prefix.payload_at + 3 * 64)


def test_a_leaf_is_the_hash_of_the_headers_bytes_as_stored() -> None:
    batch = encode([draft()])
    prefix = parse_prefix(batch.data[:32])

    assert prefix is not None
    _, _, headers = parse_head(batch.data[32 : 32 + prefix.head_length])
    assert batch.leaves == [sha256(b"\x00" + headers[0]).digest()] == [leaf_hash(headers[0])]


def test_no_sector_of_a_frame_is_zero_even_if_the_data_is() -> None:
    data = encode([draft(bytes(3000), bytes(3000))]).data

    assert bytes(512) not in {data[at : at + 512] for at in range(0, len(data), 512)}


def test_the_same_data_whitens_differently_at_another_place() -> None:
    assert encode([draft()]).data != encode([draft()], offset=START + 512).data
    assert Whitening(bytes(16), 7).apply(bytes(32), 16)[16:] == Whitening(bytes(16), 7).apply(bytes(16), 32)
    assert Whitening(bytes(16), 7).apply(bytes(48), 0)[5:] == Whitening(bytes(16), 7).apply(bytes(43), 5)
    assert Whitening(bytes(16), 7).apply(bytes(32), 0) != Whitening(bytes(16), 8).apply(bytes(32), 0)


def test_what_the_room_of_drafts_promises_fits() -> None:
    largest = PART_BYTES - PART_OVERHEAD
    room = FRAME_ROOM - draft_room(largest, largest)
    fitting = [draft(bytes(largest), bytes(largest))]
    while room >= draft_room(1, 60_000):
        fitting.append(draft(b"x", bytes(60_000)))
        room -= draft_room(1, 60_000)

    assert len(encode(fitting).data) <= BATCH_BYTES


@pytest.mark.parametrize(
    "batch",
    [[draft(bytes(PART_BYTES - PART_OVERHEAD + 1), b"")], [draft(bytes(1_000_000), bytes(1_000_000))] * 3],
    ids=["part", "frame"],
)
def test_what_is_larger_than_the_format_allows_is_refused(batch: list[Draft]) -> None:
    with pytest.raises(ValueError, match="larger than the format allows"):
        encode(batch)


def test_zeros_are_never_a_frame() -> None:
    reading = decoder()
    reading.feed(bytes(1024))

    assert reading.next() is Want.NOTHING
    assert reading.extent is None


def test_more_is_wanted_until_the_frame_is_whole() -> None:
    data = encode([draft()]).data
    reading = decoder()
    reading.feed(data[:31])
    assert reading.next() is Want.MORE
    assert reading.extent is None
    reading.feed(data[31:-1])
    assert reading.next() is Want.MORE
    assert reading.extent == len(data)
    reading.feed(data[-1:])
    assert isinstance(reading.next(), Frame)


def test_a_zeroed_part_is_a_hole_and_the_rest_is_read() -> None:
    batch = encode([draft(b"d" * 100, b"c" * 100), draft(b"e", b"f")])
    at = batch.addresses[0] - address(7, START)
    data = bytearray(batch.data)
    data[at - 192 : at] = bytes(192)
    data[at] ^= 1

    frame = decode(bytes(data))

    assert [(hole.seq, hole.part, hole.size, hole.blank) for hole in frame.holes] == [
        (1, Part.DETAILS, 192, True),
        (1, Part.CONTENT, 192, False),
    ]
    assert frame.holes[1].offset == START + at
    assert [record[1:3] for record in frame.records] == [(None, None), (b"e", b"f")]
    assert frame.before is not None
    assert frame.before.frontier.size == 0


def test_the_journals_own_records_are_told_apart() -> None:
    frame = decode(encode([draft(), draft(verb=Verb.ERASE), draft(verb=Verb.TOKEN)]).data)

    assert [record.header.seq for record in frame.own] == [2]


def test_every_flipped_byte_of_a_frame_is_noticed() -> None:
    batch = encode([draft(bytes(600), b"c"), draft(b"", b"d")])
    for at in range(len(batch.data)):
        data = bytearray(batch.data)
        data[at] ^= 0x10
        assert is_bad(bytes(data)), f"a flip at {at} went unseen"


def is_bad(data: bytes) -> bool:
    reading = decoder()
    reading.feed(data)
    try:
        frame = reading.next()
    except Damage as damage:
        return (damage.offset, damage.seq) == (START, 1)
    return isinstance(frame, Frame) and frame.holes != []


def forged(change: Callable[[list[list[object]]], None], **prefix: int) -> bytes:
    """A frame with good checksums whose headers were changed."""
    data = encode([draft(), draft()]).data
    found = parse_prefix(data[:32])
    assert found is not None
    size, root, headers = parse_head(data[32 : 32 + found.head_length])
    fields = [list(parse_header(header)) for header in headers]
    change(fields)
    head = msgpack.packb([size, root, *(msgpack.packb(one) for one in fields)])
    payload = prefix.get("payload", found.payload_length)
    payload_at, extent = layout(len(head), payload)
    area = WHITENING.apply(data[32 + found.head_length :], START + 32 + found.head_length)
    parts_at = found.payload_at - 32 - found.head_length
    plain = bytes(payload_at - 32 - len(head)) + area[parts_at : parts_at + payload]
    plain += bytes(extent - 32 - len(head) - len(plain))
    count = prefix.get("count", len(fields))
    return (
        pack_prefix(count, prefix.get("first", 1), head, payload)
        + head
        + WHITENING.apply(plain, START + 32 + len(head))
    )


def _set(index: int, field: int, value: object) -> Callable[[list[list[object]]], None]:
    def change(fields: list[list[object]]) -> None:
        fields[index][field] = value

    return change


@pytest.mark.parametrize(
    ("change", "prefix", "reason"),
    [
        (_set(0, 0, 2), {}, "order"),
        (_set(1, 1, 4), {}, "order"),
        (_set(0, 4, b"short"), {}, "order"),
        (_set(0, 6, 65), {}, "order"),
        (_set(0, 6, -64), {}, "order"),
        (_set(0, 6, 1 << 40), {}, "order"),
        (_set(0, 6, "64"), {}, "unsupported"),
        (_set(0, 6, 0), {}, "details it does not have"),
        (_set(0, 7, 0), {}, "content it does not have"),
        (lambda fields: fields[0].append(1), {}, "unpack"),
        (lambda fields: None, {"count": 3}, "2 headers instead of 3"),
        (lambda fields: None, {"first": 2}, "starts with record 2"),
        (lambda fields: None, {"payload": 192}, "do not fill"),
    ],
)
def test_a_frame_with_good_checksums_and_wrong_content_is_damage(
    change: Callable[[list[list[object]]], None], prefix: dict[str, int], reason: str
) -> None:
    reading = decoder()
    reading.feed(forged(change, **prefix).ljust(4096, b"\x00"))

    with pytest.raises(Damage, match=reason) as caught:
        reading.next()
    assert caught.value.extent is None, "no torn write makes that"


def test_a_frame_that_does_not_continue_the_tree_is_damage() -> None:
    other = Frontier()
    other.append(leaf_hash(b"another history"))
    reading = decoder(Chain(other, 0))
    mine = Frontier()
    mine.append(leaf_hash(b"this history"))
    reading.feed(encode([draft()], Chain(mine, 0)).data)

    with pytest.raises(Damage, match="does not continue the tree"):
        reading.next()


def test_a_head_that_is_no_list_of_headers_is_damage() -> None:
    head = msgpack.packb(17)
    data = pack_prefix(1, 1, head, 0) + head
    payload_at, extent = layout(len(head), 0)
    data += WHITENING.apply(bytes(extent - len(data)), START + len(data))
    reading = decoder()
    reading.feed(data)

    with pytest.raises(Damage, match="not a list of headers"):
        reading.next()
    assert payload_at == 64
    with pytest.raises(ValueError, match="not a header"):
        parse_header(b"\x91")


@pytest.mark.parametrize(
    ("count", "head", "payload"),
    [(0, 10, 0), (4097, 10, 0), (1, 2**20 + 1, 0), (1, 10, 65), (1, 10, 4 << 20)],
)
def test_a_prefix_beyond_the_limits_is_none(count: int, head: int, payload: int) -> None:
    data = bytearray(pack_prefix(count, 1, b"", payload))
    data[16:20] = head.to_bytes(4, "big")
    data[28:] = crc32c(bytes(data[:28])).to_bytes(4, "big")

    assert parse_prefix(bytes(data)) is None


def test_a_part_is_found_at_its_place_and_nowhere_else() -> None:
    sealed, _ = parts.seal(b"hello", bytes(32))

    assert parts.declared_size(sealed[:PART_OVERHEAD]) == len(sealed) == part_size(5)
    assert parts.checked_body(sealed) == b"hello"
    for wrong in (sealed[:-1] + b"\x01", sealed + bytes(64), bytes(64), b"\xff" * 64, b""):
        with pytest.raises(parts.BadPart):
            parts.checked_body(wrong)
    assert part_size(0) == 0
