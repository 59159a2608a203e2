"""Proofs from a journal are the RFC's over all leaves, and verify against the roots."""

from __future__ import annotations

from random import Random

import pytest

from retain.journal import BadTarget, Part
from retain.journal.format.merkle import EMPTY_ROOT, leaf_hash, tree_root
from retain.journal.lookup.history import headers
from retain.journal.lookup.index import write_indexes
from retain.journal.proofs.prover import Inclusion, Prover
from retain.journal.testing.memory import MemoryDisk
from tests.journal.lookup.test_index import OPTIONS, resource
from tests.kit.journals import T0, append, draft, opened
from tests.kit.merkle import inclusion_proof

SIZE = 1400


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    rng = Random(1)
    while log.head.seq < SIZE - 2:
        count = min(rng.randrange(1, 40), SIZE - 2 - log.head.seq)
        append(log, *(draft(b"who", b"what", resource=resource(1)) for _ in range(count)), time=T0)
    log.erase([(seq, Part.CONTENT) for seq in range(1, 300)], 7, T0)
    log.close()
    return disk.files()


@pytest.fixture(scope="module", params=["indexed", "bare"])
def prover(request: pytest.FixtureRequest, files: dict[str, bytes]) -> Prover:
    disk = MemoryDisk(files)
    if request.param == "indexed":
        write_indexes(disk)
    return Prover(disk)


@pytest.fixture(scope="module")
def leaves(files: dict[str, bytes]) -> list[bytes]:
    return [leaf_hash(one) for one in headers(MemoryDisk(files), range(1, SIZE + 1)).values()]


SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 767, 768, 1000, 1024, 1025, 1399, SIZE]


@pytest.mark.parametrize("size", SIZES)
def test_roots_are_the_trees(prover: Prover, leaves: list[bytes], size: int) -> None:
    assert prover.root(size) == tree_root(leaves[:size])


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_proofs_are_the_rfcs_and_hold(prover: Prover, leaves: list[bytes], size: int) -> None:
    for seq in sorted({1, size, *Random(size).sample(range(1, size + 1), min(size, 12))}):
        proof = prover.inclusion(seq, size)
        assert list(proof.path) == inclusion_proof(leaves[:size], seq - 1)
        assert proof.holds(prover.root(size))
        assert not proof.holds(bytes(32))
        assert not Inclusion(seq, proof.header + b"x", size, proof.path).holds(prover.root(size))


def test_the_present_end_is_meant_where_no_size_is_given(prover: Prover) -> None:
    assert prover.size == SIZE
    assert prover.inclusion(5) == prover.inclusion(5, SIZE)


def test_what_is_not_in_the_tree_has_no_proof(prover: Prover) -> None:
    for wrong in (0, SIZE + 1, -1):
        with pytest.raises(BadTarget):
            prover.inclusion(wrong)
    with pytest.raises(BadTarget):
        prover.inclusion(100, 99)
    with pytest.raises(BadTarget):
        prover.inclusion(1, SIZE + 1)
    with pytest.raises(BadTarget):
        prover.root(SIZE + 1)


def test_an_empty_journal_has_the_empty_root() -> None:
    disk = MemoryDisk()
    opened(disk)[0].close()

    assert Prover(disk).root(0) == EMPTY_ROOT
    assert Prover(MemoryDisk()).root(0) == EMPTY_ROOT
