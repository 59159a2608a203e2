"""What clients see of the disk: full, failed, and what is left on it."""

from __future__ import annotations

import tracemalloc
from uuid import UUID

from retain.api.areas import areas_interface
from retain.api.config.load import Config
from retain.engine import Options, open_engine
from retain.engine.areas import CreateArea
from retain.engine.core.event import Stamp
from retain.engine.core.time import SECOND
from retain.engine.state import State
from retain.engine.testing import SteppedClock
from retain.journal.testing.memory import MemoryDisk
from tests.kit.areas import QUIET, STORAGE, Client, FilePart, areas_client, multipart, multipart_type
from tests.kit.disks import fail_next


async def fill(client: Client) -> None:
    """Uses up what the disk has left."""
    client.disk.capacity = sum(map(len, client.disk.files().values()))
    for _ in range(30):
        if (await client.post("/3600", {f"k{number}": "x" * 8000 for number in range(200)})).status == 507:
            return
    raise AssertionError("never full")


async def test_a_full_disk_is_507_deletes_work_and_room_is_used_again():
    """With the room set aside that a server sets aside."""
    async with areas_client(options=Options(sweep_interval_s=3600.0)) as client:
        name = await client.create({"k": "v"})
        await fill(client)
        answer = await client.post(f"/{name}/60", {"k": "w"})
        assert answer.status == 507
        assert set(answer.json()) == {"exception", "message"}
        assert (await client.post("/60", {"f": FilePart(bytes(1_000_000))})).status == 507
        assert client.payload_files() == []
        assert (await client.get(f"/{name}")).json() == {"k": "v"}
        assert (await client.delete(f"/{name}")).status == 200
        assert (await client.get(f"/{name}")).status == 404
        client.disk.capacity = None
        for _ in range(3):
            answer = await client.post("/60", {"k": "v"})
        assert answer.status == 200


async def test_a_failed_sync_ends_writing_and_says_so():
    clock, disk = SteppedClock(), MemoryDisk()
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        client = Client(engine, areas_interface(engine, Config()), clock, disk)
        name = await client.create({"k": "v"})
        fail_next(disk, "sync")
        assert (await client.post("/60", {"k": "v"})).status == 503
        answer = await client.post(f"/{name}/60", {"k": "w"})
        assert answer.status == 503
        assert set(answer.json()) == {"exception", "message"}
        status = await client.send("GET", "/genesys/1/admin/node/status")
        assert (status.status, status.body) == (503, b"OFFLINE")


async def test_names_of_clients_are_no_names_of_files(client: Client):
    """T16: whatever ids, keys and file names a client sends, the folder holds the store's own names only."""
    hostile = FilePart(bytes(100_000), "..\\..\\evil.exe", "x/y")
    form = multipart([("../../etc/passwd", hostile), ("CON", "v")])
    headers = [multipart_type(), ("gms_user", "../../root")]
    answer = await client.send("POST", f"{STORAGE}/custom/..%2F..%2Fx/60", headers, form)
    assert answer.status == 200
    for path in client.disk.files():
        assert not any(word in path for word in ("..", "evil", "passwd", "CON", "root"))


async def test_a_small_file_of_a_server_without_inline_bodies():
    async with areas_client(options=Options(inline_bytes=0, sweep_interval_s=3600.0)) as client:
        name = await client.create({"f": FilePart(b"x"), "long": "y" * 10_000})
        assert len(client.payload_files()) == 2
        assert (await client.get(f"/binary/{name}/f")).body == b"x"
        assert (await client.get(f"/{name}/long")).text == "y" * 10_000


def test_an_area_of_three_short_texts_takes_less_than_a_kibibyte():
    """A million of them are to fit in 1.5 GiB; the measure is taken on few, because tracing is slow."""
    areas, now = 5000, 1_800_000_000 * SECOND
    state = State()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(areas):
        command = CreateArea(
            actor="anonymous",
            name=str(UUID(int=number * 2**90, version=4)),
            resource=number.to_bytes(16, "big"),
            values={f"Key{key}": f"Value{number * 3 + key}" for key in (1, 2, 3)},
            ttl=3600,
        )
        for event in state.decide(command, now + number).events:
            state.apply(event, Stamp(state.seq + 1, now + number, -1))
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / areas <= 1024
