"""PostgreSQL for the campaign: a primary and its synchronous standby, which takes its place."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.kit import postgres

FOLLOWS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"


class Database:
    """Two servers. One is the primary; a commit is on both when it returns.

    Args:
        servers: Makes the servers.
        on_disks: Whether the power of each can be cut.

    """

    def __init__(self, servers: postgres.Postgres, *, on_disks: bool) -> None:
        self._servers = servers
        self._on_disks = on_disks
        self.both = [servers.server(on_disk=on_disks) for _ in range(2)]
        self.primary, self.standby = self.both
        self.standby.stop()
        self.primary.require_standby("*")  # now, since the standby gets this setting with its copy
        servers.rebuild(self.standby, standby_of=self.primary)
        self.primary.wait_for(FOLLOWS, 1)

    def kinds(self, seconds: Callable[[], float]) -> dict[str, Callable[[str], None]]:
        """Return what can be done to it, by name; `seconds` gives a time at random."""
        kinds: dict[str, Callable[[str], None]] = {
            "postgres": lambda name: self.restart(),
            "standby": lambda name: self.lose_standby(),
            "failover": lambda name: self.fail_over(),
            "split": lambda name: self.split(seconds()),
        }
        if self._on_disks:
            kinds["power-postgres"] = lambda name: self.cut_power(of_both=False)
        return kinds

    def leader(self) -> str:
        """Return the name of the node that leads, or that led last."""
        ((name,),) = self.primary.sql("SELECT leader FROM retain.head")
        return str(name)

    def restart(self) -> None:
        """Kill the primary, and start it again."""
        self.primary.kill()
        self.primary.start()

    def lose_standby(self) -> None:
        """Kill the standby, and start it again: commits wait meanwhile."""
        self.standby.kill()
        self.standby.start()

    def fail_over(self) -> None:
        """Kill the primary, and promote the standby; the former primary begins anew as its standby."""
        self.primary.kill()
        self._promote()

    def split(self, wait: float) -> None:
        """Promote the standby while the primary is only paused; it continues for a while beside the new one.

        Args:
            wait: How long, in seconds.

        """
        former = self.primary
        former.pause()
        self.standby.sql("SELECT pg_promote()")
        former.resume()
        time.sleep(wait)
        former.kill()
        self._exchange()

    def cut_power(self, *, of_both: bool) -> None:
        """Cut the power of the primary, or of both servers, and start again what is on their disks."""
        servers = self.both if of_both else [self.primary]
        for server in servers:
            server.pause()
        for server in servers:
            server.cut_power()
        self.primary.start()
        if of_both:
            self.standby.start()

    def _promote(self) -> None:
        self.standby.sql("SELECT pg_promote()")
        self._exchange()

    def _exchange(self) -> None:
        assert self.standby.sql("SELECT pg_is_in_recovery()") == [(False,)]
        self.primary, self.standby = self.standby, self.primary
        self._servers.rebuild(self.standby, standby_of=self.primary)
