"""Backups: a whole journal at one moment, at any moment; and restored without what was erased since."""

from __future__ import annotations

import errno
from collections.abc import Callable
from hashlib import sha256
from random import Random

import pytest

from retain.journal import (
    BadTarget,
    Corrupt,
    Journal,
    NoSpace,
    Part,
    Record,
    UnknownVersion,
    open_journal,
    scan,
    verify,
)
from retain.journal.backup.create import Moment, check_backup, create_backup
from retain.journal.backup.manifest import MANIFEST_FILE, read_manifest
from retain.journal.backup.restore import restore
from retain.journal.backup.unfinished import UNFINISHED_FILE
from retain.journal.disk.interface import folder_of
from retain.journal.erasure.manifest import Erasure, Erasures, ErasureSearch, export_erasures
from retain.journal.payloads.store import PayloadStore, payload_path
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import ANCHOR_FILE, list_segments
from retain.journal.segments.heads import heads
from retain.journal.testing.memory import DiskOperation, MemoryDisk, PowerCut
from tests.kit.journals import T0, append, draft, opened
from tests.kit.rewritten import BOTH, OPTIONS, assert_wiped, marked, raw_details, sparse


def now_of(log: Journal, *payloads: str) -> Callable[[], Moment]:
    return lambda: Moment(log.head, frozenset(payloads))


def everything() -> Moment:
    return Moment(None, frozenset())


def records_of(disk: MemoryDisk) -> list[Record]:
    return list(scan(disk))


def restored(target: MemoryDisk, erasures: Erasures | None = None) -> MemoryDisk:
    disk = MemoryDisk()
    restore(target, disk, erasures, entropy=Random(3).randbytes)
    return disk


def test_what_is_restored_is_what_was_backed_up() -> None:
    disk, log = sparse()
    log.rewrite(2)
    before, head = records_of(disk), log.head
    target = MemoryDisk()
    report = create_backup(disk, target, now_of(log))
    append(log, draft(b"later", b"later"))

    assert (report.manifest.seq, report.manifest.root) == (head.seq, head.root)
    assert (report.copied, report.kept, report.removed) == (4, 0, 0)
    again = restored(target, export_erasures(disk))
    assert records_of(again) == before
    assert verify(again).findings == ()
    log, records = opened(again, options=OPTIONS)
    assert (records, log.head) == (before, head)
    assert log.notices == ()


def test_a_folder_that_nobody_writes_to_is_backed_up_to_its_end() -> None:
    disk, log = marked()
    log.close()
    target = MemoryDisk()
    create_backup(disk, target, everything)

    assert records_of(restored(target)) == records_of(disk)


def test_only_what_is_new_or_changed_is_copied() -> None:
    disk, log = marked()
    target = MemoryDisk()
    first = create_backup(disk, target, now_of(log))
    assert (first.copied, first.kept) == (4, 0)
    again = create_backup(disk, target, now_of(log))
    assert (again.copied, again.kept, again.removed) == (0, 4, 0)

    append(log, draft(b"later", b"later"))
    assert (create_backup(disk, target, now_of(log))[1], records_of(restored(target))) == (
        1,
        records_of(disk),
    )
    log.erase([(2, BOTH)], 7, T0 * 2)
    report = create_backup(disk, target, now_of(log))
    assert (report.copied, report.kept, report.removed) == (2, 2, 2)
    assert records_of(restored(target)) == records_of(disk)


def test_an_older_copy_is_wiped_from_the_backup_once_it_is_not_named() -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    raw = raw_details(disk)[2]
    assert any(raw in data for data in target.files().values())
    log.erase([(2, BOTH)], 7, T0 * 2)
    target.before_each = lambda one: assert_wiped(target, one)
    create_backup(disk, target, now_of(log))

    assert not any(raw in data for data in target.files().values())


