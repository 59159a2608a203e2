"""Clients of the campaign: each changes and reads a key at one node after the other, and remembers it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tests.kit.server import Server
from tests.test_nodes import Writer

TTL_S = 30 * 86400
"""Longer than any clock of the campaign is wrong by."""

REST_S = 0.01
"""Between two changes: the nodes and PostgreSQL need the processor, too."""


class Client(Writer):
    """One of several clients of a key, at the nodes as they are at each moment.

    Args:
        nodes: By name; the campaign replaces those that it starts again.
        key: The id of an area; its only value is what is read and written.
        number: Of the client: no other client of the key writes the same values.

    """

    ttl = TTL_S

    def __init__(self, nodes: Mapping[str, Server], key: str, number: int) -> None:
        super().__init__((), key)
        self.key = key
        self.silence = self.wait = 0.0
        self._nodes, self._number = nodes, number

    def run(self) -> None:
        """Change and read until stopped."""
        count, last = 0, time.monotonic()
        while not self.stopped.is_set():
            for server in list(self._nodes.values()):
                count += 1
                began = time.monotonic()
                acknowledged = self._write(server, f"{self._number}-{count}")
                now = time.monotonic()
                self.wait = max(self.wait, now - began)
                if acknowledged:
                    self.silence, last = max(self.silence, now - last), now
                self._read(server)
                time.sleep(REST_S)
