"""HTTP/2 for one connection: Hypercorn's protocol with its weak spots closed.

What differs from Hypercorn 0.18, and why:

- an answer waits in memory only as far as `OUTFLOW_BYTES`: Hypercorn's own buffer lets the producer go on
  whenever anything was asked of it, so that a client with a closed window had whole files put into memory;
- a client that takes nothing of an answer for the write timeout loses that stream, as over HTTP/1.1 its
  connection;
- sending to a stream that is gone lets other tasks run: Hypercorn returns at once, so that an answer made in
  memory is sent to nobody for ever, and nothing else happens in the process;
- a stream given up while it waits to be sent ends alone: Hypercorn's sender may fail, and with it the rest;
- CONNECT is refused; what a client gives up or makes us give up is rated (CVE-2023-44487, CVE-2025-8671), so
  are frames that ask for work and carry nothing (CVE-2019-9512, -9513, -9515, -9518);
- an answer that breaks off resets its stream, where Hypercorn leaves the client waiting;
- data for an answered stream is thrown away; priorities are ignored (RFC 9113 section 5.3.2 deprecates them).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import trio
from hypercorn.events import Closed
from hypercorn.protocol.events import Body, Event, StreamClosed
from hypercorn.protocol.events import Request as StreamRequest
from hypercorn.protocol.h2 import BufferCompleteError, H2Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.utils import filter_pseudo_headers

LOG = logging.getLogger("retain.http")

#: Seconds over which what a client does too often is counted.
RATE_WINDOW_S = 10.0
#: Streams that may be given up in that time: reset by the client, or by us for what it sent.
RESETS = 200
#: Frames without content (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown ones) in that time,
#: beside the two WINDOW_UPDATEs that each of our DATA frames may be answered with.
EMPTY_FRAMES = 10_000
UPDATES_PER_FRAME = 2

#: Bytes of one answer that may wait for the client's window.
OUTFLOW_BYTES = 65536


class Rate:
    """Counts up to `limit` in each `RATE_WINDOW_S` seconds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._since = trio.current_time()

    def exceeded(self) -> bool:
        """Count one; whether that is one too many."""
        now = trio.current_time()
        if now - self._since > RATE_WINDOW_S:
            self._count, self._since = 0, now
        self._count += 1
        return self._count > self._limit

    def allow(self, more: int) -> None:
        """Take back what there was a reason for."""
        self._count = max(0, self._count - more)


class Outflow:
    """The bytes of one answer that wait for the client's window; in the place of Hypercorn's `StreamBuffer`.

    Raises trio.TooSlowError where the client takes nothing for `patience` seconds.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._waiting = bytearray()
        self._ended = False
        self._moved = trio.Event()

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self._ended

    @property
    def complete(self) -> bool:
        """Nothing waits, nothing will come."""
        return self._ended and not self._waiting

    def set_complete(self) -> None:
        """Nothing more will come."""
        self._ended = True

    async def push(self, data: bytes) -> None:
        """Add `data`; returns when there is room for more. Raises BufferCompleteError after the end."""
        if self._ended:
            raise BufferCompleteError
        self._waiting += data
        await self._until(lambda: len(self._waiting) < OUTFLOW_BYTES)

    async def drain(self) -> None:
        """Returns when all is on its way."""
        await self._until(lambda: not self._waiting)

    async def pop(self, at_most: int) -> bytes:
        """The next bytes."""
        data = bytes(self._waiting[:at_most])
        del self._waiting[:at_most]
        if data:
            self._move()
        return data

    async def close(self) -> None:
        """Nobody wants it any more."""
        self._ended = True
        self._waiting.clear()
        self._move()

    def _move(self) -> None:
        moved, self._moved = self._moved, trio.Event()
        moved.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            moved = self._moved
            with trio.fail_after(self._patience):
                await moved.wait()


class Http2(H2Protocol):
    """HTTP/2 on one connection."""

    stream_buffers: dict[int, Outflow]  # type: ignore[assignment]

    def __init__(self, *arguments: Any, write_timeout: float) -> None:
        super().__init__(*arguments)
        self.connection.local_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] = 0
        self._write_timeout = write_timeout
        self._resets = Rate(RESETS)
        self._empty = Rate(EMPTY_FRAMES)

    async def stream_send(self, event: Event) -> None:
        """As Hypercorn's, in pieces, and giving up on who takes nothing."""
        try:
            if isinstance(event, Body):
                for start in range(0, len(event.data), OUTFLOW_BYTES):
                    piece = event.data[start : start + OUTFLOW_BYTES]
                    await super().stream_send(Body(stream_id=event.stream_id, data=piece))
                await trio.lowlevel.checkpoint()
            else:
                if isinstance(event, StreamClosed) and self._is_unfinished(event.stream_id):
                    await self._give_up(event.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
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
            elif isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams:
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self._reset(event.stream_id, h2.errors.ErrorCodes.NO_ERROR)
            else:
                await super()._handle_events([event])
        await self._flush()

    def _is_too_much(self, event: h2.events.Event) -> bool:
        if isinstance(event, h2.events.StreamReset):
            return self._resets.exceeded()
        if isinstance(event, h2.events.RequestReceived):
            return not _is_plain_request(event) and self._resets.exceeded()
        if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
            return False
        if isinstance(event, h2.events.StreamEnded | h2.events.TrailersReceived):
            return False
        return self._empty.exceeded()

    async def _send_data(self, stream_id: int) -> None:
        outflow = self.stream_buffers[stream_id]
        try:
            window = self.connection.local_flow_control_window(stream_id)
            data = await outflow.pop(max(0, min(window, self.connection.max_outbound_frame_size)))
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

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        """As Hypercorn's, without its WebSockets and its buffer."""
        stream_id = request.stream_id
        assert stream_id is not None
        headers = request.headers
        pseudo = dict(headers)
        stream = self.streams[stream_id] = HTTPStream(
            self.app,
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

    async def _priority_updated(self, event: h2.events.PriorityUpdated) -> None:
        """Nothing: a tree that clients may shape has its own limits and loops to guard."""

    def _is_unfinished(self, stream_id: int) -> bool:
        outflow = self.stream_buffers.get(stream_id)
        return outflow is not None and not outflow.ended

    async def _give_up(self, stream_id: int, code: h2.errors.ErrorCodes) -> None:
        """Reset the stream; the sender meets it, and forgets what waited."""
        self._reset(stream_id, code)
        await self._flush()
        await self._window_updated(stream_id)

    def _reset(self, stream_id: int, code: h2.errors.ErrorCodes) -> None:
        try:
            self.connection.reset_stream(stream_id, code)
        except h2.exceptions.ProtocolError:
            LOG.debug("a stream to be reset was closed already")


def _is_plain_request(event: h2.events.RequestReceived) -> bool:
    headers = dict(event.headers)
    path = headers.get(b":path", b"")
    return (
        bool(path)
        and path.isascii()
        and headers.get(b":method", b"").isalpha()
        and headers[b":method"] != b"CONNECT"
    )
