"""Cross-origin requests, by the rules an account has stored (none by default).

The first rule that matches decides, as on the real service; without a match an ordinary request is answered
without CORS headers, and a preflight is refused with 403 CorsPreflightFailure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from retain.api.blobs.wire.errors import AzureError, invalid_header
from retain.api.blobs.xml.service_properties import CorsRule

_LABELS: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)


def response_headers(
    rules: Sequence[CorsRule], method: str, headers: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return the CORS headers of an ordinary response; none without an Origin or a rule for it."""
    origin = headers.get("origin")
    if not origin or not rules:
        return []
    for rule in rules:
        if _covers(rule, origin, method):
            exposed = [("Access-Control-Expose-Headers", ",".join(rule.exposed))] if rule.exposed else []
            return [*_origin_headers(rule, origin), *exposed]
    return [("Vary", "Origin")]


def preflight_headers(rules: Sequence[CorsRule], headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the headers of a preflight's response.

    Raises AzureError CorsPreflightFailure, or InvalidHeaderValue where one of the request's headers is
    missing.
    """
    origin = headers.get("origin")
    method = headers.get("access-control-request-method")
    if not origin or not method:
        name = "Access-Control-Request-Method" if origin else "Origin"
        raise invalid_header(name, method or "", "A required CORS header is not present.")
    asked = [name.strip().lower() for name in headers.get("access-control-request-headers", "").split(",")]
    wanted = [name for name in asked if name]
    for rule in rules:
        if _covers(rule, origin, method) and all(_allows(rule, name) for name in wanted):
            found = _origin_headers(rule, origin)
            found.append(("Access-Control-Allow-Methods", method))
            if wanted:
                found.append(("Access-Control-Allow-Headers", ",".join(wanted)))
            found.append(("Access-Control-Max-Age", str(rule.max_age)))
            return found
    raise AzureError("CorsPreflightFailure")


def _covers(rule: CorsRule, origin: str, method: str) -> bool:
    return method in rule.methods and any(_is_origin(origin, allowed) for allowed in rule.origins)


def _is_origin(origin: str, allowed: str) -> bool:
    """Return whether a rule names an origin: itself, `*`, or `https://*.example.com` for all below it."""
    if allowed in ("*", origin):
        return True
    scheme, wildcard, domain = allowed.partition("://*.")
    if not wildcard or "*" in domain:
        return False
    before, after = f"{scheme}://", f".{domain}"
    if not origin.startswith(before) or not origin.endswith(after):
        return False
    return _LABELS.fullmatch(origin[len(before) : -len(after)]) is not None


def _allows(rule: CorsRule, name: str) -> bool:
    return any(
        name.startswith(allowed[:-1].lower()) if allowed.endswith("*") else name == allowed.lower()
        for allowed in rule.allowed
    )


def _origin_headers(rule: CorsRule, origin: str) -> list[tuple[str, str]]:
    if "*" in rule.origins:
        return [("Access-Control-Allow-Origin", "*")]
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    ]
