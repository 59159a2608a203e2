"""A process that stores and expires data until it is killed: `python -m tests.kit.forgetful FOLDER`.

Prints a line for each area once it is known to be durable: ``kept NAME TEXT``, ``ended NAME TEXT``.
"""

from __future__ import annotations

import random
import sys
import uuid

import trio

from retain.engine import Engine, Options, open_engine
from retain.engine.areas import CreateArea, DeleteArea

OPTIONS = Options(erase_interval_s=0.01, sweep_interval_s=0.01, segment_bytes=1 << 20, snapshot_records=50)


async def main(folder: str) -> None:
    """Never returns."""
    async with open_engine(folder, options=OPTIONS) as engine, trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(live, engine)


async def live(engine: Engine) -> None:
    pick = random.Random()
    while True:
        name, text = str(uuid.uuid4()), f"text-{pick.getrandbits(64):016x}"
        values = {"long": text * 50, "short": text}
        await engine.submit(
            CreateArea(actor="a", name=name, resource=pick.randbytes(16), values=values, ttl=10**6)
        )
        if pick.random() < 0.2:
            sys.stdout.write(f"kept {name} {text}\n")
            continue
        await engine.submit(DeleteArea(actor="a", name=name))
        sys.stdout.write(f"ended {name} {text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
