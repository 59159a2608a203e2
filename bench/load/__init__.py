"""What asks the servers: wrk where it is installed, else our own generator; requests; large transfers.

A generator runs in a process of its own, so that it never waits for the server's turn.
"""

from __future__ import annotations

from retain.bench.load.drive import Load, measure

__all__ = ["Load", "measure"]
