"""Map errors to HTTP statuses, for every interface except blobs, which uses Azure's codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from retain.api.http.message import HeaderFields, RequestError, UnexpectedError
from retain.api.identity import IdentityError
from retain.engine.core.errors import (
    Conflict,
    EngineError,
    Exhausted,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    StorageFull,
    TooLarge,
    Unavailable,
    Unsupported,
)

STATUS: Final[Mapping[type[EngineError], int]] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    PreconditionFailed: 412,
    TooLarge: 413,
    Unsupported: 415,
    Unavailable: 503,
    QuotaExceeded: 507,
    StorageFull: 507,
}
"""The engine's refusals; the most specific class of an error counts."""


RETRY_SOON: Final = ("Retry-After", "1")
"""The header of a 503 for a temporary shortage."""


def status_of(error: EngineError) -> int:
    """Return the status of an engine error; 500 for a kind that the table does not list."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def worded(error: Exception) -> tuple[int, str, HeaderFields]:
    """Return status, message and headers for any error that a request may end in.

    An error that is unknown here is a 500 that does not mention its cause.
    """
    headers: HeaderFields = getattr(error, "headers", ())
    if isinstance(error, EngineError):
        if isinstance(error, Exhausted):
            headers = [*headers, RETRY_SOON]
        return status_of(error), error.message, headers
    if isinstance(error, RequestError | IdentityError | UnexpectedError):
        return error.status, error.message, headers
    return 500, "internal error", headers
