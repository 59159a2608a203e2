"""Incoming and outgoing bodies: streamed, never in memory as a whole."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self

import msgpack
import trio

from retain import journal
from retain.engine.core.body import Body, Inline, OnDisk, StoredBody
from retain.engine.core.domain import SharedState
from retain.engine.core.errors import Exhausted, NotFound, StorageFailed, StorageFull
from retain.engine.core.shortages import DESCRIPTORS, DISK, Shortages
from retain.engine.writing.threads import HANDS, BackgroundTask, in_thread

_LOG = logging.getLogger("retain.engine")

CHUNK = 1 << 20
"""Bytes handed to a worker thread, or to the client, at a time."""

SMALL_CHUNK = 64 * 1024
"""Bytes handed to the client at a time by a download that may not hold whole chunks."""
SMALL = 4096
"""Smaller pieces of an upload are joined: stored one by one, they would take many times their size."""
CHUNK_DOWNLOADS = 12
"""Downloads that may hold whole chunks at once, up to three each.

Memory is bounded however many slow clients there are, and over HTTP/2 one connection can be a hundred; the
other downloads decrypt the same chunk again for each crumb of it.
"""
SLOW_S = 1.0
"""A client that takes longer for a chunk, in seconds, loses its place to another for a mebibyte or more."""


UPLOADS = 256
"""Bodies being written to files at once, each with a descriptor of its own. Further ones wait unread."""
BODY_FILES = journal.PAYLOAD_HANDLES + UPLOADS
"""Most descriptors that bodies use, those of readers included."""
TURN_S = 30.0
"""How long an upload waits for a descriptor, in seconds, before it is refused."""


class BodyLimits:
    """Limits that all bodies share: places for downloads that hold whole chunks, threads, and descriptors.

    Attributes:
        lost: Payload files that were found missing or damaged.
        damaged: Those of them that open, but hold wrong bytes.

    Args:
        shortages: Counts shortages.
        places: Downloads that may hold whole chunks.
        uploads: Bodies being written to files at once.

    """

    def __init__(self, shortages: Shortages, places: int = CHUNK_DOWNLOADS, uploads: int = UPLOADS) -> None:
        self._free = places
        self.shortages = shortages
        self.lost: set[str] = set()
        self.damaged: set[str] = set()
        self.hands = trio.Semaphore(HANDS)
        self.uploads = trio.Semaphore(uploads)

    def note_lost(self, found: set[str], *, read: bool) -> None:
        """Replace the lost files by the result of a search, which `read` the files or only their lengths."""
        self.damaged &= found if read else self.damaged
        self.lost = found | self.damaged

    def behind(self) -> BackgroundTask:
        """Return a background task for a body."""
        return BackgroundTask(self.hands, self.shortages)

    def enter(self) -> bool:
        """Take a place if one is free; return whether it was."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def leave(self) -> None:
        """Return a place."""
        self._free += 1


