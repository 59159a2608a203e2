"""The follower's role: receives what the leader commits, answers reads under its grant, forwards commands."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Final, TypeVar, cast

import trio

from retain.engine.core.command import Command
from retain.engine.core.errors import EngineClosed, Invalid, NodeNotReady, StorageFailed
from retain.engine.core.made import note
from retain.engine.following.codec import Codec
from retain.engine.following.link import Link
from retain.engine.following.messages import KINDS, Decided
from retain.engine.nodes.leases import Permit
from retain.engine.nodes.local import Local
from retain.engine.nodes.messages import (
    Applied,
    FilesChanged,
    Forward,
    ForwardResult,
    Granted,
    GrantRequest,
    Leave,
    NodeCodec,
    NodeHello,
    NodeWelcome,
    SentFrame,
    Settled,
    Succeeded,
)
from retain.engine.nodes.options import NodeOptions
from retain.engine.writing.threads import in_thread
from retain.journal import Unsettled
from retain.journal.log import Committed
from retain.journal.shared.interface import Term

LOG = logging.getLogger("retain.nodes")

AHEAD: Final = 512
"""Most frames that wait to be applied; further ones wait in the connection."""
SKEWS: Final = 16
"""The number of the leader's last answers from which the present is estimated."""
AT_ONCE: Final = 64
"""Most frames applied at a time."""

SOON_S: Final = 0.05
"""Seconds between two requests for a grant while this node has none, at most."""
LOOKS: Final = 3
"""Looks, half a lease apart, that must find the lease ended before this node leaves its leader. A
leader that has just reached the shared log again renews its lease meanwhile."""

Value = TypeVar("Value")


