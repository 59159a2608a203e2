"""The command line as `python -m retain`."""

from __future__ import annotations

from retain.api.cli.main import main

main(prog_name="retain")
