"""The console: what operators do in a browser, and the core of it that the command line shares."""

from typing import Final

CONTAINERS: Final = ("recordings", "gim-export")
"""The containers that tenants have and tokens are made for by default (the Genesys page)."""
