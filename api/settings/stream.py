"""A stream of changes as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

import trio

from retain.api.identity import IdentityError, Unauthenticated
from retain.api.settings.watch import Watch
from retain.engine import EngineError, Forbidden, NotFound
from retain.engine.settings.queries import ReadResult

HEARTBEAT_S = 20.0
"""Proxies close connections that are silent for longer; a comment line keeps them open."""

LIFETIME_S = 3600.0
"""After this a stream ends, so that credentials are shown again; the client reconnects with Last-Event-ID by
itself."""

RETRY = b"retry: 2000\n\n"
_BEAT = b":\n\n"


class ChangeStream:
    """The body of the response.

    Holds its watch from the first byte on, and releases it when it ends or is closed.
    """

    def __init__(
        self,
        watching: AbstractContextManager[Watch],
        find: Callable[[], Awaitable[ReadResult]],
        text: Callable[[Any], Awaitable[bytes]],
        known: str,
        lifetime_s: float,
    ) -> None:
        self._lifetime_s = min(LIFETIME_S, lifetime_s)
        self._watching = watching
        self._watch = watching.__enter__()
        self._find = find
        self._text = text
        self._known = known
        self._first = True
        self._ends: float | None = None
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._ends is None:
            self._ends = trio.current_time() + self._lifetime_s
            return RETRY
        if self._closed or trio.current_time() >= self._ends:
            raise StopAsyncIteration
        if not self._first:
            with trio.move_on_after(min(HEARTBEAT_S, self._ends - trio.current_time())) as silence:
                await self._watch.wait()
            if silence.cancelled_caught:
                return await self._beat()
        self._first = False
        self._watch.arm()
        return await self._event()

    async def _event(self) -> bytes:
        """Return the present value as an event; a beat if nothing is new.

        Losing the value, or the right to it, is sent as an event, and ends the stream.
        """
        try:
            found = await self._find()
        except NotFound:
            if self._known == "0":
                return _BEAT
            self._known = "0"
            return _event("gone", "0", b"null")
        except (EngineError, IdentityError) as refusal:
            self._ends = 0.0
            kind = "forbidden" if isinstance(refusal, Forbidden | Unauthenticated) else "end"
            return _event(kind, "0", b"null")
        if found.tag == self._known:
            return _BEAT
        self._known = found.tag
        return _event("value", found.tag, await self._text(found.value))

    async def _beat(self) -> bytes:
        """Keep the connection open, unless access was withdrawn or the credential has expired."""
        if self._ends is not None and trio.current_time() >= self._ends:
            return _BEAT
        return await self._event()

    async def aclose(self) -> None:
        """Release the watch."""
        if not self._closed:
            self._closed = True
            self._watching.__exit__(None, None, None)


def change_stream(
    watching: AbstractContextManager[Watch],
    find: Callable[[], Awaitable[ReadResult]],
    text: Callable[[Any], Awaitable[bytes]],
    *,
    known: str,
    lifetime_s: float = math.inf,
) -> ChangeStream:
    """Return a stream that begins with the present value, unless its tag is `known` to the client already.

    Args:
        watching: Wakes the stream.
        find: Finds the present value, after a new check of the caller.
        text: Writes a value as JSON.
        known: The tag that the client has.
        lifetime_s: Seconds until the caller's credential ends.

    """
    return ChangeStream(watching, find, text, known, lifetime_s)


def _event(kind: str, tag: str, text: bytes) -> bytes:
    """Return one event. Compact JSON has no line breaks, so one data line holds it."""
    return b"event: %s\nid: %s\ndata: %s\n\n" % (kind.encode(), tag.encode(), text)
