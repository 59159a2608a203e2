"""What a campaign did and found, as one line of JSON; several lines add up."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Report:
    """One campaign, or several.

    Attributes:
        seeds: Of the campaigns.
        seconds: How long they ran.
        faults: How many of each kind.
        at_leader: How many of these hit the node that led.
        acknowledged: Changes that were acknowledged.
        unknown: Changes that were answered with an error, or not at all: each may have happened or not.
        reads: Reads that were answered.
        silence: The longest time for which no change of a client was acknowledged, in seconds.
        wait: The longest time until a change was answered, with whatever answer, in seconds.
        codes: How often a node ended with which exit code, negative for a signal.
        wrong: What was found to be wrong.

    """

    seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    at_leader: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    unknown: int = 0
    reads: int = 0
    silence: float = 0.0
    wait: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(vars(self))

    @classmethod
    def of(cls, lines: str) -> Self:
        """Return the sum of the reports that these lines have."""
        total = cls()
        for line in lines.splitlines():
            found = json.loads(line)
            for name in ("faults", "at_leader", "codes"):
                getattr(total, name).update(found.pop(name))
            for name in ("silence", "wait"):
                setattr(total, name, max(getattr(total, name), found.pop(name, 0.0)))
            for name, value in found.items():
                setattr(total, name, getattr(total, name) + value)
        return total

    def __str__(self) -> str:
        """Return it in words."""
        minutes = self.seconds / 60
        kinds = "\n".join(
            f"  {kind:16} {number:5}   {self.at_leader[kind]:5}"
            for kind, number in sorted(self.faults.items())
        )
        return (
            f"seeds {', '.join(map(str, self.seeds))}: {self.faults.total()} faults, {minutes:.1f} minutes\n"
            f"  kind             faults   at the leader\n{kinds}\n"
            f"changes acknowledged: {self.acknowledged:,}; outcome unknown: {self.unknown:,}; "
            f"reads: {self.reads:,}\n"
            f"longest silence of a client: {self.silence:.1f} s; longest wait for an answer: "
            f"{self.wait:.1f} s\n"
            f"exit codes of nodes: {dict(self.codes)}\n"
            + (
                "\n".join(f"WRONG: {one}" for one in self.wrong)
                or "nothing lost, all histories linearizable, folders alike"
            )
        )
