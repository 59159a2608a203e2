"""Administrative actions, each written once: tenants, tokens, rights of persons, backups, clock, checkpoints.

The control socket, the console and the command line call them. `log_rows` has the columns of the audit log,
as JSON and CSV. This package has no HTTP, HTML or terminal output.
"""

from __future__ import annotations

from typing import Final

CONTAINERS: Final = ("recordings", "gim-export")
"""Containers that a new tenant has, and that tokens are issued for by default, as at Genesys."""
