"""The leader's role: commits frames, hands them to the followers, and answers once all have applied them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import trio

from retain.engine.core.command import Command
from retain.engine.core.errors import EngineError, Invalid, NodeNotReady, StorageFailed
from retain.engine.core.made import MADE, note
from retain.engine.core.time import HOUR, SECOND
from retain.engine.following.codec import BadMessage, Codec
from retain.engine.following.link import Link
from retain.engine.following.messages import KINDS, Decided
from retain.engine.nodes.leases import Grants
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
from retain.engine.nodes.options import NodeOptions, SteppedDown
from retain.engine.writing.threads import in_thread
from retain.journal import Fenced, Unsettled
from retain.journal.log import Committed
from retain.journal.shared.interface import Shared, Succession, Term
from retain.journal.shared.leadership import Leadership

LOG = logging.getLogger("retain.nodes")

WAITING_BYTES: Final = 64 << 20
"""Most bytes of frames that wait for a follower. With more, it is disconnected and reads the shared log."""
PARTING_S: Final = 0.3
"""Seconds between the end of a term and that of the process, in which clients still get their answers."""
WATCH_S: Final = 0.1
"""Seconds between two checks for a writer that has ended, and for grants that have."""
UPKEEP_S: Final = 60.0
"""Seconds between two checks for segments to end or to drop."""

Value = TypeVar("Value")


class Peer:
    """The leader's end of a link to a follower."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.name = ""
        self._waiting: deque[Any] = deque()
        self._bytes = 0
        self._more = trio.Event()

    def put(self, message: Any) -> None:
        """Send a message as soon as the ones before it have gone."""
        self._waiting.append(message)
        self._bytes += len(message.frame) if isinstance(message, SentFrame) else 0
        if self._bytes > WAITING_BYTES:
            self.link.close()
        self._more.set()

    def forget(self) -> None:
        """Drop what was not sent: the follower reads it from the shared log."""
        self._waiting.clear()

    async def run(self) -> None:
        """Send what is put, until cancelled."""
        while True:
            await self._more.wait()
            self._more = trio.Event()
            while self._waiting:
                message = self._waiting.popleft()
                self._bytes -= len(message.frame) if isinstance(message, SentFrame) else 0
                await self.link.tell(message)


