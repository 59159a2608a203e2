"""Inclusion proofs made from all leaf hashes, which the proofs of a journal must equal."""

from __future__ import annotations

from collections.abc import Sequence

from retain.journal.format.merkle import split_point, tree_root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH(index, leaves) of RFC 9162, section 2.1.3.1. `index` counts from 0."""
    proof: list[bytes] = []
    start, stop = 0, len(leaves)
    while stop - start > 1:
        middle = start + split_point(stop - start)
        if index < middle:
            proof.append(tree_root(leaves[middle:stop]))
            stop = middle
        else:
            proof.append(tree_root(leaves[start:middle]))
            start = middle
    return proof[::-1]
