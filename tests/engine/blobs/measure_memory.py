"""What a million blobs cost: ``python tests/engine/blobs/measure_memory.py [count] [tags]``. Not part of the
test run.

Prints resident memory, the time of a page of 5,000, of a selective find, of freezing and of loading from
snapshot rows.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import msgpack

from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.entries import ContentHeaders, Pairs
from retain.engine.blobs.events import BlobPut
from retain.engine.blobs.listing import find_blobs, list_blobs
from retain.engine.blobs.tagindex import TagQuery, TagRange
from retain.engine.core.event import Cause, Stamp
from retain.engine.state import State
from retain.engine.testing import EPOCH
from tests.kit.slices import DAY, inline

ACCOUNT, CONTAINER = "mytenant", "recordings"


def resident() -> float:
    """MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def timed(label: str, work: Callable[[], Any]) -> Any:
    """Runs ``work`` and prints how long it took."""
    began = time.perf_counter()
    result = work()
    print(f"{label}: {(time.perf_counter() - began) * 1000:,.1f} ms, {resident():,.0f} MiB")
    return result


def tags_of(number: int, tagged: bool) -> Pairs:
    """What the Genesys page shows: a type and a time."""
    if not tagged:
        return ()
    stored = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH // 10**9 + number))
    return (("RecordingType", "CALL" if number % 3 else "CHAT"), ("StoredTime", stored))


def fill(state: State, count: int, tagged: bool) -> None:
    """Applies ``count`` puts as replay does."""
    create = CreateContainer(actor="x", account=ACCOUNT, container=CONTAINER, resource=bytes(16))
    for event in state.decide(create, EPOCH).events:
        state.apply(event, Stamp(1, EPOCH, -1))
    body = inline(b"x" * 1024)
    for number in range(count):
        time_ns = EPOCH + number * 1000
        # New objects for every event, as unpacking a record gives them.
        event = BlobPut(
            resource=number.to_bytes(16, "big"),
            actor="sas:recordings",
            cause=Cause.REQUEST,
            account=ACCOUNT,
            container=CONTAINER,
            blob=f"mytenant/{number * 7919 % count:010}_2021-05-21_06-19-26-0064020A-10013025.mp3.bin",
            created=time_ns,
            modified=time_ns,
            headers=ContentHeaders("application/octet-stream"),
            md5=number.to_bytes(16, "little"),
            metadata=(),
            tags=tags_of(number, tagged),
            tier=None,
            body=body,
        )
        state.apply(event, Stamp(number + 2, time_ns, (1 << 32) + number * 2048))


def main() -> None:
    """Measures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    tagged = len(sys.argv) > 2
    gc.disable()
    print(f"start: {resident():,.0f} MiB")
    state = State()
    timed(f"{count:,} puts applied", lambda: fill(state, count, tagged))
    now = EPOCH + DAY
    blobs = state.blobs
    middle = f"mytenant/{count // 2:010}"
    for _ in range(3):
        timed(
            "page of 5,000",
            lambda: list_blobs(blobs, ACCOUNT, CONTAINER, now, start=middle, limit=5000),
        )
    timed("by group", lambda: list_blobs(blobs, ACCOUNT, CONTAINER, now, delimiter="/", limit=5000))
    if tagged:
        for minutes in (1, 60, 24 * 60):
            window = TagRange.between(
                dict(tags_of(1000, True))["StoredTime"],
                dict(tags_of(1000 + minutes * 60, True))["StoredTime"],
            )
            query = TagQuery(
                {"RecordingType": TagRange.between("CALL", "CALL"), "StoredTime": window}, CONTAINER
            )
            page = timed(
                f"find in {minutes} minutes", lambda q=query: find_blobs(blobs, ACCOUNT, q, now, limit=5000)
            )
            print(f"  {len(page.items)} found, more: {page.next is not None}")
    rows = timed("frozen", state.freeze)
    packed = timed("packed", lambda: [msgpack.packb(row) for row in rows()])
    print(f"  {sum(map(len, packed)) / 2**20:,.0f} MiB of rows")
    loaded = State()
    timed(
        "loaded",
        lambda: loaded.blobs.load(msgpack.unpackb(row)[1] for row in packed if row[1:6] == b"\xa5blob"),
    )
    assert len(loaded.blobs.accounts[ACCOUNT][CONTAINER].blobs) == count


if __name__ == "__main__":
    main()