class Leader:
    """One term of this node as the leader.

    Args:
        engine: Decides the commands.
        leadership: This node's lease and term of the shared log.
        node: Options.

    """

    role = "leader"

    def __init__(self, engine: Local, leadership: Leadership, node: NodeOptions) -> None:
        self.leadership = leadership
        self.files = 0
        self._engine = engine
        self._node = node
        self._grants = Grants(round(node.grant_seconds * SECOND), leadership.head.seq)
        self._sent = leadership.head.seq
        self._peers: set[Peer] = set()
        self._changed = trio.Event()
        self._announced = 0
        self._codec = Codec(KINDS)
        self._token = trio.lowlevel.current_trio_token()
        self._stopping = False
        self._ended = trio.Event()

    def assume_former_life(self) -> None:
        """Answer only after the grants that this node gave before its restart have ended."""
        self._grants.assume(self._engine.elapsed() + round(self._node.grant_seconds * SECOND))

    @property
    def term(self) -> Term:
        """Return the term."""
        return self.leadership.term

    # --- what requests need ------------------------------------------------------------------------------

    def answers(self) -> bool:
        """Return whether this node may answer now."""
        return self._engine.elapsed() < self.leadership.until

    def now(self) -> int:
        """Return the present."""
        return self._engine.horizon.now()

    async def submit(self, command: Command[Value]) -> Value:
        """Decide a command; return or refuse when every node that may answer has applied what was decided.

        Raises:
            NodeNotReady: This node no longer leads; nothing was changed.
            StorageFailed: Whether the command happened is unknown.
            EngineError: See `engine.writing.writer.Writer.submit`.

        """
        made: list[int] = []
        collecting = MADE.set(made)
        try:
            result = await self._engine.decide(command)
        except (StorageFailed, NodeNotReady):
            raise  # neither depends on the lease
        except EngineError:
            await self._confirm(made)
            raise
        finally:
            MADE.reset(collecting)
        note(made)
        await self._confirm(made)
        return result

    async def _confirm(self, made: Sequence[int]) -> None:
        """Return once every node that may answer has applied what a decision saw and recorded.

        What was recorded is committed, so it is true after this node's lease, too. What was only seen may be
        outdated then.
        """
        with trio.CancelScope(shield=True):
            await self.settle(self._engine.durable)
        if not made and not self.answers():
            raise NodeNotReady("this node no longer leads; nothing was changed, try again")

    async def do(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`; again if this node's lease lapsed meanwhile, because the machine or PostgreSQL is slow.

        Whatever ends this term ends `run`.
        """
        while True:
            try:
                return await work()
            except NodeNotReady:
                await trio.sleep(WATCH_S)

    async def settle(self, seq: int) -> None:
        """Return once every node that may answer has applied record `seq`."""
        await self._engine.wait_durable(seq)
        await self._until(lambda: self.settled() >= seq)

    def settled(self) -> int:
        """Return the last record that every node which may answer has applied; announce it if it is new."""
        settled = self._grants.settled(self._engine.elapsed(), self._engine.durable)
        if settled > self._announced:
            self._announced = settled
            self._wake()
            for peer in self._peers:
                peer.put(Settled(settled))
        return settled

    def durable(self, seq: int) -> None:
        """Note that the records up to `seq` are durable here."""
        self.settled()

    async def overwritten(self, seq: int) -> None:
        """Return once every node that may answer has overwritten what record `seq` erased."""
        await self._until(lambda: self._grants.overwritten(self._engine.elapsed(), seq))

    async def change_files(self) -> None:
        """Return once every node that may answer has loaded the small files as they are now."""
        await self._engine.load_files()
        self.files += 1
        version = self.files
        for peer in self._peers:
            peer.put(FilesChanged(version))
        await self._until(lambda: self._grants.loaded(self._engine.elapsed(), version))

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            now = self._engine.elapsed()
            end = self._grants.next_end(now)
            wait = 1.0 if end is None else (end - now) / SECOND + 0.001
            with trio.move_on_after(wait):
                await self._changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    # --- the shared log ----------------------------------------------------------------------------------

    def commit(self, frame: Committed, expected: int, root: bytes) -> None:
        """Commit a frame, and send it to the followers. Called in the writer's thread."""
        self.leadership.commit(frame, expected, root)
        self._token.run_sync_soon(self._send, frame)

    def _send(self, frame: Committed) -> None:
        self._sent = frame.last
        for peer in self._peers:
            peer.put(SentFrame(*frame))

    async def run(self) -> None:
        """Renew the lease and drop old segments of the shared log, until cancelled.

        Raises:
            SteppedDown: Another node leads, or the outcome of a change is unknown.

        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_lease)
            nursery.start_soon(self._watch)
            nursery.start_soon(self._look_after)

    async def _keep_lease(self) -> None:
        while True:
            try:
                await in_thread(self.leadership.renew)
            except Fenced as error:
                await trio.sleep(PARTING_S)
                raise SteppedDown(str(error)) from error
            except Unsettled as error:
                LOG.warning("the lease was not renewed", extra={"facts": {"why": str(error)}})
            with trio.move_on_after(self._node.lease_seconds / 5):
                await self._ended.wait()

    async def _watch(self) -> None:
        """End the process if writing has ended: only a restart can tell whether the last change happened."""
        while True:
            if self._engine.failure:
                await trio.sleep(PARTING_S)
                raise SteppedDown(self._engine.failure)
            self.settled()
            await trio.sleep(WATCH_S)

    async def _look_after(self) -> None:
        while True:
            await trio.sleep(UPKEEP_S)
            try:
                await self._engine.end_old_segment()
                await self._engine.with_shared(self._drop)
            except (EngineError, Unsettled, Fenced) as error:
                LOG.warning("old segments stay in the shared log", extra={"facts": {"why": str(error)}})

    def _drop(self, shared: Shared) -> list[int]:
        node = self._node
        return shared.drop(self.term, node.copies, node.keep_hours * HOUR / SECOND)

    # --- followers ---------------------------------------------------------------------------------------

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one follower until its connection ends."""
        peer = Peer(Link(stream, NodeCodec()))

        async def handle(message: Any) -> Any:
            return await self._handle(peer, message)

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.run)
                await peer.link.run(handle)
                nursery.cancel_scope.cancel()
        except BadMessage as error:
            LOG.warning("a node sent an unreadable message", extra={"facts": {"why": str(error)}})
        finally:
            self._peers.discard(peer)
            peer.forget()
            self._grants.leave(peer, self._engine.elapsed())

    async def _handle(self, peer: Peer, message: Any) -> Any:
        match message:
            case NodeHello():
                return self._welcome(peer, message)
            case GrantRequest():
                return self._grant(peer, message)
            case Applied():
                self._grants.report(peer, message.applied, message.files, message.overwritten)
                self._heard()
            case Forward():
                return await self._decide(message)
            case FilesChanged():
                await self.change_files()
                return True
            case Leave():
                self._grants.release(peer)
                self._heard()
                return True
            case Succeeded():
                return self._end(message)
        return None

    def _heard(self) -> None:
        self._wake()
        self.settled()

    def _welcome(self, peer: Peer, hello: NodeHello) -> NodeWelcome:
        if hello.identity != self.leadership.head.identity:
            raise Invalid("the node has another journal", reason="identity")
        peer.name = hello.name
        self._grants.join(peer, hello.seq)
        self._peers.add(peer)
        term = self.term
        forwards = hello.digest == self._codec.digest and hello.release == self._node.release
        head = self.leadership.head
        return NodeWelcome(
            term.epoch, term.holder, self._sent, self._node.release, forwards, head.seq, head.batch
        )

    def news(self) -> Succeeded:
        """Return what a former leader needs to know of this term."""
        head = self.leadership.head
        return Succeeded(head.identity, *head.term, head.seq, head.batch)

    def _end(self, told: Succeeded) -> bool:
        """End this term if another node's has begun; return whether it has."""
        if told.identity != self.leadership.head.identity:
            raise Invalid("the node has another journal", reason="identity")
        news = Succession(Term(told.epoch, told.holder), told.seq, told.batch)
        if not self.leadership.succeed(news):
            return False
        LOG.warning("another node leads", extra={"facts": {"epoch": told.epoch}})
        self._ended.set()
        return True

    def _grant(self, peer: Peer, request: GrantRequest) -> Granted:
        self._grants.report(peer, request.applied, request.files, request.overwritten)
        self._heard()
        now, length = self._engine.elapsed(), 0
        if not self._stopping:
            until = self.leadership.until
            length = self._grants.grant(peer, now, until, self._engine.durable, self.files)
        return Granted(length, self.settled(), self.now(), self.files, self._engine.horizon.vouched())

    async def _decide(self, message: Forward) -> ForwardResult:
        command = await in_thread(self._codec.unpack, message.command)
        made: list[int] = []
        MADE.set(made)
        try:
            result = await self._engine.submit(command)
            decided = Decided(self._engine.durable, result, None, tuple(made))
        except EngineError as refusal:
            decided = Decided(self._engine.durable, None, refusal)
        return ForwardResult(self._codec.pack(decided))

    async def leave(self) -> None:
        """Withdraw all grants, so that another node may lead at once."""
        self._stopping = True
        async with trio.open_nursery() as nursery:
            for peer in list(self._peers):
                nursery.start_soon(self._take_back, peer)
        now = self._engine.elapsed()
        while (end := self._grants.next_end(now)) is not None:
            await trio.sleep((end - now) / SECOND)
            now = self._engine.elapsed()

    async def _take_back(self, peer: Peer) -> None:
        with trio.move_on_after(self._node.grant_seconds):
            try:
                await peer.link.ask(Leave(), shielded=False)
            except EngineError:
                return  # its connection has ended; its grant ends by itself
            self._grants.release(peer)
