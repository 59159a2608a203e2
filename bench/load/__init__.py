"""The load on servers: wrk if it is installed, else Retain's generator; requests; large transfers.

A generator runs in a separate process, so that it never waits for the server.
"""

from __future__ import annotations

from retain.bench.load.drive import Load, measure

__all__ = ["Load", "measure"]
