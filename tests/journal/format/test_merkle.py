"""The tree against published vectors, against a naive reading of the RFC, and against forgery."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.journal.format.merkle import (
    EMPTY_ROOT,
    Frontier,
    leaf_hash,
    node_hash,
    tree_root,
    verify_inclusion,
)
from tests.kit.merkle import inclusion_proof

# Source: the test tree of the Certificate Transparency reference implementation (merkletree tests of
# google/certificate-transparency, kept in transparency-dev/merkle as its reference tree).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
LEAVES = [leaf_hash(data) for data in INPUTS]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAF_1 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
LEAF_2 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
LEAF_5 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
NODE_12 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
NODE_34 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
NODE_56 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
NODE_78 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
NODE_1_4 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
NODE_5_8 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
# (leaf counted from 1, size of the tree, proof)
INCLUSION = [
    (1, 1, []),
    (1, 8, [LEAF_2, NODE_34, NODE_5_8]),
    (6, 8, [LEAF_5, NODE_78, NODE_1_4]),
    (3, 3, [NODE_12]),
    (2, 5, [LEAF_1, NODE_34, LEAF_5]),
]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 9162, section 2.1.1 words it, over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def some_leaves(count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert tree_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("leaf", "size", "proof"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(leaf: int, size: int, proof: list[str]) -> None:
    made = inclusion_proof(LEAVES[:size], leaf - 1)
    assert [node.hex() for node in made] == proof
    assert verify_inclusion(LEAVES[leaf - 1], leaf - 1, size, made, bytes.fromhex(ROOTS[size]))


def test_every_proof_of_small_trees_matches_the_naive_reading_and_verifies() -> None:
    leaves = some_leaves(33)
    for size in range(1, 34):
        tree = leaves[:size]
        root = naive_root(tree)
        assert tree_root(tree) == root
        for index in range(size):
            proof = inclusion_proof(tree, index)
            assert proof == naive_path(index, tree)
            assert verify_inclusion(tree[index], index, size, proof, root)


def test_no_wrong_claim_about_a_small_tree_verifies() -> None:
    leaves = some_leaves(17)
    roots = [naive_root(leaves[:size]) for size in range(18)]
    for size in range(1, 18):
        for index in range(size):
            proof = inclusion_proof(leaves[:size], index)
            for claimed in range(-1, 19):
                genuine = claimed == index
                assert verify_inclusion(leaves[index], claimed, size, proof, roots[size]) == genuine
            wrong_proofs = [proof[:-1], [*proof, roots[1]]] if proof else [[roots[1]]]
            for wrong in wrong_proofs:
                assert not verify_inclusion(leaves[index], index, size, wrong, roots[size])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=200), st.data())
def test_a_changed_byte_breaks_every_proof(inputs: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(one) for one in inputs]
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    root, path = tree_root(leaves), inclusion_proof(leaves, index)
    assert verify_inclusion(leaves[index], index, size, path, root)
    assert not verify_inclusion(leaf_hash(inputs[index] + b"x"), index, size, path, root)
    assert not verify_inclusion(leaves[index], index, size, path, flipped(root))
    for place in range(len(path)):
        assert not verify_inclusion(
            leaves[index], index, size, [*path[:place], flipped(path[place]), *path[place + 1 :]], root
        )


def flipped(node: bytes) -> bytes:
    return bytes([node[0] ^ 1]) + node[1:]


@given(st.integers(0, 300), st.integers(0, 100))
def test_a_frontier_goes_on_where_another_stopped(before: int, after: int) -> None:
    leaves = some_leaves(before + after)
    first = Frontier()
    for leaf in leaves[:before]:
        first.append(leaf)
    assert len(first.peaks) == before.bit_count()
    second = Frontier(first.size, first.peaks)
    for leaf in leaves[before:]:
        second.append(leaf)
    assert (second.size, second.root()) == (before + after, naive_root(leaves))
    assert first.root() == naive_root(leaves[:before])


def test_a_copied_frontier_is_independent() -> None:
    frontier = Frontier()
    frontier.append(LEAVES[0])
    copy = frontier.copy()
    copy.append(LEAVES[1])
    assert frontier.root() == LEAVES[0]
    assert copy.root() == node_hash(LEAVES[0], LEAVES[1])


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == sha256(b"").digest()


@pytest.mark.parametrize(
    ("size", "peaks"), [(-1, []), (1, []), (3, [bytes(32)]), (2, [bytes(32)] * 2), (1, [bytes(31)])]
)
def test_peaks_that_cannot_belong_to_the_size_are_refused(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(ValueError, match="peak"):
        Frontier(size, peaks)
