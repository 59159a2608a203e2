"""The documents: one for each interface, and one for all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any, Final

from retain.api.openapi import areas, blobs, console, settings
from retain.api.openapi.parts import Doc

VERSION: Final = "3.1.1"
_PARTS: Final[dict[str, ModuleType]] = {
    "areas": areas,
    "settings": settings,
    "blobs": blobs,
    "console": console,
}
NAMES: Final = tuple(_PARTS)
"""The interfaces that have a document, and the console."""
TITLES: Final = {
    "areas": "Retain: areas",
    "settings": "Retain: settings",
    "blobs": "Retain: blobs",
    "console": "Retain: console and operations",
}
_LICENSE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}


def document_of(name: str, base: str) -> Doc:
    """Return the description of one interface.

    Args:
        name: One of `NAMES`.
        base: How clients reach the server, without a slash at its end.

    Raises:
        KeyError: There is none of this name.
    """
    part = _PARTS[name]
    return _document(TITLES[name], part.ABOUT, [name], base)


def whole(names: Iterable[str], base: str) -> Doc:
    """Return the description of several interfaces in one document. As `document_of`."""
    about = "Everything this server offers to programs, an interface for each tag."
    return _document("Retain", about, list(names), base)


def _document(title: str, about: str, names: list[str], base: str) -> Doc:
    made = _assembled(tuple(names))
    info = {"title": title, "version": "1", "description": about, "license": _LICENSE}
    return {"openapi": VERSION, "info": info, "servers": [{"url": base}], **made}


@cache
def _assembled(names: tuple[str, ...]) -> Doc:
    paths: Doc = {}
    components: dict[str, dict[str, Any]] = {}
    tags = []
    for name in names:
        part = _PARTS[name]
        tags.append({"name": part.TAG, "description": part.ABOUT})
        for path, methods in part.paths().items():
            paths[path] = {
                method: {"security": part.SECURITY, **operation} for method, operation in methods.items()
            }
        for kind, found in part.components().items():
            components.setdefault(kind, {}).update(found)
    if "console" in names:
        tags.append({"name": console.OPERATIONS_TAG, "description": "Health, readiness and metrics."})
        components.setdefault("securitySchemes", {}).update(settings.components()["securitySchemes"])
    named = json.dumps(paths)
    responses = components["responses"]
    components["responses"] = {
        name: found for name, found in responses.items() if f'"#/components/responses/{name}"' in named
    }
    return {"tags": tags, "paths": paths, "components": components}
