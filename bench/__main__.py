"""`python -m retain.bench` is `retain bench`."""

from __future__ import annotations

from retain.bench.command import main

if __name__ == "__main__":
    main(prog_name="retain bench")
