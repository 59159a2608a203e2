"""Identities: HTTP Basic against configured users, signed tokens, and a trusted proxy's headers.

Every interface asks `Identity.authenticate` who is calling; how that was found out is nobody else's business.
"""

from api.identity.caller import (
    Caller,
    IdentityError,
    IdentityUnavailable,
    Method,
    TooManyAttempts,
    Unauthenticated,
    is_user_name,
)
from api.identity.identity import Identity
from api.identity.options import (
    NAME_CLAIMS,
    ROLE_CLAIMS,
    BearerOptions,
    IdentityOptions,
    ProxyOptions,
    ThrottleOptions,
    User,
)
from api.identity.passwords import hash_password
from api.identity.proxy import client_address

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
    "client_address",
    "hash_password",
    "is_user_name",
]
