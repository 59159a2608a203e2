"""FORMAT.md is the contract: a reader made from it alone reads what we write, and its example is exact."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retain import journal
from retain.journal import NO_RESOURCE, JournalOptions, Part, RealDisk, Record, Verb, scan, unindexed, verify
from retain.journal.format import limits
from retain.journal.lookup.growth import BLOCK
from retain.journal.segments.files import list_segments
from retain.journal.testing.memory import MemoryDisk
from tests.kit import plain_reader
from tests.kit.journals import T0, append, draft, fill, opened

FORMAT = Path(journal.__file__).with_name("FORMAT.md")
GOLDEN = Path(__file__).parents[2] / "golden"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same(found: plain_reader.PlainJournal, records: list[Record]) -> None:
    assert [tuple(record.header) for record in found.records] == [tuple(record.header) for record in records]
    assert [record[1:] for record in found.records] == [record[1:] for record in records]


def test_a_reader_made_from_the_document_alone_reads_a_journal() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 12, records=3, size=300)
    append(log, draft(b"", b""), draft(b"\xc0", bytes(3000), verb=Verb.DELETE), time=T0 + 100)
    log.erase([(2, Part.CONTENT), (3, Part.DETAILS), (4, Part.DETAILS), (4, Part.CONTENT)], 9, T0 + 200)
    head = log.head
    log.close()

    found = plain_reader.read(disk.files())

    assert found.root == head.root
    assert found.identity == log.identity
    assert found.erased == {(2, 2), (3, 1), (4, 1), (4, 2)}
    assert found.tear == b""
    assert_same(found, list(scan(disk)))
    erase, closing = found.records[-2:]
    assert erase.header[2:6] == [5, 0, NO_RESOURCE, 9]
    assert closing.header[2:6] == [6, 0, NO_RESOURCE, 9]


def test_it_sees_the_same_tear() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 2)
    files = disk.files()
    name = next(iter(files))
    torn = bytearray(files[name])
    torn[log.head.offset + 512 : log.head.offset + 1024] = b"x" * 512

    assert plain_reader.read({name: bytes(torn)}).tear == bytes(512) + b"x" * 512


def hexdump(data: bytes) -> str:
    lines, stars = [], False
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        if row == bytes(16) and data[at - 16 : at] == bytes(16) and at + 16 < len(data):
            if not stars:
                lines.append("*")
            stars = True
            continue
        stars = False
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:04x}  {row[:8].hex(' ')}  {row[8:].hex(' ')}  {text}")
    return "\n".join(lines)


def example() -> str:
    disk = MemoryDisk()
    log, _ = opened(disk)
    append(log)
    log.close()
    data = disk.files()["journal/00000001-0000000000000001.journal"]
    found = plain_reader.read(disk.files())
    frame = next(plain_reader.frames(data, 512, 1, found.identity, []))[0]
    plain = plain_reader.whiten(frame[:512], 512, found.identity, 1)
    area = -(-(32 + int.from_bytes(frame[16:20], "big")) // 64) * 64
    return "\n".join(
        (
            "```",
            hexdump(data),
            "```",
            "",
            f"Opener: bytes 0 to 200 (hexadecimal). Frame: from 200. Payload area: from {512 + area:x}.",
            "Without whitening, these are the two parts, first the details, then the content:",
            "",
            "```",
            hexdump(plain[area : area + 128]),
            "```",
            "",
            f"The record's leaf hash, which is also the tree's root: `{found.root.hex()}`.",
        )
    )


def test_the_worked_example_is_what_we_write() -> None:
    text = FORMAT.read_text(encoding="utf-8")
    written = re.search(r"<!-- example -->\n(.*)\n<!-- /example -->", text, re.DOTALL)

    assert written is not None
    assert example() == written[1]


def test_it_reads_an_index() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=JournalOptions(segment_bytes=99_000, ballast_bytes=0))
    while log.head.segment < 3:
        fill(log, 7, records=3, size=30)
        append(log, draft(resource=NO_RESOURCE), draft(resource=b"Q" * 16), time=T0 + log.head.seq)
    assert log.build_index()
    assert log.build_index()
    assert not log.build_index()
    log.close()
    files = disk.files()
    read = plain_reader.read(files)
    leaves = read.leaves
    for number in (1, 2):
        name = next(
            one for one in files if one.endswith(".index") and one.startswith(f"journal/{number:08x}")
        )
        found = plain_reader.index(files[name])
        first, last = found.facts["first"], found.facts["last"]
        records = [record for record in read.records if first <= record.header[0] <= last]
        assert [record.header[0] for record in records] == list(range(first, last + 1))
        assert (found.facts["journal"], found.facts["segment"]) == (read.identity, number)
        assert found.facts["times"] == [records[0].header[1], records[-1].header[1]]
        assert found.facts["peaks"] == plain_reader.peaks(leaves[:last])
        assert found.resources == sorted(
            (record.header[4][:8], record.header[0]) for record in records if any(record.header[4])
        )
        data = files[name.replace(".index", ".journal")]
        assert found.facts["end"] == len(data)
        frames = [at for at in range(512, len(data), 512) if data[at : at + 4] == b"RETF"]
        assert [offset for _, offset, _ in found.frames] == frames
        assert found.facts["heads"] == sum(
            32 + int.from_bytes(data[at + 16 : at + 20], "big") for at in frames
        )
        assert all(read.records[one - 1].header[1] == time for one, _, time in found.frames)
        blocks = [at for at in range(0, last - 255, 256) if at >= first - 1]
        assert found.subtrees == [plain_reader.tree_root(leaves[at : at + 256]) for at in blocks]


@pytest.mark.parametrize("version", [1, 2])
def test_golden_journals_read_for_ever(tmp_path: Path, version: int) -> None:
    files = files_of(GOLDEN / f"format-{version}")
    found = plain_reader.read(files)
    expected = (GOLDEN / f"format-{version}.txt").read_text(encoding="utf-8")

    assert describe(found) == expected
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    disk = RealDisk(tmp_path)
    assert_same(found, list(scan(disk)))
    assert verify(disk).findings == ()
    assert unindexed(disk) == (list_segments(disk)[:-1] if version == 1 else [])
    log, records = opened(disk)
    assert log.head.root == found.root
    assert log.notices == ()
    assert_same(found, records)
    log.close()


def describe(found: plain_reader.PlainJournal) -> str:
    """A journal in words, for the golden file."""
    lines = [f"identity {found.identity.hex()}", f"root {found.root.hex()}"]
    for record in found.records:
        parts = [value if value is None else value.hex() for value in (record.details, record.content)]
        header = [field.hex() if isinstance(field, bytes) else field for field in record.header]
        lines.append(f"{header} {parts[0]} {parts[1]} {record.address}")
    return "\n".join(lines) + "\n"


LIMITS: dict[str, tuple[str, int]] = {
    "sector": (r"A \*\*sector\*\* is (\d+) bytes", limits.SECTOR),
    "opener": (r"The body is at most (\d+) KiB, in format 2", limits.ENVELOPE_BYTES // limits.KIB),
    "wide opener": (r"in format 2 at most (\d+) MiB", limits.WIDE_ENVELOPE_BYTES // limits.MIB),
    "frame": (r"A frame is at most (\d+) MiB", limits.BATCH_BYTES // limits.MIB),
    "head": (r"its head at most (\d+) MiB", limits.HEAD_BYTES // limits.MIB),
    "records": (r"it has at most ([\d,]+) records", limits.BATCH_RECORDS),
    "part": (r"A part is at most (\d+) MiB", limits.PART_BYTES // limits.MIB),
    "alignment": (r"A part's size is a multiple of (\d+) bytes", limits.PART_ALIGN),
    "torn write": (r"lies within (\d+) MiB of \*E\*", limits.BATCH_BYTES // limits.MIB),
    "subtree": (r"leaves 256·\*k\* to 256·\*k\* \+ (\d+)", BLOCK - 1),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_in_the_document_are_the_codes(name: str) -> None:
    pattern, expected = LIMITS[name]
    (found,) = re.findall(pattern, " ".join(FORMAT.read_text().split()))
    assert int(found.replace(",", "")) == expected


def test_the_numbers_of_verbs_in_the_document_are_the_codes() -> None:
    (row,) = re.findall(r"^\| 3 \| verb \| (.*) \|$", FORMAT.read_text(), re.MULTILINE)
    found = {name: int(number) for number, name in re.findall(r"\b([1-6]) (\w+)", row)}
    assert found == {verb.name.lower(): verb.value for verb in Verb if verb is not Verb.CHECKPOINT}
    assert f"{Verb.CHECKPOINT.value} is reserved for checkpoints" in row


def bytes_of(dump: str) -> bytes:
    """The bytes of a hexadecimal dump; `*` repeats the row before it up to the next one."""
    data = b""
    for line in dump.splitlines():
        if line != "*":
            at, row = line[:4], bytes.fromhex(line[6:54])
            data = data.ljust(int(at, 16), b"\x00") + row
    return data


def test_the_bytes_printed_in_the_document_are_a_journal_to_a_reader_made_from_it() -> None:
    section = FORMAT.read_text().partition("<!-- example -->")[2]
    first, second = re.findall(r"```\n(.*?)\n```", section, re.DOTALL)
    (root,) = re.findall(r"the tree's root: `([0-9a-f]{64})`", section)
    name = "journal/00000001-0000000000000001.journal"

    found = plain_reader.read({name: bytes_of(first)})

    (record,) = found.records
    assert found.root.hex() == root
    assert (record.details, record.content) == (b"\x81\xa1a\x01", b"\xa2hi")
    assert record.header[:6] == [1, 1_800_000_000_000_000_000, 1, 1, b"R" * 16, 1]
    assert bytes_of(second)[40:44] == record.details
