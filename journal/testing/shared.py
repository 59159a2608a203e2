"""A shared log in memory, with faults, for tests of code that uses `retain.journal.shared`.

`MemoryServer` is the database that all nodes reach, `MemoryShared` one connection to it. Time is the server's
own, in nanoseconds, and moves when a test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from threading import RLock
from typing import TypeVar

from retain.journal.errors import BadTarget, Fenced, TooFarBehind, Unsettled
from retain.journal.log import Committed
from retain.journal.shared.interface import (
    FETCH_BYTES,
    NodeReport,
    SharedHead,
    Term,
    changed_meanwhile,
    too_far_behind,
)

_SECOND = 1_000_000_000
_RETURNED = -1
_NOBODY = Term(0, bytes(16))

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Rows:
    """The tables, never changed in place."""

    head: SharedHead | None = None
    until: int = 0
    frames: tuple[tuple[Committed, int], ...] = ()
    nodes: Mapping[str, tuple[NodeReport, int]] = field(default_factory=dict)
    kept: Mapping[str, bytes] = field(default_factory=dict)


class MemoryServer:
    """The database behind any number of `MemoryShared`.

    Args:
        clock: Return its time, nanoseconds.
        entered: Called as each call arrives: a test may let time pass there, or another node act.

    Attributes:
        down: The server answers no call.
        replicates: Changes become durable. While False they are visible, but their callers get no
            confirmation, and `fail_over` undoes them.
        calls: The calls that arrived, by name.
        connections: The open ones.

    """

    def __init__(self, clock: Callable[[], int], entered: Callable[[str], None] = lambda _: None) -> None:
        self.down = False
        self.replicates = True
        self.calls: list[str] = []
        self.connections: set[MemoryShared] = set()
        self._clock = clock
        self._entered = entered
        self._rows = _Rows()
        self._durable = self._rows
        self._lost: list[bool] = []
        self._holding = 0
        self._held: list[Callable[[], None]] = []
        self._lock = RLock()

    def lose(self, *happened: bool) -> None:
        """Lose the answers of the next changes; those that are False do not even arrive."""
        self._lost += happened

    def hold(self, changes: int = 1) -> None:
        """Keep the next changes under way, without an answer; `deliver` lets them arrive."""
        self._holding += changes

    def deliver(self) -> None:
        """Let what is under way arrive, as if it had been sent now."""
        held, self._held = self._held, []
        for change in held:
            change()

    def fail_over(self) -> None:
        """Continue on a standby: what was not replicated never happened."""
        self._rows = self._durable
        self.down, self.replicates = False, True

    def catch_up(self) -> None:
        """Replicate everything."""
        self._durable, self.replicates = self._rows, True

    def look(self, name: str, read: Callable[[_Rows, int], Value]) -> Value:
        """Answer a question."""
        self._enter(name)
        with self._lock:
            return read(self._rows, self._clock())

    def change(self, name: str, make: Callable[[_Rows, int], tuple[_Rows, Value]]) -> Value:
        """Make a change; `make` raises where its condition does not hold."""
        self._enter(name)
        with self._lock:
            if self._holding:
                self._holding -= 1
                self._held.append(lambda: self._arrive(make))
                raise Unsettled(f"{name}: the answer was lost")
            happens = self._lost.pop(0) if self._lost else None
            if happens is False:
                raise Unsettled(f"{name}: the connection was lost")
            rows, value = make(self._rows, self._clock())
            self._store(rows)
            if happens is not None:
                raise Unsettled(f"{name}: the answer was lost")
            if self._rows is not self._durable:
                raise Unsettled(f"{name}: not replicated")
            return value

    def _enter(self, name: str) -> None:
        self.calls.append(name)
        self._entered(name)
        if self.down:
            raise Unsettled(f"{name}: the server does not answer")

    def _arrive(self, make: Callable[[_Rows, int], tuple[_Rows, object]]) -> None:
        try:
            rows, _ = make(self._rows, self._clock())
        except Fenced:
            return  # nobody waits for it
        self._store(rows)

    def _store(self, rows: _Rows) -> None:
        self._rows = rows
        if self.replicates:
            self._durable = rows


class MemoryShared:
    """One connection; see `retain.journal.shared.interface.Shared`.

    Args:
        server: What it reaches.
        is_cut: Returns whether the server does not answer this connection at the moment.

    """

    def __init__(self, server: MemoryServer, is_cut: Callable[[], bool] = lambda: False) -> None:
        self._server = server
        self._is_cut = is_cut
        self._interrupted = False
        server.connections.add(self)

    def create(self, identity: bytes, seq: int, root: bytes, segment: int) -> None:
        """Begin the log."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, None]:
            head = rows.head
            if head is None:
                begun = SharedHead(identity, seq, root, segment, bytes(16), _NOBODY, "", "", 0.0, seq, 0.0)
                return replace(rows, head=begun, until=now), None
            if (head.identity, head.seq, head.root) != (identity, seq, root):
                raise BadTarget(f"there is a shared log already, which ends with record {head.seq}")
            return rows, None

        self._change("create", make)

    def head(self) -> SharedHead:
        """Return where the log ends."""
        return self._look("head", _head)

    def take(self, name: str, url: str, holder: bytes, lease: float) -> SharedHead | None:
        """Begin a new term, if no other node has a lease."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, SharedHead | None]:
            head = _head(rows, now)
            if rows.until > now and (head.leader, head.url) != (name, url):
                return rows, None
            head = head._replace(term=Term(head.term.epoch + 1, holder), leader=name, url=url)
            return _leased(replace(rows, head=head), now, lease)

        return self._change("take", make)

    def append(
        self, frame: Committed, term: Term, expected: int, root: bytes, batch: bytes, lease: float
    ) -> None:
        """Commit a frame."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, None]:
            head = _held(rows, now, term)
            if head.seq != expected:
                raise Fenced(f"the shared log ends with record {head.seq}, not {expected}", seq=head.seq)
            head = head._replace(seq=frame.last, root=root, segment=frame.segment, batch=batch)
            rows = replace(rows, head=head, frames=(*rows.frames, (frame, now)))
            return _leased(rows, now, lease)[0], None

        self._change("append", make)

    def settle(self, holder: bytes, lease: float) -> SharedHead:
        """Begin a new epoch of the holder's own term."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, SharedHead]:
            head = _head(rows, now)
            if head.term.holder != holder:
                raise Fenced(f"node {head.leader} leads", seq=head.seq)
            head = head._replace(term=Term(head.term.epoch + 1, holder))
            return _leased(replace(rows, head=head), now, lease)

        return self._change("settle", make)

    def renew(self, term: Term, lease: float) -> None:
        """Renew the lease."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, None]:
            _held(rows, now, term)
            return _leased(rows, now, lease)[0] if lease > 0 else replace(rows, until=_RETURNED), None

        self._change("renew", make)

    def after(self, seq: int, until: int, term: Term, most: int = FETCH_BYTES) -> list[Committed]:
        """Return frames."""

        def read(rows: _Rows, now: int) -> list[Committed]:
            head = _held(rows, now, term)
            if until > head.seq:
                raise Unsettled(f"after: the server has records up to {head.seq}, not {until}")
            if seq < head.dropped:
                raise TooFarBehind(too_far_behind(seq, head.dropped), seq=seq)
            found: list[Committed] = []
            size = 0
            for frame, _ in rows.frames:
                if seq < frame.last <= until and (not found or size + len(frame.frame) <= most):
                    found.append(frame)
                    size += len(frame.frame)
                elif found:
                    break
            return found

        return self._look("after", read)

    def report(self, report: NodeReport) -> None:
        """Store a node's report."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, None]:
            return replace(rows, nodes={**rows.nodes, report.name: (report, now)}), None

        self._change("report", make)

    def nodes(self) -> list[NodeReport]:
        """Return each node's last report."""

        def read(rows: _Rows, now: int) -> list[NodeReport]:
            return [one._replace(age=(now - said) / _SECOND) for _, (one, said) in sorted(rows.nodes.items())]

        return self._look("nodes", read)

    def forget(self, name: str) -> bool:
        """Remove a node."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, bool]:
            nodes = {other: one for other, one in rows.nodes.items() if other != name}
            return replace(rows, nodes=nodes), name in rows.nodes

        return self._change("forget", make)

    def keep(
        self,
        files: Mapping[str, bytes | None],
        term: Term,
        before: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """Store small files."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, None]:
            _held(rows, now, term)
            if before is not None:
                for name in files:
                    if before[name] != rows.kept.get(name):
                        raise Fenced(changed_meanwhile(name))
            merged = {**rows.kept, **files}
            kept = {name: data for name, data in merged.items() if data is not None}
            return replace(rows, kept=kept), None

        self._change("keep", make)

    def kept(self) -> dict[str, bytes]:
        """Return these files."""
        return self._look("kept", lambda rows, _: dict(rows.kept))

    def drop(self, term: Term, copies: int, age: float) -> list[int]:
        """Remove the frames of ended segments."""

        def make(rows: _Rows, now: int) -> tuple[_Rows, list[int]]:
            head = _held(rows, now, term)
            dropped: list[int] = []
            for number in sorted({frame.segment for frame, _ in rows.frames if frame.segment < head.segment}):
                last, stored = max((one.last, at) for one, at in rows.frames if one.segment == number)
                durable = sum(one.durable >= last for one, _ in rows.nodes.values())
                if durable < copies or now - stored < age * _SECOND:
                    break
                dropped.append(number)
                head = head._replace(dropped=last)
            frames = tuple(one for one in rows.frames if one[0].segment not in dropped)
            return replace(rows, head=head, frames=frames), dropped

        return self._change("drop", make)

    def interrupt(self) -> None:
        """Have every later call raise `Unsettled`; none waits."""
        self._interrupted = True

    def close(self) -> None:
        """Close the connection."""
        self._server.connections.discard(self)

    def _look(self, name: str, read: Callable[[_Rows, int], Value]) -> Value:
        self._check(name)
        return self._server.look(name, read)

    def _change(self, name: str, make: Callable[[_Rows, int], tuple[_Rows, Value]]) -> Value:
        self._check(name)
        return self._server.change(name, make)

    def _check(self, name: str) -> None:
        if self._interrupted or self._is_cut():
            raise Unsettled(f"{name}: the server is not reached")


def _head(rows: _Rows, now: int) -> SharedHead:
    if rows.head is None:
        raise BadTarget("no shared log was begun here")
    remaining = -inf if rows.until == _RETURNED else (rows.until - now) / _SECOND
    return rows.head._replace(remaining=remaining, ends=rows.until / _SECOND)


def _held(rows: _Rows, now: int, term: Term) -> SharedHead:
    head = _head(rows, now)
    if head.term != term:
        raise Fenced(f"the shared log is in epoch {head.term.epoch}, not {term.epoch}", seq=head.seq)
    return head


def _leased(rows: _Rows, now: int, lease: float) -> tuple[_Rows, SharedHead]:
    rows = replace(rows, until=now + int(lease * _SECOND))
    return rows, _head(rows, now)
