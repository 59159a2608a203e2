"""Append erase records to a journal that is not open, for repair and restore.

The next start carries out the erasures and closes them (FORMAT.md section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from retain.journal.disk.interface import File
from retain.journal.erasure.ledger import Range, pack_ranges
from retain.journal.format.codec import encode_batch
from retain.journal.format.frame import Chain
from retain.journal.format.limits import ERASE_RANGES, SALT_BYTES
from retain.journal.format.record import NO_RESOURCE, Draft, Verb
from retain.journal.segments.anchor import Anchor
from retain.journal.segments.files import Opener


def mark_erased(
    file: File,
    opener: Opener,
    offset: int,
    chain: Chain,
    orders: Iterable[tuple[int, Sequence[Range]]],
    entropy: Callable[[int], bytes],
) -> Anchor:
    """Append at `offset` of the last segment, with the tree at `chain`; return the new end.

    `orders` are causes, each with the parts to erase. `chain.time` is the time of the records. Raises
    `NoSpace`, `OSError`.
    """
    chain = chain.copy()
    portions = [
        (cause, pack_ranges(ranges[at : at + ERASE_RANGES]))
        for cause, ranges in orders
        for at in range(0, len(ranges), ERASE_RANGES)
    ]
    for cause, content in portions:
        batch = encode_batch(
            [Draft(Verb.ERASE, 0, NO_RESOURCE, cause, b"", content)],
            chain,
            chain.frontier.root(),
            segment=opener.number,
            offset=offset,
            whitening=opener.whitening,
            salts=entropy(SALT_BYTES),
        )
        file.pwrite(offset, batch.data)
        file.sync()
        offset += len(batch.data)
        for leaf in batch.leaves:
            chain.frontier.append(leaf)
    return Anchor(chain.frontier.size, opener.number, offset, chain.frontier.root())
