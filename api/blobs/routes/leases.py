"""Lease Blob and Lease Container (docs/wire/blobs.md, sections 2.2 and 5): one operation in five actions."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from retain.api.blobs.request.call import Call, written
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire.errors import invalid_header, missing_header
from retain.api.blobs.wire.names import lease_id
from retain.api.http.message import Response
from retain.engine.blobs.answers import Leased
from retain.engine.blobs.commands import LeaseBlob
from retain.engine.blobs.container_commands import LeaseContainer
from retain.engine.blobs.leases import LeaseAction, LeaseRequest

_STATUSES: Final = {
    LeaseAction.ACQUIRE: 201,
    LeaseAction.RENEW: 200,
    LeaseAction.CHANGE: 200,
    LeaseAction.RELEASE: 200,
    LeaseAction.BREAK: 202,
}
_SECONDS: Final = re.compile("-?[0-9]{1,9}", re.ASCII)


async def lease_blob(call: Call) -> Response:
    """Lease Blob."""
    call.require_no_version()
    request = _request(call)
    result = await call.engine.submit(
        LeaseBlob(
            actor=call.actor,
            account=call.account,
            container=call.container,
            name=call.blob,
            conditions=call.conditions(write=True),
            request=request,
        )
    )
    return _answer(request, result)


async def lease_container(call: Call) -> Response:
    """Lease Container."""
    request = _request(call)
    result = await call.engine.submit(
        LeaseContainer(
            actor=call.actor,
            account=call.account,
            container=call.container,
            conditions=call.conditions(write=True),
            request=request,
        )
    )
    return _answer(request, result)


def _answer(request: LeaseRequest, result: Leased) -> Response:
    headers = written(result.etag, result.modified)
    if request.action is LeaseAction.BREAK:
        headers.append(("x-ms-lease-time", str(result.remaining)))
    elif result.lease is not None:
        headers.append(("x-ms-lease-id", result.lease.lease_id))
    return Response(_STATUSES[request.action], headers)


def _request(call: Call) -> LeaseRequest:
    text = call.header("x-ms-lease-action")
    if text is None:
        raise missing_header("x-ms-lease-action")
    try:
        action = LeaseAction(text.lower())
    except ValueError:
        raise invalid_header("x-ms-lease-action", text) from None
    proposed = lease_id(call.header, "x-ms-proposed-lease-id")
    if proposed is None and action is LeaseAction.ACQUIRE:
        proposed = str(UUID(bytes=call.engine.entropy(16), version=4))
    return LeaseRequest(
        action=action,
        lease_id=lease_id(call.header),
        proposed=proposed,
        duration=_number(call, "x-ms-lease-duration"),
        break_after=_number(call, "x-ms-lease-break-period"),
    )


def _number(call: Call, name: str) -> int | None:
    text = call.header(name)
    if text is None:
        return None
    if _SECONDS.fullmatch(text) is None:
        raise invalid_header(name, text)
    return int(text)


HANDLERS = {
    Operation.LEASE_BLOB: lease_blob,
    Operation.BREAK_BLOB_LEASE: lease_blob,
    Operation.LEASE_CONTAINER: lease_container,
    Operation.BREAK_CONTAINER_LEASE: lease_container,
}
