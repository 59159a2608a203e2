"""``python -m tests.hostile [--scale 1] [--seconds 20] [--p99 100] [ATTACK …]``: the campaign.

Prints its figures as a table for `docs/`, and which bounds did not hold; the exit code tells too."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.hostile.campaign import Outcome, attack, broken, names, raise_limit, table, target


def main() -> None:
    """Run it; each attack meets a server of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help="all of them if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of each attack; 1 is all of it")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each attack lasts")
    parser.add_argument("--calm", type=float, default=3.0, help="seconds measured before and after each")
    parser.add_argument(
        "--p99", type=float, default=100.0, help="most ms of an innocent request; more needs a busy machine"
    )
    asked = parser.parse_args()
    raise_limit()
    outcomes: list[Outcome] = []
    wrong: list[str] = []
    for name in names(asked.attacks):
        webhooks = name == "slow_receivers"
        with tempfile.TemporaryDirectory() as folder, target(Path(folder), webhooks=webhooks) as server:
            outcome = attack(server, name, scale=asked.scale, seconds=asked.seconds, calm_s=asked.calm)
            outcomes.append(outcome)
            print(table([outcome]).splitlines()[-1], flush=True)
            wrong += broken(outcome, asked.p99)
            wrong += [
                f"{name}: {line}"
                for line in server.log().splitlines()
                if "unhandled exception" in line or "writing has ended" in line
            ]
    print()
    print(table(outcomes))
    if wrong:
        print("\nbounds that did not hold:", *wrong, sep="\n- ")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
