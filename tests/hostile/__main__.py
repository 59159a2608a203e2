"""``python -m tests.hostile [--scale 1] [--seconds 20] [ATTACK …]``: the campaign, its figures as a table."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.hostile.campaign import attack, names, raise_limit, table, target


def main() -> None:
    """Run it; each attack meets a server of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help="all of them if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of each attack; 1 is all of it")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each attack lasts")
    parser.add_argument("--calm", type=float, default=3.0, help="seconds measured before and after each")
    asked = parser.parse_args()
    raise_limit()
    outcomes = []
    for name in names(asked.attacks):
        with tempfile.TemporaryDirectory() as folder, target(Path(folder)) as (server, certificate):
            outcome = attack(
                server, certificate, name, scale=asked.scale, seconds=asked.seconds, calm_s=asked.calm
            )
            outcomes.append(outcome)
            print(table([outcome]).splitlines()[-1], flush=True)
            assert "unhandled exception" not in server.log(), server.log()[-2000:]
    print()
    print(table(outcomes))


if __name__ == "__main__":
    main()
