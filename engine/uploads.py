"""Bodies on their way in and out: streamed, never held in memory as a whole."""

import hashlib
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self, TypeVar

import msgpack
import trio

import journal
from engine.body import Body, Held, Inline, OnDisk
from engine.errors import NotFound, StorageFailed, StorageFull
from engine.slice import Ground

Value = TypeVar("Value")

CHUNK = 1 << 20
"""Bytes handed to a worker thread, or to the client, at a time."""


class Upload:
    """One body being received.

    Use as ``async with engine.upload() as upload``. On leaving, a payload file that no durable event names
    is removed, so a refused or broken request leaves nothing behind.
    """

    def __init__(self, payloads: journal.PayloadStore, ground: Ground, inline_bytes: int) -> None:
        self._payloads = payloads
        self._ground = ground
        self._inline_bytes = inline_bytes
        self._buffer: list[bytes] = []
        self._buffered = 0
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
        if self._sealed is not None:
            if self._ground.withdraw(self._sealed.name):
                await self._shielded_unlink(self._sealed.name)
        elif self._stage is not None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._stage.discard)

    async def _shielded_unlink(self, name: str) -> None:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._payloads.unlink, name)

    async def write(self, chunk: bytes) -> None:
        """Takes the next bytes.

        Raises:
            StorageFull: No room for the payload file.
            StorageFailed: It could not be written.
        """
        self._buffer.append(chunk)
        self._buffered += len(chunk)
        self.size += len(chunk)
        if self._buffered >= CHUNK or (self._stage is not None and self._buffered >= CHUNK // 4):
            await self._flush()

    async def _flush(self) -> None:
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._buffered = 0
        await _stored(self._write, data)

    def _write(self, data: bytes) -> None:
        if self._stage is None:
            self._stage = self._payloads.stage()
        self._stage.write(data)

    async def finish(self, *, inline: bool = True) -> Body:
        """The whole body: inline if it is small, else as a sealed payload file that is durable.

        Args:
            inline: False makes a payload file of a small body as well, for a change whose inline bodies would
                together outgrow a frame.

        Raises:
            StorageFull: No room.
            StorageFailed: It could not be written.
        """
        if self._stage is None and (not self.size or (inline and self.size <= self._inline_bytes)):
            data = b"".join(self._buffer)
            return Inline(data, hashlib.md5(data, usedforsecurity=False).digest())
        if self._buffered:
            await self._flush()
        self._sealed = await _stored(self._seal)
        self._ground.offer(self._sealed.name)
        return self._sealed

    def _seal(self) -> journal.Payload:
        assert self._stage is not None
        return self._stage.seal()


class Download:
    """One body being sent. Opened before the answer begins, so that what was found stays readable although
    it is deleted meanwhile.

    Attributes:
        size: Length in bytes.
    """

    def __init__(self, data: bytes | None, reader: journal.PayloadReader | None, size: int) -> None:
        self._data = data
        self._reader = reader
        self.size = size

    async def read(self) -> bytes:
        """The whole body, for small ones."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``stop`` (default: the end), a mebibyte at a
        time."""
        stop = self.size if stop is None else min(stop, self.size)
        if self._reader is None:
            assert self._data is not None
            yield self._data[start:stop]
            return
        while start < stop:
            length = min(CHUNK - start % CHUNK, stop - start)
            yield await trio.to_thread.run_sync(self._reader.read, start, length)
            start += length

    async def aclose(self) -> None:
        """Gives the file back."""
        if self._reader is not None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._reader.close)
            self._reader = None
            self._data = b""


async def _stored(work: Callable[..., Value], *args: object) -> Value:
    try:
        return await trio.to_thread.run_sync(lambda: work(*args))
    except journal.NoSpace as error:
        raise StorageFull("no room on the disk for this body") from error
    except journal.WriteFailed as error:
        raise StorageFailed("the body could not be written") from error


async def open_body(
    held: Held, log: journal.Journal, payloads: journal.PayloadStore, ground: Ground
) -> Download:
    """Opens what live state holds.

    Raises:
        NotFound: It was deleted since the state was read.
        journal.Corrupt: Its file is missing or damaged although live state stands on it.
    """
    if isinstance(held, Inline):
        return Download(held.data, None, held.size)
    if isinstance(held, OnDisk):
        # One pread of at most a mebibyte, nearly always from the page cache: a thread would cost more than
        # it saves.
        content = log.content(held.address)
        if content is None:
            raise NotFound("the content has been erased")
        return Download(msgpack.unpackb(content, strict_map_key=False)["data"], None, held.size)
    try:
        reader = await trio.to_thread.run_sync(payloads.open, held)
    except journal.Corrupt:
        if held.name in ground.payloads:
            raise
        raise NotFound("the content has been erased") from None
    return Download(None, reader, held.size)