def test_what_was_erased_since_does_not_come_back() -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    raw, before = raw_details(disk), {record.header.seq: record for record in records_of(disk)}
    log.erase([(2, BOTH), (5, Part.DETAILS)], 7, T0 * 2)
    append(log, draft(b"later", b"later"))
    log.erase([(log.head.seq, BOTH), (2, BOTH), (9, Part.CONTENT)], 8, T0 * 2)
    erasures = Erasures.unpack(export_erasures(disk).pack())
    again = MemoryDisk()
    report = restore(target, again, erasures)

    assert report.erased == 4
    assert not any(raw[seq] in data for seq in (2, 5) for data in again.files().values())
    log, _ = opened(again, options=OPTIONS)
    found = {record.header.seq: record for record in records_of(again)}
    assert found[2][1:3] == (None, None)
    assert (found[5].details, found[5].content) == (None, before[5].content)
    assert (found[9].details, found[9].content) == (before[9].details, None)
    assert all(found[seq] == before[seq] for seq in before if seq not in (2, 5, 9))
    assert [one.header.cause for one in found.values() if one.header.verb == 5] == [7, 8]
    assert verify(again).findings == ()
    assert log.head.seq == report.seq + 1


def test_an_erasure_that_is_half_written_is_not_listed_yet() -> None:
    disk, log = marked()
    log.erase([(2, BOTH)], 7, T0 * 2)
    listed, start = export_erasures(disk), log.head.offset
    segment = list_segments(disk)[-1]
    log.erase([(5, BOTH)], 7, T0 * 2)
    assert list_segments(disk)[-1] == segment
    assert len(export_erasures(disk).entries) == len(listed.entries) + 1
    with SegmentFile(disk, segment) as file:
        frame = next(heads(file, start))
    growing = disk.files()[segment.file][: start + frame.prefix.payload_at] + bytes(8192)
    beside = MemoryDisk({**disk.files(), segment.file: growing})
    assert export_erasures(beside).entries == listed.entries
    search = ErasureSearch(beside)
    while search.read(1):
        pass
    assert search.found == listed
    with beside.open(segment.file, write=True) as file:
        file.pwrite(0, disk.files()[segment.file])
    search.read()
    assert search.found == export_erasures(disk), "it is listed once it is whole"


def test_without_a_list_of_erasures_they_are_back() -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    before = records_of(disk)
    log.erase([(2, BOTH)], 7, T0 * 2)

    assert records_of(restored(target)) == before


def test_a_segment_copied_before_it_was_zeroed_is_zeroed_by_restoring() -> None:
    disk, log = marked()
    raw = raw_details(disk)[2]
    calls = 0

    def moment() -> Moment:
        """The second attempt, for want of a payload file, is after an erasure."""
        nonlocal calls
        calls += 1
        if calls == 3:
            log.erase([(2, BOTH)], 7, T0 * 2)
        return Moment(log.head, frozenset({"0" * 32} if calls == 2 else ()))

    target = MemoryDisk()
    create_backup(disk, target, moment)
    assert any(raw in data for data in target.files().values())
    again = restored(target)

    assert not any(raw in data for data in again.files().values())
    assert verify(again).findings == ()
    assert [one.header for one in records_of(again)] == [one.header for one in records_of(disk)]


@pytest.mark.parametrize("kind", ["pread", "open"])
def test_a_backup_beside_a_busy_journal_is_of_one_moment(kind: str) -> None:
    for number in range(1, 40, 3):
        disk, log = sparse(seed=number)
        target = MemoryDisk()
        moments: list[tuple[int, list[Record]]] = []
        busy, seen = False, 0
        disk.count_reads = True

        def moment() -> Moment:
            nonlocal busy
            busy = True
            moments.append((log.head.seq, records_of(disk)))  # noqa: B023
            busy = False
            return Moment(log.head, frozenset())  # noqa: B023

        def disturb(operation: DiskOperation) -> None:
            nonlocal busy, seen
            if busy or operation.kind != kind:
                return
            seen += 1
            if seen == number:  # noqa: B023
                busy = True
                for one in log.sparse():  # noqa: B023
                    log.rewrite(one)  # noqa: B023
                append(log, draft(b"more", b"more" * 2000), draft(b"more", b"more"))  # noqa: B023
                log.erase([(4, BOTH)], 7, T0 * 2)  # noqa: B023
                busy = False

        disk.before_each = disturb
        report = create_backup(disk, target, moment)
        disk.before_each = None
        seq, wanted = moments[-1]
        assert report.manifest.seq == seq
        found = records_of(restored(target))
        assert [one.header for one in found] == [one.header for one in wanted]
        assert all(one == other or one.details is None for one, other in zip(found, wanted, strict=True))


