"""The handlers of the operations, one module a noun; `TABLE` says which handler answers which operation.

A handler reads headers and body, submits a command or reads, and answers. Authorization has happened before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from retain.api.blobs.request.call import Call
from retain.api.blobs.routes import (
    account,
    batch,
    blobs,
    blocks,
    containers,
    copy,
    find,
    leases,
    listing,
    reading,
    upload,
)
from retain.api.blobs.sas.permissions import Operation
from retain.api.http.message import Response

Handler = Callable[[Call], Awaitable[Response]]

TABLE: Final[dict[Operation, Handler]] = {
    **account.HANDLERS,
    **containers.HANDLERS,
    **listing.HANDLERS,
    **find.HANDLERS,
    **reading.HANDLERS,
    **upload.HANDLERS,
    **blobs.HANDLERS,
    **blocks.HANDLERS,
    **copy.HANDLERS,
    **leases.HANDLERS,
    **batch.HANDLERS,
}
