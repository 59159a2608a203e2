"""The templates: Jinja with everything escaped, and the headers that go with a page."""

from __future__ import annotations

from typing import Any, Final

import jinja2
import jinja2.bccache

from retain.api.html.documentation import help_pages
from retain.api.html.filters import FILTERS
from retain.api.html.static import asset

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _Compiled(jinja2.BytecodeCache):
    """Caches compiled templates in this process, for a second application.

    Jinja keys a template by its name and file, and compiles it anew when its text has changed.
    """

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Fill the bucket, if its template was compiled before."""
        kept = self._kept.get(bucket.key)
        if kept is not None:
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Keep what was compiled."""
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED: Final = _Compiled()


def environment(*packages: str) -> jinja2.Environment:
    """Return the environment of some pages. A name that a template misspells is an error there.

    Args:
        packages: The packages with their templates, which may use the macros of this one.
    """
    loaders = [jinja2.PackageLoader(package) for package in (*packages, "retain.api.html")]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    made.filters.update(FILTERS)
    made.globals["asset_path"] = _address
    made.globals["help_pages"] = help_pages()
    return made


def _address(name: str) -> str:
    return asset(name).address


def render(templates: jinja2.Environment, template: str, **context: Any) -> str:
    """Return a page's text."""
    return templates.get_template(template).render(**context)