def test_payload_files_go_with_it() -> None:
    disk, log = marked()
    store = PayloadStore(disk, Random(1).randbytes)
    names = []
    for number in range(3):
        stage = store.stage()
        stage.write(b"body %d" % number * 1000)
        names.append(stage.seal().name)
    target = MemoryDisk()
    report = create_backup(disk, target, now_of(log, *names[:2]))
    assert (report.copied, report.kept) == (6, 0)
    again = restored(target)
    assert PayloadStore(again, Random(1).randbytes).names() == sorted(names[:2])
    assert again.files()[payload_path(names[0])] == disk.files()[payload_path(names[0])]

    report = create_backup(disk, target, now_of(log, *names[1:]))
    assert (report.copied, report.kept, report.removed) == (1, 5, 1)
    assert PayloadStore(restored(target), Random(1).randbytes).names() == sorted(names[1:])


def test_a_payload_file_let_go_of_meanwhile_is_no_part_of_it() -> None:
    disk, log = marked()
    store = PayloadStore(disk, Random(1).randbytes)
    gone, kept = store.stage().seal().name, store.stage().seal().name
    moments = [Moment(log.head, frozenset({gone, kept})), Moment(log.head, frozenset({gone, kept}))]

    def moment() -> Moment:
        if gone in store.names():
            store.unlink(gone)
        return moments.pop() if moments else Moment(log.head, frozenset({kept}))

    target = MemoryDisk()
    create_backup(disk, target, moment)
    assert PayloadStore(restored(target), Random(1).randbytes).names() == [kept]


def test_a_payload_file_that_is_missing_for_good_is_told() -> None:
    disk, log = marked()
    with pytest.raises(Corrupt, match="lacks payload files"):
        create_backup(disk, MemoryDisk(), now_of(log, "0" * 32))


def test_other_files_go_with_it_as_they_are() -> None:
    disk, log = marked()
    disk.write_atomic("key", b"secret")
    target = MemoryDisk()
    create_backup(disk, target, now_of(log), others=["key"])
    disk.write_atomic("key", b"another")
    create_backup(disk, target, now_of(log), others=["key"])

    assert restored(target).files()["key"] == b"another"
    assert not any(data == b"secret" for data in target.files().values())


@pytest.mark.parametrize("seed", range(3))
def test_a_backup_cut_short_leaves_the_one_before(seed: int) -> None:
    disk, log = marked(seed=seed)
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    before = records_of(disk)
    log.erase([(seq, BOTH) for seq in (1, 2, 3)], 7, T0 * 2)
    append(log, draft(b"later", b"later" * 900), draft(b"later", b"later"))
    after = records_of(disk)
    states: list[MemoryDisk] = []
    target.before_each = lambda one: states.extend(
        [target.crash("none"), target.crash("all"), target.crash("random", Random(one.number))]
    )
    create_backup(disk, target, now_of(log))
    seen = {tuple(records_of(restored(state))) for state in states}

    assert seen == {tuple(before), tuple(after)}
    for state in states[::7]:
        create_backup(disk, state, now_of(log))
        assert tuple(records_of(restored(state))) == tuple(after)
        named = {entry.stored for entry in check_backup(state)[0].entries}
        assert set(state.files()) == {*named, MANIFEST_FILE}


# --- what is not a backup's ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["segments/theirs", "payloads/theirs", "others/a/theirs", "letter.txt"])
def test_a_first_backup_into_a_folder_of_other_files_is_refused_and_changes_nothing(name: str) -> None:
    disk, log = marked()
    target = MemoryDisk({name: b"theirs"})
    with pytest.raises(BadTarget, match=rf"not empty \({name.partition('/')[0]}\) and holds no backup"):
        create_backup(disk, target, now_of(log))
    assert target.files() == {name: b"theirs"}


def test_an_empty_disk_is_an_empty_folder() -> None:
    disk, log = marked()
    target = MemoryDisk()
    target.add_folder("lost+found")
    create_backup(disk, target, now_of(log))
    assert records_of(restored(target)) == records_of(disk)


@pytest.mark.parametrize(
    "name", ["segments/theirs", "payloads/00/11/theirs", "others/theirs.0123", "letter.txt"]
)
def test_a_later_backup_leaves_other_files_alone_and_names_those_in_its_folders(name: str) -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    if folder_of(name):
        target.make_folder(folder_of(name))
    target.write_atomic(name, b"theirs")
    log.erase([(2, BOTH)], 7, T0 * 2)
    report = create_backup(disk, target, now_of(log))
    assert report.removed > 0
    assert report.foreign == ((name,) if "/" in name else ())
    assert target.files()[name] == b"theirs"


