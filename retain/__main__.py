"""The command line as `python -m retain`."""

from retain.api.cli.main import main

main(prog_name="retain")