class NodeFollower:
    """One connection of this node to the leader.

    Args:
        engine: The engine whose state and journal follow the leader.
        stream: The connection.
        node: The options of this node.

    """

    role = "follower"

    def __init__(self, engine: Local, stream: trio.abc.Stream, node: NodeOptions) -> None:
        self.term = Term(0, b"")
        self.release = ""
        self.files = -1
        self._engine = engine
        self._node = node
        self._link = Link(stream, NodeCodec())
        self._permit = Permit()
        self._codec = Codec(KINDS)
        self._forwards = False
        self._settled = 0
        self._skews: deque[int] = deque(maxlen=SKEWS)
        self._changed = trio.Event()
        self._push, self._frames = trio.open_memory_channel[Committed](AHEAD)

    # --- what requests need ------------------------------------------------------------------------------

    def answers(self) -> bool:
        """Return whether this node may answer now."""
        return self._permit.holds(self._engine.elapsed())

    def now(self) -> int:
        """Return the present as the leader judges it."""
        if not self._skews:
            return self._engine.horizon.now()
        return self._engine.elapsed() + max(self._skews)

    async def submit(self, command: Command[Value]) -> Value:
        """Have the leader decide a command; return or refuse when this node has applied what was decided.

        Raises:
            StorageFailed: The connection ended: whether the command happened is unknown.
            EngineError: See `engine.writing.writer.Writer.submit`.

        """
        if not isinstance(command, Command):
            raise Invalid(f"{type(command).__name__} is not a command", reason="command", field="")
        if not self._forwards:
            raise NodeNotReady(f"{self._mix()}: changes are made at the leader until all nodes run the same")
        packed = await in_thread(self._codec.pack, command)
        try:
            outcome = await self._link.ask(Forward(packed))
        except EngineClosed as error:
            raise NodeNotReady("the leader cannot be reached; nothing was changed, try again") from error
        except StorageFailed:
            self._engine.state.shared.disown()  # an event may already refer to what was staged for it
            raise
        assert isinstance(outcome, ForwardResult)
        decided = self._codec.unpack(outcome.decided)
        assert isinstance(decided, Decided)
        with trio.CancelScope(shield=True):
            await self._until_applied(decided.seq)
        if decided.refusal is not None:
            if isinstance(decided.refusal, StorageFailed):
                self._engine.state.shared.disown()
            raise decided.refusal
        note(decided.records)
        return cast("Value", decided.result)

    async def settle(self, seq: int) -> None:
        """Return once every node that may answer has applied record `seq`.

        Raises:
            NodeNotReady: The leader cannot be reached.

        """
        while self._settled < seq:
            self._check_linked()
            await self._changed.wait()

    async def change_files(self) -> None:
        """Return once every node that may answer has loaded the small files as they are now.

        Raises:
            StorageFailed, EngineClosed: The connection to the leader has ended.

        """
        await self._link.ask(FilesChanged())

    async def _until_applied(self, seq: int) -> None:
        while self._engine.durable < seq:
            if self._link.closed:
                raise StorageFailed("the change was made; this node lost the leader before it applied it")
            await self._changed.wait()

    def _mix(self) -> str:
        own = self._node.release or "unknown"
        if own == self.release:  # two commits of one release
            return f"this node and the leader run different builds of release {own}"
        return f"this node runs release {own} and the leader {self.release or 'unknown'}"

    def _check_linked(self) -> None:
        if self._link.closed:
            raise NodeNotReady("this node has lost the leader; try again")

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    # --- the connection ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until the connection ends.

        Raises:
            Corrupt: The leader's frames do not continue this folder's journal.
            Fenced: The leader no longer leads.
            TooFarBehind: The shared log no longer has the records that this node lacks.
            Unsettled: The shared log does not answer.
            EngineError: The leader refuses this node, or this node's storage has failed.

        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._talk, nursery.cancel_scope)
                news = await self._join()
                nursery.start_soon(self._engine.former_leaders.tell, news)
                nursery.start_soon(self._apply)
                nursery.start_soon(self._renew)
                nursery.start_soon(self._watch)
        finally:
            self._wake()

    async def _talk(self, everything: trio.CancelScope) -> None:
        try:
            await self._link.run(self._told)
        finally:
            self._wake()
            everything.cancel()

    async def _join(self) -> Succeeded:
        """Join the leader, and receive what is missing here; return what a former leader needs to know."""
        engine = self._engine
        welcome = await self._link.ask(
            NodeHello(
                engine.identity, self._node.name, self._node.release, self._codec.digest, engine.state.seq
            ),
            shielded=False,
        )
        assert isinstance(welcome, NodeWelcome)
        self.term, self.release = Term(welcome.epoch, welcome.holder), welcome.release
        await engine.fetch(welcome.sent, self.term)
        self._forwards = welcome.forwards
        if not welcome.forwards:
            LOG.warning("changes are not forwarded", extra={"facts": {"leader": welcome.release}})
        return Succeeded(engine.identity, *self.term, welcome.before, welcome.batch)

    async def _told(self, message: Any) -> Any:
        match message:
            case SentFrame():
                await self._push.send(Committed(message.segment, message.offset, message.last, message.frame))
            case Settled():
                self._settled = max(self._settled, message.seq)
                self._wake()
            case FilesChanged():
                await self._load_files(message.version)
            case Leave():
                self._permit.end()
                return True
        return None

    async def _apply(self) -> None:
        async for frame in self._frames:
            frames = [frame]
            while len(frames) < AT_ONCE:
                try:
                    frames.append(self._frames.receive_nowait())
                except trio.WouldBlock:
                    break
            await self._engine.receive([one for one in frames if one.last > self._engine.state.seq])
            await self._tell()
            self._wake()

    async def _renew(self) -> None:
        """Request grants at intervals; leave a leader that does not answer for a lease."""
        while True:
            with trio.move_on_after(self._node.lease_seconds) as waiting:
                await self._ask()
            if waiting.cancelled_caught:
                self._link.close()
            wait = self._node.grant_seconds / 5
            await trio.sleep(wait if self.answers() else min(wait, SOON_S))

    async def _watch(self) -> None:
        """Leave a leader that cannot renew its lease, as if it alone were cut off from the shared log.

        While this node does not reach the shared log either, it stays: what it sent may yet be answered.
        """
        ended = 0
        while True:
            await trio.sleep(self._node.lease_seconds / 2)
            ended = 0 if self.answers() or await self._leads() else ended + 1
            if ended >= LOOKS:
                LOG.warning("the leader has lost its lease", extra={"facts": {"epoch": self.term.epoch}})
                self._link.close()

    async def _leads(self) -> bool:
        """Return whether the leader has its lease; yes if the shared log does not answer."""
        try:
            head = await self._engine.shared_head()
        except Unsettled:
            return True
        return head.remaining > 0 and head.term.holder == self.term.holder

    async def _ask(self) -> None:
        engine = self._engine
        asked = engine.elapsed()
        request = GrantRequest(engine.durable, self.files, engine.overwritten)
        answer = await self._link.ask(request, shielded=False)
        assert isinstance(answer, Granted)
        self._settled = max(self._settled, answer.settled)
        # Each answer spent some time on its way, so the largest of the last ones is the most accurate.
        self._skews.append(answer.present - engine.elapsed())
        if answer.vouched:
            engine.present.heard(answer.vouched)
        if answer.files != self.files:
            await self._load_files(answer.files)
        self._permit.granted(asked, answer.length)
        self._wake()

    async def _load_files(self, version: int) -> None:
        await self._engine.load_files()
        self.files = max(self.files, version)
        await self._tell()

    async def _tell(self) -> None:
        await self._link.tell(Applied(self._engine.durable, self.files, self._engine.overwritten))

    async def leave(self) -> None:
        """Return the grant."""
        self._permit.end()
        with trio.move_on_after(self._node.grant_seconds):
            try:
                await self._link.ask(Leave(), shielded=False)
            except (EngineClosed, StorageFailed):
                return
