"""The console: pages for administrators, auditors and data-protection officers, under /console.

Pages use `api.admin`, the engine and the interfaces' parsers; this package has routes, forms, sessions, roles
and templates.
"""

from __future__ import annotations

from typing import Final

READ_UNDER: Final = ("console",)
"""First path segments under which these pages read a request's body: forms and uploads."""
