"""Payload files: what goes in comes out, nothing else passes, and a crash leaves whole ones or none."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5, sha256
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from retain.journal.disk.interface import Disk
from retain.journal.disk.real import RealDisk, RealFile
from retain.journal.errors import Closed, Corrupt, NoSpace, Shortage, WriteFailed
from retain.journal.payloads.store import (
    CHUNK_BYTES,
    MARK,
    READ_HANDLES,
    REMOVED_HANDLES,
    RUN_BYTES,
    TAG_BYTES,
    Payload,
    PayloadStore,
    Portion,
    Stage,
    file_size,
    payload_path,
)
from retain.journal.testing.memory import DiskOperation, MemoryDisk

EDGES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 7]
DATA = Random(1).randbytes(3 * CHUNK_BYTES)


def seeded(seed: int = 0) -> Callable[[int], bytes]:
    return Random(seed).randbytes


def sealed(store: PayloadStore, data: bytes) -> Payload:
    stage = store.stage()
    stage.write(data)
    return stage.seal()


def swept(store: PayloadStore, keep: Collection[str]) -> list[str]:
    """Remove what other runs left and nobody keeps; return the names."""
    removed: list[str] = []
    for portion in store.of_other_runs():
        for name in portion.sealed:
            if name not in keep:
                store.unlink(name)
                removed.append(name)
        for name in portion.stages:
            store.unlink_stage(name)
            removed.append(name)
    return removed


def damaged(disk: MemoryDisk, payload: Payload, change: Callable[[bytearray], object]) -> PayloadStore:
    files = {name: bytearray(data) for name, data in disk.files().items()}
    change(files[payload_path(payload.name)])
    return PayloadStore(MemoryDisk({name: bytes(data) for name, data in files.items()}))


@pytest.fixture(params=["real", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return RealDisk(tmp_path) if request.param == "real" else MemoryDisk()


@pytest.mark.parametrize("size", EDGES)
def test_a_payload_is_read_as_it_was_written(disk: Disk, size: int) -> None:
    store = PayloadStore(disk, seeded())
    data = DATA[:size]
    payload = sealed(store, data)
    assert payload.size == size
    assert payload.md5 == md5(data).digest()
    assert payload.sha256 == sha256(data).digest()
    with disk.open(payload_path(payload.name)) as file:
        assert file.size() == file_size(size)
    with store.open(payload) as reader:
        assert reader.size == size
        assert reader.read(0, size + 1) == data
    assert store.names() == [payload.name]


@pytest.mark.parametrize("step", [1 << 16, 999_999, CHUNK_BYTES, 3 * CHUNK_BYTES])
def test_the_steps_of_writing_do_not_show(step: int) -> None:
    files = []
    for size in (step, len(DATA)):
        disk = MemoryDisk()
        stage = PayloadStore(disk, seeded()).stage()
        for start in range(0, len(DATA), size):
            stage.write(memoryview(DATA)[start : start + size])
        assert stage.size == len(DATA)
        stage.seal()
        files.append(disk.files())
    assert files[0] == files[1]


@pytest.mark.parametrize("size", [10, CHUNK_BYTES, CHUNK_BYTES + 10])
def test_what_is_changed_after_it_was_written_is_stored_as_it_was(disk: Disk, size: int) -> None:
    store = PayloadStore(disk, seeded())
    data = bytearray(DATA[:size])
    stage = store.stage()
    stage.write(data)
    data[:] = bytes(size)
    stage.write(data)
    with store.open(stage.seal()) as reader:
        assert reader.read(0, 2 * size) == DATA[:size] + bytes(size)


def test_the_file_is_the_documented_one() -> None:
    disk = MemoryDisk()
    data = DATA[: CHUNK_BYTES + 5]
    payload = sealed(PayloadStore(disk, seeded()), data)
    raw = disk.read(f"payloads/{payload.name[:2]}/{payload.name[2:4]}/{payload.name}")
    cipher = AESGCM(payload.key)
    border = 16 + CHUNK_BYTES + 16
    assert raw[:16] == b"retain-payload\x00\x01"
    first = cipher.decrypt((0).to_bytes(11, "big") + b"\0", raw[16:border], raw[:16])
    second = cipher.decrypt((1).to_bytes(11, "big") + b"\1", raw[border:], raw[:16])
    assert first + second == data


def test_the_disk_is_asked_early_for_every_byte_but_the_last_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(RealFile, "begin_writing", lambda _, offset, length: asked.append((offset, length)))
    payload = sealed(PayloadStore(RealDisk(tmp_path)), DATA[:CHUNK_BYTES] * 10)
    ends = [offset + length for offset, length in asked]
    assert [offset for offset, _ in asked[1:]] == ends[:-1]
    assert asked[0][0] <= len(MARK)
    assert file_size(payload.size) - ends[-1] <= 4 * (CHUNK_BYTES + TAG_BYTES)


READ = MemoryDisk()
READ_STORE = PayloadStore(READ, seeded())
READ_PAYLOAD = sealed(READ_STORE, DATA[:-3])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(DATA) + 10), st.integers(0, len(DATA) + 10))
def test_any_range_can_be_read(offset: int, length: int) -> None:
    with READ_STORE.open(READ_PAYLOAD) as reader:
        assert reader.read(offset, length) == DATA[:-3][offset : offset + length]


def test_only_the_chunks_touched_are_read() -> None:
    disk = MemoryDisk(READ.files(), count_reads=True)
    with PayloadStore(disk).open(READ_PAYLOAD) as reader:
        before = disk.operations
        for offset in range(CHUNK_BYTES + 10, 2 * CHUNK_BYTES, 1 << 16):
            reader.read(offset, 100)
        assert disk.operations - before == 1
        reader.read(CHUNK_BYTES - 1, 2)
        assert disk.operations - before == 3


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1)])
def test_negative_ranges_are_refused(offset: int, length: int) -> None:
    with READ_STORE.open(READ_PAYLOAD) as reader, pytest.raises(ValueError, match="no bytes"):
        reader.read(offset, length)


def test_the_key_is_not_in_the_text_of_a_payload() -> None:
    assert repr(READ_PAYLOAD.key) not in repr(READ_PAYLOAD)
    assert READ_PAYLOAD.key.hex() not in repr(READ_PAYLOAD)


@pytest.mark.parametrize("name", ["", "..", "x" * 32, "A" * 32, "a" * 31, "a" * 32 + "\n", "../" + "a" * 29])
def test_no_other_name_reaches_the_disk(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        payload_path(name)


# --- damage ------------------------------------------------------------------------------------------------


def test_a_changed_byte_anywhere_is_found() -> None:
    disk = MemoryDisk()
    payload = sealed(PayloadStore(disk, seeded()), DATA[:200])
    for place in range(file_size(200)):

        def change(raw: bytearray, place: int = place) -> None:
            raw[place] ^= 0x40

        store = damaged(disk, payload, change)
        with pytest.raises(Corrupt) as caught, store.open(payload) as reader:
            reader.read(0, 200)
        assert payload.name in caught.value.file


@pytest.mark.parametrize("size", [CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_a_file_cut_between_chunks_is_found_even_if_its_size_is_believed(size: int) -> None:
    disk = MemoryDisk()
    payload = sealed(PayloadStore(disk, seeded()), DATA[:size])
    store = damaged(disk, payload, lambda raw: raw.__delitem__(slice(file_size(CHUNK_BYTES), None)))
    with pytest.raises(Corrupt, match="bytes long"):
        store.open(payload)
    shorter = Payload(payload.name, payload.key, CHUNK_BYTES, payload.md5, payload.sha256)
    with pytest.raises(Corrupt, match="chunk 0"), store.open(shorter) as reader:
        reader.read(0, CHUNK_BYTES)


def test_exchanged_chunks_are_found() -> None:
    disk = MemoryDisk()
    payload = sealed(PayloadStore(disk, seeded()), DATA)
    step = CHUNK_BYTES + TAG_BYTES

    def swap(raw: bytearray) -> None:
        body = len(MARK)
        one, two = raw[body : body + step], raw[body + step : body + 2 * step]
        raw[body : body + 2 * step] = two + one

    with pytest.raises(Corrupt, match="chunk 1"), damaged(disk, payload, swap).open(payload) as reader:
        reader.read(CHUNK_BYTES, 1)


def test_appended_bytes_are_found() -> None:
    disk = MemoryDisk()
    payload = sealed(PayloadStore(disk, seeded()), b"data")
    with pytest.raises(Corrupt):
        damaged(disk, payload, lambda raw: raw.extend(b"more")).open(payload)


def test_a_missing_file_and_a_wrong_key_are_found() -> None:
    disk = MemoryDisk()
    store = PayloadStore(disk, seeded())
    payload = sealed(store, b"data")
    wrong = Payload(payload.name, bytes(32), payload.size, payload.md5, payload.sha256)
    with pytest.raises(Corrupt, match="damaged"), store.open(wrong) as reader:
        reader.read(0, 4)
    store.unlink(payload.name)
    with pytest.raises(Corrupt, match="missing"):
        store.open(payload)
    assert disk.open_files == []


# --- life and death ----------------------------------------------------------------------------------------


def test_bytes_and_names_are_durable_before_seal_returns() -> None:
    disk = MemoryDisk()
    store = PayloadStore(disk, seeded())
    payloads = [sealed(store, DATA[:size]) for size in (10, 2000)]
    survivor = PayloadStore(disk.crash("none"))
    for payload in payloads:
        with survivor.open(payload) as reader:
            assert reader.read(0, payload.size) == DATA[: payload.size]


def test_folders_that_a_killed_process_left_unsynced_are_made_durable() -> None:
    disk = MemoryDisk()
    for number in range(1, 20):
        disk = MemoryDisk()
        disk.stop_at(number)
        try:
            sealed(PayloadStore(disk, seeded()), b"first")
        except BaseException as error:
            assert type(error).__name__ == "PowerCut"  # noqa: PT017 - not an Exception, and not always raised
        heir = disk.kill()
        payload = sealed(PayloadStore(heir, seeded()), b"second")
        with PayloadStore(heir.crash("none")).open(payload) as reader:
            assert reader.read(0, 10) == b"second"
    assert disk.operations < 19, "the loop must outrun the workload"


def test_a_crash_at_any_operation_leaves_whole_payloads_and_orphans_to_sweep() -> None:
    disk = MemoryDisk()
    store = PayloadStore(disk, seeded())
    done: list[Payload] = []
    states = 0

    def look(_: DiskOperation) -> None:
        nonlocal states
        crashes = [disk.crash("none"), disk.crash("all"), disk.kill()]
        crashes += [disk.crash("random", Random(seed)) for seed in range(4)]
        for crashed in crashes:
            states += 1
            after = PayloadStore(crashed)
            for payload in done:
                with after.open(payload) as reader:
                    assert reader.read(0, payload.size) == DATA[: payload.size]
            swept(after, {payload.name for payload in done})
            assert after.names() == sorted(payload.name for payload in done)
            assert len([name for name in crashed.files() if name.startswith("payloads/")]) == len(done)

    disk.before_each = look
    for size in (0, 10, 5000, 600):
        done.append(sealed(store, DATA[:size]))
    store.stage().discard()
    store.unlink(done.pop(0).name)
    assert states > 200


def test_discarding_removes_and_may_be_repeated(disk: Disk) -> None:
    store = PayloadStore(disk, seeded())
    stage = store.stage()
    stage.write(b"data")
    stage.discard()
    stage.discard()
    assert disk.names("payloads/staging") == []
    for use in (lambda: stage.write(b"x"), stage.seal):
        with pytest.raises(Closed):
            use()


def test_discarding_after_sealing_keeps_the_payload(disk: Disk) -> None:
    store = PayloadStore(disk, seeded())
    stage = store.stage()
    payload = stage.seal()
    stage.discard()
    assert store.names() == [payload.name]
    with pytest.raises(Closed):
        stage.seal()


def test_unlinking_tells_whether_there_was_something(disk: Disk) -> None:
    store = PayloadStore(disk, seeded())
    payload = sealed(store, b"data")
    assert store.unlink(payload.name)
    assert not store.unlink(payload.name)
    assert store.names() == []


def test_what_other_runs_left_is_listed_and_nothing_else(disk: Disk) -> None:
    before = PayloadStore(disk, seeded(7))
    assert list(before.of_other_runs()) == [Portion([], []), Portion([], [])]
    kept, orphan = sealed(before, b"kept"), sealed(before, b"orphan")
    before.stage()
    store = PayloadStore(disk, seeded())
    mine, active = sealed(store, b"mine"), store.stage()
    for stranger in ("payloads/README", "payloads/ab"):
        disk.write_atomic(stranger, b"not ours")
    disk.make_folder(f"payloads/{kept.name[:2]}/zz")
    disk.write_atomic(f"payloads/{kept.name[:2]}/{kept.name[2:4]}/notes", b"not ours")
    removed = swept(store, {kept.name})
    assert orphan.name in removed
    assert len(removed) == 2
    assert store.names() == sorted([kept.name, mine.name])
    active.write(b"still going")
    payload = active.seal()
    assert store.names() == sorted([kept.name, mine.name, payload.name])
    assert not store.exists(orphan.name)
    assert store.exists(kept.name)


def test_files_of_one_run_are_told_from_others_in_whichever_process_they_were_written(disk: Disk) -> None:
    leader = PayloadStore(disk, seeded())
    worker = PayloadStore(disk, seeded(1), run=leader.run)
    assert len(leader.run) == RUN_BYTES
    for store in (leader, worker):
        sealed(store, b"sealed, and not yet in a record")
        store.stage()
    assert swept(leader, ()) == swept(worker, ()) == []
    assert len(swept(PayloadStore(disk, seeded(2)), ())) == 4


def test_portions_are_bounded_and_together_hold_every_name(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retain.journal.payloads.store.PORTION_FOLDERS", 4)
    before = PayloadStore(disk, seeded())
    names = sorted(sealed(before, b"x").name for _ in range(18))
    portions = list(PayloadStore(disk, seeded(1)).of_other_runs())
    assert [len(one.sealed) for one in portions] == [0, 4, 4, 4, 4, 2]
    assert sorted(name for one in portions for name in one.sealed) == names
    for name in names:
        disk.make_folder(f"payloads/{name[:2]}/{name[2:4]}")
        disk.write_atomic(f"payloads/{name[:2]}/{name[2:4]}/{name[:-1]}{(int(name[-1], 16) + 1) % 16:x}", b"")
    monkeypatch.setattr("retain.journal.payloads.store.PORTION_NAMES", 2)
    assert [len(one.sealed) for one in PayloadStore(disk, seeded(1)).of_other_runs()] == [0, *[2] * 18, 0]


def stage_and_seal(store: PayloadStore, data: bytes, stages: list[Stage]) -> None:
    stages.append(store.stage())
    stages[0].write(data)
    stages[0].seal()


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EIO, WriteFailed), (errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace)]
)
def test_an_error_at_any_operation_is_typed_final_and_leaves_nothing(
    number: int, expected: type[Exception]
) -> None:
    clean = MemoryDisk()
    sealed(PayloadStore(clean, seeded()), DATA[: CHUNK_BYTES + 9])
    for place in range(1, clean.operations + 1):
        disk = MemoryDisk()
        store = PayloadStore(disk, seeded())
        disk.fail_at(place, number, short=True)
        stages: list[Stage] = []
        with pytest.raises(expected):
            stage_and_seal(store, DATA[: CHUNK_BYTES + 9], stages)
        for stage in stages:
            with pytest.raises(expected):
                stage.seal()
            stage.discard()
        assert disk.open_files == []
        assert disk.files() == {}
        assert sealed(store, b"next").size == 4


def test_a_full_disk_refuses_and_takes_more_once_there_is_room() -> None:
    disk = MemoryDisk(capacity=2 * CHUNK_BYTES)
    store = PayloadStore(disk, seeded())
    first = sealed(store, DATA[:CHUNK_BYTES])
    stage = store.stage()
    with pytest.raises(NoSpace):
        stage.write(DATA)
    stage.discard()
    store.unlink(first.name)
    assert sealed(store, DATA[:CHUNK_BYTES]).size == CHUNK_BYTES


def test_keys_and_names_come_from_the_entropy_given_and_never_twice() -> None:
    store = PayloadStore(MemoryDisk(), seeded())
    payloads = [sealed(store, b"same") for _ in range(20)]
    for one, other in pairwise(payloads):
        assert one.key != other.key
        assert one.name != other.name
    drawn = seeded()
    run = drawn(RUN_BYTES)
    assert (payloads[0].name, payloads[0].key) == ((drawn(16 - RUN_BYTES) + run).hex(), drawn(32))


def test_payloads_sealed_by_several_threads_at_once_are_all_durable() -> None:
    disk = MemoryDisk()
    store = PayloadStore(disk)
    with ThreadPoolExecutor(8) as pool:
        payloads = list(pool.map(lambda size: sealed(store, DATA[:size]), range(0, 4000, 50)))
    survivor = PayloadStore(disk.crash("none"))
    for payload in payloads:
        with survivor.open(payload) as reader:
            assert reader.read(0, payload.size) == DATA[: payload.size]
    assert len(survivor.names()) == len(payloads)
    assert disk.open_files == []


def test_readers_share_few_files_however_many_they_are() -> None:
    disk = MemoryDisk()
    store = PayloadStore(disk, seeded())
    payloads = [sealed(store, DATA[:size]) for size in range(3 * READ_HANDLES)]
    readers = [store.open(payload) for payload in payloads for _ in range(10)]
    for reader in readers:
        assert reader.read(0, 10_000) == DATA[: reader.size]
        assert len(disk.open_files) <= READ_HANDLES
    for reader in readers:
        reader.close()
        reader.close()
    store.close()
    assert disk.open_files == []


def test_a_body_that_is_removed_while_it_is_read_is_read_to_its_end(disk: Disk) -> None:
    store = PayloadStore(disk, seeded())
    payload = sealed(store, DATA)
    with store.open(payload) as first, store.open(payload) as second:
        assert first.read(0, 10) == DATA[:10]
        assert store.unlink(payload.name)
        assert first.read(CHUNK_BYTES, 10) == DATA[CHUNK_BYTES : CHUNK_BYTES + 10]
        assert second.read(0, len(DATA)) == DATA
        assert not store.unlink(payload.name)
        assert first.read(0, len(DATA)) == DATA
    with pytest.raises(Corrupt):
        store.open(payload)


def test_bodies_removed_while_they_are_read_take_a_bounded_number_of_files() -> None:
    disk = MemoryDisk()
    store = PayloadStore(disk, seeded())
    payloads = [sealed(store, DATA[: CHUNK_BYTES + size]) for size in range(2 * REMOVED_HANDLES)]
    readers = [store.open(payload) for payload in payloads]
    for payload in payloads:
        assert store.unlink(payload.name)
    assert len(disk.open_files) <= REMOVED_HANDLES
    whole = 0
    for reader in readers:
        try:
            whole += reader.read(0, reader.size) == DATA[: reader.size]
        except Corrupt:
            continue
        finally:
            reader.close()
    assert whole == REMOVED_HANDLES
    assert disk.open_files == []


def test_files_that_nobody_reads_make_room_when_descriptors_are_short() -> None:
    disk = MemoryDisk(count_reads=True)
    store = PayloadStore(disk, seeded())
    payloads = [sealed(store, DATA[:size]) for size in range(10)]
    readers = [store.open(payload) for payload in payloads]
    most = len(disk.open_files)

    def refuse(operation: DiskOperation) -> None:
        if operation.kind == "open" and len(disk.open_files) >= most:
            raise Shortage("no descriptor")

    extra = sealed(store, DATA)
    disk.before_each = refuse
    with store.open(extra) as reader:
        assert reader.read(0, len(DATA)) == DATA
    assert [reader.read(0, 10) for reader in readers] == [DATA[:size] for size in range(10)]
