"""One blob as pages show it: its facts, its holds, and what its preview needs."""

from __future__ import annotations

from dataclasses import dataclass

from retain.api.blobs.routes.reading import open_blob
from retain.api.console.containers.previews import TEXT_BYTES, kind_of, type_of
from retain.engine import Engine, State
from retain.engine.blobs.entries import BlobEntry
from retain.engine.blobs.queries import ends_at, get_blob
from retain.engine.holds import Hold, HoldKind, HoldTarget


@dataclass(frozen=True, slots=True)
class ShownBlob:
    """A blob as its page shows it.

    Attributes:
        entry: The blob.
        ends: When it ends; None for never.
        days: For how many days its container keeps a blob, 0 for ever.
        holds: The holds on it.
    """

    entry: BlobEntry
    ends: int | None
    days: int
    holds: tuple[Hold, ...]

    @property
    def tags(self) -> str:
        """Its tags, one in a line, as the form edits them."""
        return "\n".join(f"{key}={value}" for key, value in self.entry.tags)

    @property
    def etag(self) -> str:
        """Its ETag as clients see it, without quotes."""
        return f"0x{self.entry.etag:X}"


@dataclass(frozen=True, slots=True)
class Preview:
    """What the macro of previews shows.

    Attributes:
        kind: As `kind_of` returns it.
        media_type: Its media type.
        text: The beginning of a text; empty for other kinds.
        cut: How many bytes of a longer text that is; 0 if it is the whole.
    """

    kind: str
    media_type: str
    text: str
    cut: int


async def find_blob(engine: Engine, tenant: str, container: str, name: str) -> ShownBlob:
    """Return a blob. Raises NotFound."""

    def look(state: State, now: int) -> ShownBlob:
        blobs = state.blobs
        entry = get_blob(blobs, tenant, container, name, now)
        held = blobs.find(tenant, container)
        assert held is not None, "its blob was found"
        days = blobs.default_days if held.entry.days is None else held.entry.days
        target = HoldTarget(HoldKind.BLOB, entry.resource, (tenant, container, name))
        (holds,) = state.holds.on((target,))
        return ShownBlob(entry, ends_at(blobs, tenant, container, name, now), days, holds)

    return await engine.read(look)


async def preview(engine: Engine, entry: BlobEntry, name: str) -> Preview:
    """Return the preview of a blob; of sound and pictures only the kind, which the browser fetches itself."""
    kind = kind_of(entry, name)
    text = await _beginning(engine, entry) if kind == "text" else ""
    return Preview(kind, type_of(entry, name), text, TEXT_BYTES if entry.size > TEXT_BYTES else 0)


async def _beginning(engine: Engine, entry: BlobEntry) -> str:
    """Return the first bytes of a text; invalid UTF-8 shows as replacement characters."""
    body = await open_blob(engine, entry, 0, min(entry.size, TEXT_BYTES))
    try:
        data = b"".join([chunk async for chunk in body])
    finally:
        await body.aclose()
    return data.decode("utf-8", "replace").removeprefix("\ufeff")
