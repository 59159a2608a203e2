"""Export signed checkpoints of the audit log on a schedule, to a folder or a URL where others keep them.

Once others have a checkpoint, any change of the history before it is detected
(`retain audit verify --since`).
"""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import trio

from retain.api.config.load import AuditConfig
from retain.engine import Engine, EngineError
from retain.engine.audit.checkpoints import Signer, checkpoint
from retain.engine.audit.erasures import KnownErasures
from retain.engine.audit.timeline import Trail, answered
from retain.journal import RealDisk

LOG = logging.getLogger("retain.checkpoints")
HOUR: Final = 3600.0
RETRY_S: Final = 300.0
"""Seconds until a retry after a failure, unless the schedule is sooner."""
WARM_RECORDS: Final = 2048
"""Records of the growing segment that are read ahead at once."""
WARM_FRAMES: Final = 256
"""Frames that are searched for erasures at once."""
WARM_PAUSE: Final = 2.0
"""The pause between them, in durations of the last one."""
TIMEOUT_S: Final = 30.0
LATEST: Final = "latest.checkpoint"
MEDIA_TYPE: Final = "text/plain; charset=utf-8"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a checkpoint is sent to the configured address only."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class LastCheckpoint:
    """An exported checkpoint.

    Attributes:
        time: When, nanoseconds since the epoch.
        size: The number of records that it covers.

    """

    time: int
    size: int


async def _in_slices(read: Callable[..., bool], *arguments: int) -> None:
    """Call `read` in a thread until it says that nothing is left; rest after each call."""
    more = True
    while more:
        began = trio.current_time()
        more = await trio.to_thread.run_sync(answered, read, *arguments)
        await trio.sleep(WARM_PAUSE * (trio.current_time() - began))


def _keep(folder: RealDisk, size: int, note: bytes) -> None:
    """Write the checkpoint beside the earlier ones.

    An earlier one of the same size with other content belongs to a history that a restore or repair has
    replaced, and proves that: it is kept. Raises OSError.
    """
    name = f"{size:020}.checkpoint"
    if folder.exists(name) and folder.read(name) != note:
        name = f"{size:020}.{sha256(note).hexdigest()[:16]}.checkpoint"
        LOG.warning(
            "a checkpoint of another history is kept beside the new one",
            extra={"facts": {"size": size, "name": name}},
        )
    folder.write_atomic(name, note)


class Checkpoints:
    """Signs the durable part of the log's tree.

    Args:
        engine: The engine of the journal.
        signer: The log's key.
        config: The destination and the interval.

    Attributes:
        last: The last checkpoint exported since the server started.
        trail: The places of the journal's records, shared by all queries.
        erasures: When and why parts were erased, likewise.

    """

    def __init__(self, engine: Engine, signer: Signer, config: AuditConfig) -> None:
        self._engine = engine
        self._signer = signer
        self._config = config
        self.trail = Trail(engine.disk)
        self.erasures = KnownErasures(engine.disk)
        self.last: LastCheckpoint | None = None
        self._exported = -1

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {"audit checkpoint": self.show}

    async def show(self, *, actor: str) -> dict[str, Any]:
        """Return a checkpoint of the present, and the public key that verifies it."""
        note, size = await self._made()
        return {"checkpoint": note.decode(), "size": size, "key": str(self._signer.verifier)}

    async def warm(self) -> None:
        """Read where the records and the erasures are, in slices beside requests.

        So the first page of the audit log, the first history and the first receipt cost what later ones do.
        A page that is requested earlier reads what it needs itself, and reports a fault.
        """
        trail, erasures = self.trail, self.erasures
        try:
            await _in_slices(trail.refresh, WARM_RECORDS)
            await _in_slices(trail.read_sealed)
            await _in_slices(erasures.refresh, WARM_FRAMES)
        except EngineError as error:
            LOG.warning("the audit log was not read ahead", extra={"facts": {"error": str(error)}})

    async def _made(self) -> tuple[bytes, int]:
        durable = await self._engine.read(lambda state, _: state.seq)
        note = await trio.to_thread.run_sync(checkpoint, self._engine.disk, self._signer, durable, self.trail)
        return note, durable

    @property
    def origin(self) -> str:
        """The log's name, which no other log has."""
        return str(self._signer.verifier).partition("+")[0]

    @property
    def wanted(self) -> bool:
        """Whether the configuration has a destination for checkpoints."""
        return self._config.checkpoint_folder is not None or self._config.checkpoint_url is not None

    @property
    def destinations(self) -> list[str]:
        """Where the configuration sends checkpoints."""
        places = (self._config.checkpoint_folder, self._config.checkpoint_url)
        return [place for place in places if place is not None]

    async def run(self) -> None:
        """Export at the start and then on schedule, until cancelled; a failure is logged and retried."""
        while True:
            pause = self._config.checkpoint_hours * HOUR
            if not await self.export():
                pause = min(pause, RETRY_S)
            await trio.sleep(pause)

    async def export(self) -> bool:
        """Export a checkpoint unless nothing was recorded since the last one; return whether that worked."""
        try:
            note, size = await self._made()
            if size != self._exported:
                await trio.to_thread.run_sync(self._send, note, size, abandon_on_cancel=True)
                self._exported = size
                self.last = LastCheckpoint(self._engine.now(), size)
        except (OSError, EngineError) as error:
            # A refused delivery is logged only: nothing that is stored depends on it.
            LOG.warning("a checkpoint was not exported", extra={"facts": {"error": type(error).__name__}})
            return False
        return True

    def _send(self, note: bytes, size: int) -> None:
        """Send the checkpoint to the URL or into the folder. Raises OSError, urllib's errors included."""
        if self._config.checkpoint_folder is not None:
            folder = RealDisk(self._config.checkpoint_folder)
            _keep(folder, size, note)
            folder.write_atomic(LATEST, note)
        if self._config.checkpoint_url is not None:
            request = urllib.request.Request(  # noqa: S310 - the configuration takes http and https only
                self._config.checkpoint_url, data=note, headers={"Content-Type": MEDIA_TYPE}, method="POST"
            )
            try:
                _OPENER.open(request, timeout=TIMEOUT_S).close()
            except urllib.error.HTTPError as refusal:
                refusal.close()
                raise OSError(f"answered {refusal.code}") from None