def test_what_an_attempt_cut_short_left_is_removed_by_the_next() -> None:
    """A copy from before an erasure, which no manifest ever named."""
    disk, log = marked()
    raw = raw_details(disk)[2]
    target = MemoryDisk()

    def cut(operation: DiskOperation) -> None:
        if operation.kind == "replace" and operation.name == MANIFEST_FILE:
            raise PowerCut

    target.before_each = cut
    with pytest.raises(PowerCut):
        create_backup(disk, target, now_of(log))
    target.before_each = None
    assert any(raw in data for data in target.files().values())
    log.erase([(2, BOTH)], 7, T0 * 2)
    create_backup(disk, target, now_of(log))
    assert not any(raw in data for data in target.files().values())
    assert UNFINISHED_FILE not in target.files()


@pytest.mark.parametrize(
    "text",
    [
        b"letter",
        b"{}\n",
        b'{"format": "retain backup 1 unfinished", "journal": "00"}\n',
        b'{"format": "retain backup 1 unfinished", "journal": "JOURNAL"}\n"../x"\n',
        b'{"format": "retain backup 1 unfinished", "journal": "JOURNAL"}\nx\n',
    ],
)
def test_a_list_of_leftovers_that_is_not_this_journals_is_refused(text: bytes) -> None:
    disk, log = marked()
    with SegmentFile(disk, list_segments(disk)[0]) as file:
        identity = file.opener().identity
    text = text.replace(b"JOURNAL", identity.hex().encode())
    target = MemoryDisk({UNFINISHED_FILE: text})
    with pytest.raises(BadTarget, match="unfinished"):
        create_backup(disk, target, now_of(log))
    assert target.files() == {UNFINISHED_FILE: text}


@pytest.mark.parametrize("name", ["letter.txt", "payloads/theirs", "journal/theirs", "journal/theirs.tmp"])
def test_a_folder_of_other_files_is_not_restored_into(name: str) -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    theirs = MemoryDisk({name: b"theirs"})
    with pytest.raises(BadTarget, match="other files"):
        restore(target, theirs, None)
    assert {one: data for one, data in theirs.files().items() if one != "lock"} == {name: b"theirs"}


