"""`python -m tests.cluster.node FILE serve …` is `retain serve …` whose surroundings the campaign changes.

FILE has two things that it reads while it runs: a shift of the wall clock, which the campaign changes, in its
first 8 bytes (nanoseconds); and after them, as JSON, at which address this node reaches each other one, by
that one's own address. Each such way is a relay that the campaign can cut.
"""

from __future__ import annotations

import json
import mmap
import sys
import time
from pathlib import Path

SHIFT_BYTES = 8


class Surroundings:
    """What the campaign has written for one node; `shift` takes effect at once.

    Args:
        file: Of this node.

    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def create(self, ways: dict[str, str]) -> None:
        """Begin with the machine's own clock; `ways` has an address for each address of another node."""
        self.file.write_bytes(bytes(SHIFT_BYTES) + json.dumps(ways).encode())

    def shift(self, nanoseconds: int) -> None:
        """Let the node's wall clock be so far ahead of the machine's, or behind it."""
        with self.file.open("r+b") as file:
            file.write(nanoseconds.to_bytes(SHIFT_BYTES, "little", signed=True))

    def enter(self) -> dict[str, str]:
        """Let this process have that clock; return the ways."""
        with self.file.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        machine = time.time_ns

        def wall() -> int:
            return machine() + int.from_bytes(mapped[:SHIFT_BYTES], "little", signed=True)

        time.time_ns = wall
        time.time = lambda: wall() / 1e9
        ways: dict[str, str] = json.loads(mapped[SHIFT_BYTES:])
        return ways


def main() -> None:
    """Run the server."""
    ways = Surroundings(Path(sys.argv.pop(1))).enter()
    from retain.api.cli.main import main as retain
    from retain.api.nodes.transport import TlsTransport

    dial = TlsTransport.dial
    TlsTransport.dial = lambda self, url: dial(self, ways.get(url, url))  # type: ignore[method-assign]
    retain(prog_name="retain")


if __name__ == "__main__":
    main()
