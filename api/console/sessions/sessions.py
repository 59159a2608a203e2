"""The sessions of the console, in memory: a restart signs everybody out.

Times are Trio's clock, in seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo

import trio

from retain.api.identity import Caller
from retain.api.identity.roles import Role

SESSIONS_MAX = 10_000
"""Sessions at once; beyond that the one used longest ago ends. About 10 MB."""
NOTES_MAX = 4
KEPT_MAX = 2
"""Most objects that wait to be shown once; further ones replace the oldest."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The result of an action, shown once, on the page that follows.

    Attributes:
        text: One or two sentences.
        state: Its shape and colour, as the macro `shape` names them.
    """

    text: str
    state: str = "live"


@dataclass(slots=True, eq=False)
class Session:
    """One sign-in.

    Attributes:
        id: Names it in the cookie.
        caller: The signed-in caller.
        role: Their role.
        zone: Their time zone.
        ends: When it ends in any case.
        used: When it was last used.
        notes: Notices for the next page.
    """

    id: str
    caller: Caller
    role: Role
    zone: tzinfo
    ends: float
    used: float
    notes: list[Notice] = field(default_factory=list)
    _kept: OrderedDict[str, object] = field(default_factory=OrderedDict)

    def say(self, note: Notice) -> None:
        """Show `note` on the next page; of many, the latest few are kept."""
        self.notes.append(note)
        del self.notes[:-NOTES_MAX]

    def said(self) -> list[Notice]:
        """Return the pending notices, and remove them."""
        notes, self.notes = self.notes, []
        return notes

    def keep(self, thing: object, entropy: Callable[[int], bytes]) -> str:
        """Store an object that the next page shows once, in memory only; return its name."""
        name = entropy(16).hex()
        self._kept[name] = thing
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return name

    def take(self, name: str) -> object | None:
        """Return the object stored under `name`, once; None if there is none, or no longer."""
        return self._kept.pop(name, None)


class Sessions:
    """All sessions.

    Args:
        entropy: Random bytes for their ids.
        idle_s: Seconds without use after which one ends.
        longest_s: Seconds after which one ends in any case.
    """

    def __init__(self, entropy: Callable[[int], bytes], *, idle_s: float, longest_s: float) -> None:
        self._entropy = entropy
        self._idle_s = idle_s
        self._longest_s = longest_s
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self, caller: Caller, role: Role, zone: tzinfo, at_most_s: float = float("inf")) -> Session:
        """Begin a session, under an id that is new, for no longer than `at_most_s`."""
        now = trio.current_time()
        ends = now + min(self._longest_s, at_most_s)
        session = Session(self._entropy(32).hex(), caller, role, zone, ends, now)
        self._sessions[session.id] = session
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return session

    def find(self, session_id: str, *, use: bool = True) -> Session | None:
        """Return the session of that id unless it has ended; `use` counts as activity."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        now = trio.current_time()
        if now >= session.ends or now >= session.used + self._idle_s:
            del self._sessions[session_id]
            return None
        if use:
            session.used = now
            self._sessions.move_to_end(session_id)
        return session

    def close(self, session_id: str) -> None:
        """End a session; one that has ended already stays so."""
        self._sessions.pop(session_id, None)
