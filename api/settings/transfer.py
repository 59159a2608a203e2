"""Whole applications as one JSON document: export, import, and an import's differences. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retain.api.settings.jsontext import parse
from retain.engine.core.errors import Invalid
from retain.engine.settings import MISSING, Level, Missing, Path, Place
from retain.engine.settings.value import same

FORMAT = "retain-settings-1"
LEVELS = {"global": Level.GLOBAL, "user": Level.USER, "device": Level.DEVICE}
_NAMES = {level: name for name, level in LEVELS.items()}
_WRAPPING = 3
"""The text around a document in an export: the object, its list, and the entry."""

NAME_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One change between two values of a place.

    Attributes:
        place: The level document.
        path: The path in it.
        old: The present value; `MISSING` if none.
        new: The new value; `MISSING` if none.

    """

    place: Place
    path: Path
    old: Any
    new: Any

    @property
    def sign(self) -> str:
        """`+` is added, `-` is removed, `~` changes."""
        if isinstance(self.old, Missing):
            return "+"
        return "-" if isinstance(self.new, Missing) else "~"


def pack(application: str, documents: Mapping[Place, Any]) -> dict[str, Any]:
    """Return an application as an export."""
    return {
        "format": FORMAT,
        "application": application,
        "documents": [entry(place, value) for place, value in sorted(documents.items())],
    }


def entry(place: Place, value: Any) -> dict[str, Any]:
    """Return one level document of an export."""
    where = {"level": _NAMES[Level(place.level)]}
    if place.level == Level.DEVICE:
        where["device"] = place.device
    if place.level != Level.GLOBAL:
        where["user"] = place.user
    return {**where, "value": value}


def read_export(data: bytes, max_depth: int) -> dict[str, Any]:
    """Return an export's text, read as strictly as a request's.

    Raises:
        Invalid: Not JSON, or no export.
    """
    document = parse(data, max_depth + _WRAPPING).value
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Invalid(f"not an export of settings: its format must be {FORMAT!r}", reason="format")
    if not isinstance(document.get("application"), str) or not isinstance(document.get("documents"), list):
        raise Invalid("an export names its application and lists its documents", reason="format")
    return document


def unpack(application: str, entries: Sequence[Any]) -> dict[Place, dict[str, Any]]:
    """Return the documents of an export.

    Raises:
        Invalid: An entry is malformed, or two are for one place.
    """
    documents: dict[Place, dict[str, Any]] = {}
    for item in entries:
        place = _place(application, item)
        if place in documents:
            raise Invalid(f"{text_of(place)} occurs twice in the export", reason="format")
        documents[place] = item["value"]
    return documents


def _place(application: str, item: Any) -> Place:
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("level"), str)
        or item["level"] not in LEVELS
        or not isinstance(item.get("value"), dict)
    ):
        raise Invalid("a document needs its level, and an object as its value", reason="format")
    level = LEVELS[item["level"]]
    device = item.get("device", "") if level is Level.DEVICE else ""
    user = item.get("user", "") if level is not Level.GLOBAL else ""
    names = [application]
    names += [device] if level is Level.DEVICE else []
    names += [user] if level is not Level.GLOBAL else []
    if not all(_is_name(name) for name in names):
        raise Invalid("a document needs the names of its application, device and user", reason="format")
    return Place(application, level, device, user)


def _is_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and name not in {"", ".", ".."}
        and "\0" not in name
        and len(name.encode()) <= NAME_BYTES_MAX
    )


def text_of(place: Place) -> str:
    """Return a place for people."""
    where = _NAMES[Level(place.level)]
    return " ".join(part for part in (where, place.device, place.user) if part)


def differences(
    old: Mapping[Place, Any], new: Mapping[Place, Any], *, replace: bool
) -> Iterator[DocumentChange]:
    """Yield what an import would change, in the order of the places.

    Args:
        old: The present documents.
        new: The imported ones.
        replace: Whether documents that are not imported end.
    """
    for place in sorted({*old, *new} if replace else new):
        yield from _between(place, (), old.get(place, MISSING), new.get(place, MISSING))


def _between(place: Place, path: Path, old: Any, new: Any) -> Iterator[DocumentChange]:
    if not isinstance(old, Missing) and not isinstance(new, Missing) and same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            before, after = old.get(name, MISSING), new.get(name, MISSING)
            yield from _between(place, (*path, name), before, after)
    else:
        yield DocumentChange(place, path, old, new)


def line_of(difference: DocumentChange) -> str:
    """Return a difference as one line of a listing."""
    where = f"{difference.sign} {text_of(difference.place)}"
    if difference.path:
        where += f": {'/'.join(difference.path)}"
    shown = [
        json.dumps(value, ensure_ascii=False)
        for value in (difference.old, difference.new)
        if not isinstance(value, Missing)
    ]
    return f"{where} = {' → '.join(shown)}"