class Upload:
    """One body being received.

    Use as `async with engine.upload() as upload`. On leaving, a payload file that no durable event refers to
    is removed, so a refused or broken request leaves no file.

    While one mebibyte is summed, encrypted and written in a thread, the next is received: at most three of
    them are in memory.
    """

    def __init__(
        self,
        payloads: journal.PayloadStore,
        shared: SharedState,
        inline_bytes: int,
        limits: BodyLimits,
        *,
        md5: bool = True,
    ) -> None:
        self._limits = limits
        self._payloads = payloads
        self._shared = shared
        self._inline_bytes = inline_bytes
        self._buffer: list[bytes | bytearray] = []
        self._buffered = 0
        self._behind = limits.behind()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._summing = limits.behind()
        self._staged = False
        self._has_descriptor = False
        self._stage: journal.Stage | None = None
        self._sealed: journal.Payload | None = None
        self.size = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._leave()
        finally:
            self._give_descriptor_back()

    async def _leave(self) -> None:
        await self._summing.settle()
        await self._behind.settle()
        if self._sealed is not None:
            if self._shared.withdraw(self._sealed.name):
                await self._shielded_unlink(self._sealed.name)
        elif self._stage is not None:
            with trio.CancelScope(shield=True):
                await self._in_thread(self._stage.discard)

    async def _shielded_unlink(self, name: str) -> None:
        with trio.CancelScope(shield=True):
            await self._in_thread(self._payloads.unlink, name)

    async def _in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await in_thread(work, *args, shortages=self._limits.shortages)

    async def write(self, chunk: bytes) -> None:
        """Add the next bytes.

        Raises:
            StorageFull: No space for the payload file.
            StorageFailed: It could not be written.
            Exhausted: No descriptor for it, or too many bodies are being written.

        """
        last = self._buffer[-1] if self._buffer else None
        if len(chunk) < SMALL and isinstance(last, bytearray) and len(last) < SMALL_CHUNK:
            last += chunk
        else:
            self._buffer.append(bytearray(chunk) if len(chunk) < SMALL else chunk)
        self._buffered += len(chunk)
        self.size += len(chunk)
        if self._buffered >= CHUNK:
            await self._flush()

    async def _flush(self) -> None:
        pieces, self._buffer, self._buffered = self._buffer, [], 0
        await self._written()
        if not self._has_descriptor:
            await self._wait_for_descriptor()
        self._staged = True
        await self._behind.start(lambda: self._write(pieces))
        if (digest := self._md5) is not None:
            # Beside SHA-256 and encryption: MD5 takes as long as both together.
            await self._summing.start(lambda: _sum(digest, pieces))

    async def _wait_for_descriptor(self) -> None:
        with trio.move_on_after(TURN_S) as waiting:
            await self._limits.uploads.acquire()
            self._has_descriptor = True
        if waiting.cancelled_caught:
            self._limits.shortages.note(DESCRIPTORS, trio.current_time())
            raise Exhausted("too many uploads are in progress; try again", reason=DESCRIPTORS)

    def _give_descriptor_back(self) -> None:
        if self._has_descriptor:
            self._has_descriptor = False
            self._limits.uploads.release()

    async def _written(self) -> None:
        await self._summing.result()
        with self._worded():
            await self._behind.result()

    def _write(self, pieces: list[bytes | bytearray]) -> None:
        if self._stage is None:
            self._stage = self._payloads.stage(with_md5=False)
        for piece in pieces:
            self._stage.write(piece)

    async def finish(self, *, inline: bool = True) -> Body:
        """Return the whole body: inline if it is small, else as a sealed, durable payload file.

        Args:
            inline: False makes a payload file of a small body as well, for a change whose inline bodies would
                together exceed a frame.

        Raises:
            StorageFull: No space.
            StorageFailed: It could not be written.
            Exhausted: The machine is short of a resource.

        """
        if not self._staged and (not self.size or (inline and self.size <= self._inline_bytes)):
            data = b"".join(self._buffer)
            return Inline(data, b"" if self._md5 is None else _sum(self._md5, [data]))
        if self._buffered:
            await self._flush()
        await self._written()
        with self._worded():
            sealed = await self._in_thread(self._seal)
        self._sealed = sealed if self._md5 is None else replace(sealed, md5=self._md5.digest())
        self._give_descriptor_back()
        self._limits.shortages.over(DISK)
        self._shared.offer(self._sealed.name)
        return self._sealed

    def _seal(self) -> journal.Payload:
        assert self._stage is not None
        return self._stage.seal()

    @contextmanager
    def _worded(self) -> Iterator[None]:
        shortages = self._limits.shortages
        try:
            yield
        except journal.NoSpace as error:
            if refusal := shortages.refusal(error, trio.current_time()):
                raise refusal from error
            shortages.note(DISK, trio.current_time())
            raise StorageFull("the disk has no space for this body; deletes still work") from error
        except journal.WriteFailed as error:
            if refusal := shortages.refusal(error, trio.current_time()):
                raise refusal from error
            raise StorageFailed("the body could not be written; see the server's log") from error


def _sum(digest: Any, pieces: Iterable[bytes | bytearray]) -> bytes:
    for piece in pieces:
        digest.update(piece)
    result: bytes = digest.digest()
    return result