def test_a_restoring_cut_short_cannot_be_opened_and_can_be_repeated() -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    raw = raw_details(disk)
    log.erase([(2, BOTH), (20, BOTH)], 7, T0 * 2)
    erasures = export_erasures(disk)
    whole = MemoryDisk()
    restore(target, whole, erasures, entropy=Random(3).randbytes)
    opened(whole, options=OPTIONS)
    refused = finished = 0
    for number in range(2, 2 * whole.operations):
        again = MemoryDisk()
        again.stop_at(number // 2)
        try:
            restore(target, again, erasures, entropy=Random(3).randbytes)
        except PowerCut:
            state = again.crash("random" if number % 2 else "all", Random(number))
        else:
            break
        try:
            log, records = opened(state.kill(), options=OPTIONS)
        except Corrupt:
            refused += 1
            restore(target, state, erasures, entropy=Random(3).randbytes)
        else:
            finished += bool(records)
            if not records:
                continue  # nothing was there yet: a new journal was made
            assert not any(raw[2] in data for data in state.files().values())
            continue
        opened(state, options=OPTIONS)
        assert records_of(state) == records_of(whole)
        assert not any(raw[seq] in data for seq in (2, 20) for data in state.files().values())
    assert refused > 20
    assert finished > 0


def test_a_backup_that_was_tampered_with_is_refused() -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    files = target.files()
    for name, data in files.items():
        for at in range(0, len(data), max(1, len(data) // 13)):
            changed = {**files, name: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]}
            with pytest.raises((Corrupt, UnknownVersion)):
                restored(MemoryDisk(changed))
        with pytest.raises(Corrupt):
            restored(MemoryDisk({**files, name: data[:-1]}))
        with pytest.raises(Corrupt):
            restored(MemoryDisk({one: data for one, data in files.items() if one != name}))


@pytest.mark.parametrize("change", ["seq", "root", "offset", "format", "name", "zero", "half", "drop"])
def test_a_manifest_that_does_not_fit_is_refused(change: str) -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    manifest = read_manifest(target)
    assert manifest is not None
    wrong = {
        "seq": manifest._replace(seq=manifest.seq - 1),
        "root": manifest._replace(root=bytes(range(32))),
        "offset": manifest._replace(offset=manifest.offset + 512),
        "format": manifest,
        "name": manifest._replace(
            entries=(*manifest.entries, manifest.entries[0]._replace(name="journal/../../x"))
        ),
        "zero": manifest._replace(
            entries=(*manifest.entries, manifest.entries[0]._replace(name="journal/x\0y"))
        ),
        "half": manifest._replace(
            entries=(*manifest.entries, manifest.entries[0]._replace(stored="segments/\ud800"))
        ),
        "drop": manifest._replace(entries=manifest.entries[:-1]),
    }[change]
    data = wrong.pack()
    if change == "format":
        body = data[:-65].replace(b"backup 1", b"backup 2")
        data = body + sha256(body).hexdigest().encode() + b"\n"
    target.write_atomic(MANIFEST_FILE, data)
    disk = MemoryDisk()
    with pytest.raises((Corrupt, UnknownVersion)):
        restore(target, disk, None)
    if disk.exists(ANCHOR_FILE):
        with pytest.raises(Corrupt):
            opened(disk, options=OPTIONS)


def test_a_folder_in_use_is_not_restored_into() -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    log.close()
    with pytest.raises(BadTarget, match="already"):
        restore(target, disk, None)
    other = MemoryDisk({list_segments(disk)[0].file: b"x"})
    with pytest.raises(BadTarget, match="already"):
        restore(target, other, None)


def test_backups_and_lists_of_other_journals_are_refused() -> None:
    disk, log = marked()
    other = MemoryDisk()
    other_log = open_journal(other, lambda _: None, options=OPTIONS)
    append(other_log)
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    with pytest.raises(BadTarget, match="another journal"):
        create_backup(other, target, now_of(other_log))
    with pytest.raises(BadTarget, match="another journal"):
        restored(target, export_erasures(other))
    with pytest.raises(Corrupt, match="no journal"):
        create_backup(MemoryDisk(), target, everything)
    with pytest.raises(Corrupt, match="no finished backup"):
        check_backup(MemoryDisk())


def test_a_full_disk_leaves_the_backup_before() -> None:
    disk, log = marked()
    target = MemoryDisk()
    create_backup(disk, target, now_of(log))
    before = records_of(disk)
    log.erase([(1, BOTH)], 7, T0 * 2)
    target.capacity = sum(map(len, target.files().values())) + 100
    with pytest.raises(NoSpace):
        create_backup(disk, target, now_of(log))
    assert records_of(restored(target)) == before
    target.fail_at(target.operations + 3, errno.EIO)
    target.capacity = None
    with pytest.raises(OSError, match="EIO"):
        create_backup(disk, target, now_of(log))
    assert records_of(restored(target)) == before


def test_a_list_of_erasures_comes_back_as_written() -> None:
    disk, log = sparse()
    append(log, draft(b"later", b"later"))
    log.erase([(4, Part.DETAILS)], 9, T0 * 2)
    erasures = export_erasures(disk)

    assert Erasures.unpack(erasures.pack()) == erasures
    assert (erasures.identity, erasures.seq) == (log.identity, log.head.seq)
    assert erasures.entries[-1][1:] == (T0 * 2, 9, 1, 4, 4)
    more = erasures.merged([Erasure(3, 1, 1, 1, 1, 1), erasures.entries[0]])
    assert len(more.entries) == len(erasures.entries) + 1


@pytest.mark.parametrize(
    "wrong", [b"", b"{}\n", b"\xff\n", b"[]\n", b'{"format": "x", "journal": "", "seq": 1, "count": 0}\n']
)
def test_what_is_no_list_of_erasures_is_refused(wrong: bytes) -> None:
    with pytest.raises(Corrupt):
        Erasures.unpack(wrong)


def test_a_list_of_erasures_cut_short_or_out_of_range_is_refused() -> None:
    disk, _ = sparse()
    data = export_erasures(disk).pack()
    for length in range(len(data) - 1):
        with pytest.raises(Corrupt):
            Erasures.unpack(data[:length])
    first = data.index(b"\n") + 1
    with pytest.raises(Corrupt, match="out of range"):
        Erasures.unpack(data.replace(b'"seq": 33', b'"seq": 31'))
    with pytest.raises(Corrupt):
        Erasures.unpack(data[:first] + b"[1]\n" + data[first:])
    with pytest.raises(Corrupt):
        Erasures.unpack(data + b"[1, 2, 3, 4, 5, 6]\n")


@pytest.mark.parametrize("what", ["erase", "rewrite"])
@pytest.mark.parametrize("kind", ["create", "pwrite", "replace"])
def test_what_happens_to_a_segment_while_it_is_copied_is_copied_with_it(what: str, kind: str) -> None:
    disk, log = sparse()
    target = MemoryDisk()
    done = False

    def disturb(operation: DiskOperation) -> None:
        nonlocal done
        if operation.kind == kind and "00000002" in operation.name and not done:
            done = True
            if what == "erase":
                log.erase([(list_segments(disk)[1].first + 3, BOTH)], 7, T0 * 2)
            else:
                log.rewrite(2)

    target.before_each = disturb
    create_backup(disk, target, now_of(log))
    assert done
    target.before_each = None
    again = restored(target)
    assert verify(again).findings == ()
    assert [one.header for one in records_of(again)] == [one.header for one in records_of(disk)][
        : len(records_of(again))
    ]
    named = {entry.stored for entry in check_backup(target)[0].entries}
    assert set(target.files()) == {*named, MANIFEST_FILE}


def test_a_last_segment_that_is_long_sealed_and_rewritten_takes_another_moment() -> None:
    disk, log = marked()
    calls = 0

    def moment() -> Moment:
        nonlocal calls
        calls += 1
        head = log.head
        while calls == 2 and log.head.segment == head.segment:
            append(log, draft(b"more", b"more" * 800))
        if calls == 2:
            log.erase([(seq, BOTH) for seq in range(31, head.seq + 1)], 7, T0 * 2)
            assert log.rewrite(head.segment) > 0
        return Moment(head, frozenset())

    target = MemoryDisk()
    report = create_backup(disk, target, moment)

    assert calls == 3
    assert report.manifest.seq == log.head.seq
    assert records_of(restored(target)) == records_of(disk)


def test_a_folder_that_never_stands_still_is_given_up() -> None:
    disk, log = marked()
    disk.write_atomic("key", b"0")
    target = MemoryDisk()
    with pytest.raises(FileNotFoundError):
        create_backup(disk, target, now_of(log), others=["nothing"])
    disk.count_reads = True
    numbers = iter(range(10**6))

    def change(operation: DiskOperation) -> None:
        if operation.kind == "pread" and operation.name == "key":
            disk.before_each = None
            with disk.open("key", write=True) as file:
                file.pwrite(0, b"%d" % next(numbers))
            disk.before_each = change

    disk.before_each = change
    with pytest.raises(Corrupt, match="keeps changing"):
        create_backup(disk, target, now_of(log), others=["key"])


def test_a_kept_file_that_vanished_from_the_backup_is_copied_again() -> None:
    disk, log = marked()
    target = MemoryDisk()
    first = create_backup(disk, target, now_of(log))
    target.unlink(first.manifest.entries[1].stored)
    _, wrong = check_backup(target)
    assert wrong == [first.manifest.entries[1].stored]
    report = create_backup(disk, target, now_of(log))

    assert (report.copied, report.kept) == (1, 3)
    assert check_backup(target)[1] == []


def test_a_file_that_changes_while_it_is_restored_is_refused() -> None:
    disk, log = marked()
    target = MemoryDisk()
    report = create_backup(disk, target, now_of(log))
    victim = report.manifest.entries[1].stored
    again = MemoryDisk()

    def spoil(operation: DiskOperation) -> None:
        if operation.kind == "create" and "00000002" in operation.name:
            with target.open(victim, write=True) as file:
                file.pwrite(900, b"spoilt")

    again.before_each = spoil
    with pytest.raises(Corrupt, match="is not what the manifest says"):
        restore(target, again, None)
    again.before_each = None
    with pytest.raises(Corrupt):
        opened(again, options=OPTIONS)
