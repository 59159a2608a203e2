"""HTTP/2 for one connection: Hypercorn's protocol with fixes.

What differs from Hypercorn 0.18, and why:

- a response waits in memory only as far as `OUTFLOW_BYTES`: Hypercorn's own buffer lets the producer continue
whenever anything was taken from it, so that a client with a closed window had whole files put into memory;
- a client that reads nothing of a response for the write timeout loses that stream, as over HTTP/1.1 its
connection;
- sending to a stream that has ended lets other tasks run: Hypercorn returns at once, so that sending a
    response from memory to a dead stream loops for ever and blocks the process;
- a stream given up while it waits to be sent ends alone: Hypercorn's sender may fail, and with it the rest;
- CONNECT is refused; streams that a client resets, or makes the server reset, are rate-limited
    (CVE-2023-44487, CVE-2025-8671), and so are frames that cause work and carry nothing (CVE-2019-9512,
    -9513, -9515, -9518);
- a request's task ends with its stream, and counts for its connection and its address until it has ended;
- a response that breaks off resets its stream, where Hypercorn leaves the client waiting;
- when the server stops, the first request of a new connection is still answered (few clients repeat it by
    themselves), later streams are refused and may be sent again elsewhere, and GOAWAY ends each connection
    once its responses are sent: Hypercorn resets later streams without an error, sends GOAWAY before the last
    END_STREAM, which then is never sent, and none to idle connections;
- windows are reopened only when the application reads the body, so that unread bytes of all streams of a
    connection are bounded by the connection's window, 64 KiB; and no number of tiny frames makes the reader
    of the connection wait for a request (`api.server.intake`);
- frames are handled in slices, because hundreds of small ones arrive at once, and so are the streams of a
    connection that has ended; the connections take turns for these slices (`api.server.turns`);
- data for an answered stream is discarded; priorities are ignored (RFC 9113 section 5.3.2 deprecates them),
    so streams are sent in turns without Hypercorn's tree of priorities, which takes all blocked streams out
    of a heap and puts them back each time (`api.server.outflow`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import trio
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as WireEvent
from hypercorn.protocol.events import Body, Event, StreamClosed
from hypercorn.protocol.events import Request as StreamRequest
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.utils import filter_pseudo_headers
from priority.priority import DeadlockError

from retain.api.http.bounds import Bounds, Rate
from retain.api.server.frames import Slices
from retain.api.server.intake import Intake, Reading
from retain.api.server.outflow import OUTFLOW_BYTES, Outflow, StreamTurns
from retain.api.server.stream import GuardedStream

LOG = logging.getLogger("retain.http")

RESETS = 200
"""Streams of a connection that may be reset in ten seconds, by the client or by the server because of what it
sent. All connections of an address share a further budget (`api.http.bounds`).
"""
IN_HAND = 120
"""Requests of one connection whose tasks have not ended, whether their streams are open or not."""
EMPTY_FRAMES = 10_000
"""Frames without content (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown ones) in that time, in
addition to two WINDOW_UPDATEs for each DATA frame sent.
"""
UPDATES_PER_FRAME = 2

FIRST_REQUEST_S = 1.0
"""Seconds for the first request of a connection that was accepted before the server stops: it is answered."""

CLOSED_AT_ONCE = 8
"""Streams of a connection that has ended which are closed in one turn (`api.server.turns`)."""


class Http2(H2Protocol):
    """HTTP/2 on one connection."""

    stream_buffers: dict[int, Outflow]  # type: ignore[assignment]
    priority: StreamTurns  # type: ignore[assignment]

    def __init__(self, *arguments: Any, write_timeout: float, guard: GuardedStream, bounds: Bounds) -> None:
        super().__init__(*arguments)
        self.priority = StreamTurns()
        self._guard = guard
        self._slices = Slices()
        self._bounds = bounds
        self._place = guard.place
        self._in_hand = 0
        self._tasks: dict[int, trio.CancelScope] = {}
        self._intakes: set[int] = set()
        self.connection.local_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] = 0
        self._write_timeout = write_timeout
        self._resets = Rate(RESETS)
        self._empty = Rate(EMPTY_FRAMES)
        self._retiring = False
        self._has_begun = False
        guard.retire = self.retire

    async def retire(self) -> None:
        """Accept no further streams, and end the connection once none is in hand. May be called again."""
        self._retiring = True
        await self.has_data.set()

    def _may_retire(self) -> bool:
        if not self._retiring or self.streams or self.stream_buffers or self._guard.has_unread():
            return False
        return self._has_begun or trio.current_time() - self._guard.since > FIRST_REQUEST_S

    async def handle(self, event: WireEvent) -> None:
        """Handle an event as Hypercorn does, in slices."""
        if not isinstance(event, RawData):
            await self._close_all()
            return
        for piece in self._slices.cut(event.data):
            await self._guard.take_turn()
            if self.closed:
                return
            await super().handle(RawData(data=piece))

    async def _close_all(self) -> None:
        """Close all streams: the connection has ended.

        If this task is cancelled meanwhile, because the request is its own, the reader of the connection
        closes the rest.
        """
        self.closed = True
        for number, stream_id in enumerate(list(self.streams)):
            if number and number % CLOSED_AT_ONCE == 0:
                await self._guard.take_turn()
            await self._close_stream(stream_id)
        await self.has_data.set()

    async def send_task(self) -> None:
        """Send what waits, as Hypercorn does, and the windows that were reopened."""
        while not self.closed:
            await self._flush()
            try:
                stream_id = next(self.priority)
            except DeadlockError:
                if self._may_retire():
                    # Not earlier: clients that use h2 take what follows GOAWAY for an error.
                    self.connection.close_connection()
                    await self._flush()
                    await self.send(Closed())
                    return
                await self.has_data.wait()
                await self.has_data.clear()
            else:
                await self._send_data(stream_id)

    async def stream_send(self, event: Event) -> None:
        """Send as Hypercorn does, in pieces; give up on peers that read nothing."""
        try:
            if isinstance(event, Body):
                for start in range(0, len(event.data), OUTFLOW_BYTES):
                    piece = event.data[start : start + OUTFLOW_BYTES]
                    await super().stream_send(Body(stream_id=event.stream_id, data=piece))
                await trio.lowlevel.checkpoint()
            elif isinstance(event, StreamClosed):
                if self._is_unfinished(event.stream_id):
                    await self._give_up(event.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
                await self._close_stream(event.stream_id)
                await self.send(Updated(idle=not self.streams))
            else:
                await super().stream_send(event)
        except trio.TooSlowError:
            await self._give_up(event.stream_id, h2.errors.ErrorCodes.CANCEL)
            await self._close_stream(event.stream_id)

    async def _handle_events(self, events: Sequence[h2.events.Event]) -> None:
        for event in events:
            if self._is_too_much(event):
                self.connection.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
                await self._flush()
                await self.send(Closed())
                return
            if isinstance(event, h2.events.RequestReceived) and not _is_plain_request(event):
                self._reset(event.stream_id, h2.errors.ErrorCodes.PROTOCOL_ERROR)
            elif isinstance(event, h2.events.RequestReceived):
                await self._begin(event)
            elif isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams:
                self._acknowledge(event.stream_id, event.flow_controlled_length)
                self._reset(event.stream_id, h2.errors.ErrorCodes.NO_ERROR)
            elif isinstance(event, h2.events.DataReceived):
                await self._queue(event)
            else:
                await super()._handle_events([event])
        await self._flush()

    async def _begin(self, event: h2.events.RequestReceived) -> None:
        if self._has_begun and self.context.terminated.is_set():
            self._reset(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        self._has_begun = True
        await self._create_stream(event)
        await self.send(Updated(idle=not self.streams))

    async def _queue(self, event: h2.events.DataReceived) -> None:
        """Pass a piece of a body on; its window is reopened once the application has read it."""
        stream_id, size = event.stream_id, len(event.data)
        self._acknowledge(stream_id, event.flow_controlled_length - size)  # the padding
        if stream_id in self._intakes:
            await self.streams[stream_id].handle(Body(stream_id=stream_id, data=event.data))
        else:  # its task has ended, its answer is on its way
            self._acknowledge(stream_id, size)

    def _acknowledge(self, stream_id: int, size: int) -> None:
        try:
            self.connection.acknowledge_received_data(size, stream_id)
        except h2.exceptions.ProtocolError:
            LOG.debug("the connection has ended")

    async def _taken(self, stream_id: int, size: int) -> None:
        """Reopen the window by what was read. The sender tells the client: nothing waits here."""
        self._acknowledge(stream_id, size)
        await self.has_data.set()

    def _is_too_much(self, event: h2.events.Event) -> bool:
        if isinstance(event, h2.events.StreamReset):
            return self._gives_up_too_much()
        if isinstance(event, h2.events.RequestReceived):
            return not _is_plain_request(event) and self._gives_up_too_much()
        if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
            return False
        if isinstance(event, h2.events.StreamEnded | h2.events.TrailersReceived):
            return False
        return self._empty.exceeded()

    def _gives_up_too_much(self) -> bool:
        own, all_of_address = self._resets.exceeded(), self._bounds.resets_too_much(self._place)
        return own or all_of_address

    async def _send_data(self, stream_id: int) -> None:
        outflow = self.stream_buffers[stream_id]
        try:
            window = self.connection.local_flow_control_window(stream_id)
            data = await outflow.pop(max(0, min(window, self.connection.max_outbound_frame_size)))
            self._note_progress(outflow, moved=bool(data))
            if data:
                self.connection.send_data(stream_id, data)
                await self._flush()
                self._empty.allow(UPDATES_PER_FRAME)
            else:
                self.priority.block(stream_id)
            if not outflow.complete:
                return
            self.connection.end_stream(stream_id)
            await self._flush()
        except h2.exceptions.ProtocolError:
            await outflow.close()
        del self.stream_buffers[stream_id]
        self.priority.remove_stream(stream_id)

    def _note_progress(self, outflow: Outflow, *, moved: bool) -> None:
        """Note the time since which nothing is sent although bytes wait: the peer reads nothing."""
        if moved:
            self._guard.unread_since = math.inf
        elif outflow.waits and self._guard.unread_since == math.inf:
            self._guard.unread_since = trio.current_time()

    async def _close_stream(self, stream_id: int) -> None:
        """Close the stream as Hypercorn does, and end the request's task: no one waits for its response."""
        stream = self.streams.pop(stream_id, None)
        if stream is None:
            return
        task = self._tasks.pop(stream_id, None)
        if not any(outflow.waits for number, outflow in self.stream_buffers.items() if number != stream_id):
            self._guard.unread_since = math.inf
        await stream.handle(StreamClosed(stream_id=stream_id))
        await self.has_data.set()
        if task is not None:
            task.cancel()

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        """Create a stream as Hypercorn does, but without WebSockets and buffer.

        None is created where too many are open.
        """
        stream_id = request.stream_id
        assert stream_id is not None
        if self._in_hand >= IN_HAND or not self._bounds.enter_stream(self._place):
            self._reset(stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        headers = request.headers
        pseudo = dict(headers)
        task = self._tasks[stream_id] = trio.CancelScope()
        self._in_hand += 1
        intake = Intake(partial(self._taken, stream_id))
        self._intakes.add(stream_id)
        stream = self.streams[stream_id] = HTTPStream(
            _EndsWithStream(Reading(self.app, intake), task, partial(self._left, stream_id)),
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            stream_id,
        )
        self.stream_buffers[stream_id] = Outflow(self._write_timeout)
        self.priority.insert_stream(stream_id)
        self.priority.block(stream_id)
        await stream.handle(
            StreamRequest(
                stream_id=stream_id,
                headers=filter_pseudo_headers(headers),
                http_version="2",
                method=pseudo[b":method"].decode("ascii").upper(),
                raw_path=pseudo[b":path"],
                state=self.connection_state,
            )
        )
        stream.app_put = intake.put

    def _left(self, stream_id: int) -> None:
        self._in_hand -= 1
        self._intakes.remove(stream_id)
        self._bounds.leave_stream(self._place)

    async def _priority_updated(self, event: h2.events.PriorityUpdated) -> None:
        """Ignore it: a priority tree that clients shape would need limits of its own."""

    def _is_unfinished(self, stream_id: int) -> bool:
        outflow = self.stream_buffers.get(stream_id)
        return outflow is not None and not outflow.ended

    async def _give_up(self, stream_id: int, code: h2.errors.ErrorCodes) -> None:
        """Reset the stream; the sender then discards what waited."""
        self._reset(stream_id, code)
        await self._flush()
        await self._window_updated(stream_id)

    def _reset(self, stream_id: int, code: h2.errors.ErrorCodes) -> None:
        try:
            self.connection.reset_stream(stream_id, code)
        except h2.exceptions.ProtocolError:
            LOG.debug("a stream to be reset was closed already")


class _EndsWithStream:
    """The application for one request: its task ends when `task` is cancelled, and `left` is called then."""

    def __init__(self, app: Reading, task: trio.CancelScope, left: Callable[[], None]) -> None:
        self._app = app
        self._task = task
        self._left = left

    async def __call__(self, scope: Any, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:
        try:
            with self._task:
                await self._app(scope, receive, send, sync_spawn, call_soon)
        finally:
            self._left()


def _is_plain_request(event: h2.events.RequestReceived) -> bool:
    headers = dict(event.headers)
    path = headers.get(b":path", b"")
    return (
        bool(path)
        and path.isascii()
        and headers.get(b":method", b"").isalpha()
        and headers[b":method"] != b"CONNECT"
    )