class Download:
    """One body being sent.

    Opened before the response begins, so that it stays readable if it is deleted meanwhile.

    Attributes:
        size: Length in bytes.

    """

    def __init__(
        self,
        data: bytes | None,
        reader: journal.PayloadReader | None,
        size: int,
        limits: BodyLimits,
        on_damage: Callable[[journal.Corrupt], None] = lambda _: None,
    ) -> None:
        self._on_damage = on_damage
        self._data = data
        self._reader = reader
        self._limits = limits
        self._whole_chunks = False
        self._ahead: BackgroundTask | None = None
        self.size = size

    async def read(self) -> bytes:
        """Return the whole body, for small ones."""
        if self._data is not None:
            return self._data
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `stop`, at most a mebibyte at a time.

        The default of `stop` is the end.
        """
        stop = self.size if stop is None else min(stop, self.size)
        if self._reader is None:
            assert self._data is not None
            yield self._data[start:stop]
            return
        await self._settle()
        ahead: BackgroundTask | None = None
        crumbs_until = start
        while start < stop:
            if ahead is None:
                self._whole_chunks = self._whole_chunks or (start >= crumbs_until and self._limits.enter())
                step = CHUNK if self._whole_chunks else SMALL_CHUNK
                end = min(start - start % step + step, stop)
                ahead = await self._start(self._reader, start, end)
            try:
                chunk = await ahead.result()
            except journal.Corrupt as error:
                self._on_damage(error)
                raise
            start, end, ahead = end, min(end + CHUNK, stop), None
            if start < stop and self._whole_chunks:
                # While this chunk is sent, the next is read and decrypted.
                ahead = await self._start(self._reader, start, end)
            before = trio.current_time()
            yield chunk
            del chunk
            if self._whole_chunks and trio.current_time() - before > SLOW_S:
                ahead, crumbs_until = None, start + CHUNK
                await self._slow_down()

    async def _start(self, reader: journal.PayloadReader, start: int, stop: int) -> BackgroundTask:
        read = reader.read if self._whole_chunks else partial(_read_and_forget, reader)
        ahead = self._ahead = self._limits.behind()
        await ahead.start(partial(read, start, stop - start))
        return ahead

    async def _settle(self) -> None:
        if self._ahead is not None:
            await self._ahead.settle()
            self._ahead = None

    async def _slow_down(self) -> None:
        await self._settle()
        if self._whole_chunks:
            self._whole_chunks = False
            self._limits.leave()

    async def aclose(self) -> None:
        """Close the file."""
        await self._slow_down()
        if self._reader is not None:
            with trio.CancelScope(shield=True):
                await in_thread(self._reader.close, shortages=self._limits.shortages)
            self._reader = None
            self._data = b""


def _read_and_forget(reader: journal.PayloadReader, start: int, length: int) -> bytes:
    data = reader.read(start, length)
    reader.forget()
    return data


async def open_body(
    held: StoredBody,
    log: journal.ContentSource,
    payloads: journal.PayloadStore,
    shared: SharedState,
    limits: BodyLimits,
    look_again: Callable[[], None] = lambda: None,
) -> Download:
    """Open a body that live state refers to.

    `look_again` brings the state to the present, where another process removes files.

    Raises:
        NotFound: It was deleted since the state was read; or, with the reason `lost`, its file is missing or
            damaged although live state refers to it.
        Exhausted: The machine is short of a resource.
        journal.Corrupt: The record that contains it is damaged.

    """
    if isinstance(held, Inline):
        return Download(held.data, None, held.size, limits)
    try:
        if isinstance(held, OnDisk):
            # One pread of at most a mebibyte, nearly always from the page cache: a thread would cost more
            # than it saves.
            content = log.content(held.address)
            if content is None:
                raise NotFound("the content has been erased")
            data = msgpack.unpackb(content, strict_map_key=False)["data"]
            return Download(data, None, held.size, limits)
        reader = await in_thread(payloads.open, held, shortages=limits.shortages)
    except journal.Corrupt as error:
        if isinstance(held, OnDisk):
            raise
        look_again()
        if held.name in shared.payloads:
            _note_lost(limits, held.name, error)
            raise NotFound("the content is lost: its payload file is missing", reason="lost") from None
        raise NotFound("the content has been erased") from None
    except (journal.Shortage, OSError, MemoryError) as error:
        if refusal := limits.shortages.refusal(error, trio.current_time()):
            raise refusal from error
        raise
    if held.name not in limits.damaged:
        limits.lost.discard(held.name)

    def on_damage(error: journal.Corrupt) -> None:
        look_again()
        if held.name in shared.payloads:  # else it was removed while it was read
            limits.damaged.add(held.name)
            _note_lost(limits, held.name, error)

    return Download(None, reader, held.size, limits, on_damage)


def _note_lost(limits: BodyLimits, name: str, error: journal.Corrupt) -> None:
    _LOG.error("content lost", extra={"facts": {"file": error.file, "reason": error.message}})
    limits.lost.add(name)
