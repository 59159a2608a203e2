"""Identities: HTTP Basic against configured users, signed tokens, and a trusted proxy's headers.

Every interface calls `Identity.authenticate`; no other package depends on how the caller was authenticated.
"""

from __future__ import annotations

from retain.api.identity.caller import (
    Caller,
    IdentityError,
    IdentityUnavailable,
    Method,
    TooManyAttempts,
    Unauthenticated,
    is_user_name,
)
from retain.api.identity.configured import areas_identity_options, identity_options
from retain.api.identity.identity import Identity
from retain.api.identity.options import (
    NAME_CLAIMS,
    ROLE_CLAIMS,
    BearerOptions,
    IdentityOptions,
    ProxyOptions,
    ThrottleOptions,
    User,
)
from retain.api.identity.passwords import hash_password

__all__ = [
    "NAME_CLAIMS",
    "ROLE_CLAIMS",
    "BearerOptions",
    "Caller",
    "Identity",
    "IdentityError",
    "IdentityOptions",
    "IdentityUnavailable",
    "Method",
    "ProxyOptions",
    "ThrottleOptions",
    "TooManyAttempts",
    "Unauthenticated",
    "User",
    "areas_identity_options",
    "hash_password",
    "identity_options",
    "is_user_name",
]
