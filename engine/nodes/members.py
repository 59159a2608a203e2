"""How the nodes of a cluster are, from their reports: one rule for command line and console."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from retain.journal.shared.interface import NodeReport, SharedHead

AWAY_S: Final = 10.0
"""A node that has not reported for so long, in seconds, counts as away."""
FORGETTABLE_S: Final = 60.0
"""A node that has not reported for so long, in seconds, can be forgotten."""


class Member(NamedTuple):
    """A node, as the shared log knows it.

    Attributes:
        name: The node.
        leads: Whether it leads.
        record: The last record that is durable in its folder.
        behind: By how many records the shared log is ahead.
        erased_to: The last record up to which all that was erased is overwritten in its folder.
        seen_seconds: Seconds since its last report.
        release: Of Retain.
        link: Where the other nodes reach it.
        role: `leader`, `follower` or `away`.

    """

    name: str
    leads: bool
    record: int
    behind: int
    erased_to: int
    seen_seconds: float
    release: str
    link: str
    role: str


def members(head: SharedHead, reports: Iterable[NodeReport], later: float = 0.0) -> list[Member]:
    """Return the nodes by name.

    Args:
        head: Where the shared log ended, and who led.
        reports: Each node's last report, as of then.
        later: Seconds that have passed since then. The leader renews its lease all the time, so it counts
            as the leader until its own report would be that of a node that is away.

    """
    return [_member(head, one, later) for one in reports]


def _member(head: SharedHead, one: NodeReport, later: float) -> Member:
    age = one.age + later
    leads = one.name == head.leader and head.remaining > 0 and later <= AWAY_S
    return Member(
        name=one.name,
        leads=leads,
        record=one.durable,
        behind=max(0, head.seq - one.durable),
        erased_to=one.overwritten,
        seen_seconds=round(age, 1),
        release=one.release,
        link=one.url,
        role="leader" if leads else "away" if age > AWAY_S else "follower",
    )
