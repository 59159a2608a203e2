"""Addresses: from a raw path to a level document and a path in it.

Every URL form of docs/wire/settings.md, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retain.api.http.errors import NoRoute
from retain.api.http.message import BadRequest
from retain.api.settings.errors import OverLimit
from retain.engine.core.errors import Forbidden
from retain.engine.settings import Asker, Level, Path, Place

RUNTIME = ["Storage", "v1", "runtime", "application"]
PREFIXES = ("mobileservices", "Storage")
"""First path segments of this interface."""


@dataclass(frozen=True, slots=True)
class Address:
    """The target of a URL.

    Attributes:
        application: The application's id.
        level: The level.
        device: The device's id, at device level.
        user: The user's name where the URL spells it out; None means the caller.
        path: Names below the level document.
    """

    application: str
    level: Level
    device: str = ""
    user: str | None = None
    path: Path = ()

    def place(self, asker: Asker) -> Place:
        """Return the level document, given the caller (docs/wire/settings.md, sections 11.10 and 11.11).

        Raises:
            Forbidden: It is another user's, and the caller is no admin.
        """
        if self.level is Level.GLOBAL:
            return Place(self.application, Level.GLOBAL)
        user = asker.name if self.user is None else self.user
        if user != asker.name and not asker.admin:
            raise Forbidden("cannot access another user's configuration", reason="user")
        return Place(self.application, self.level, self.device, user)


@dataclass(frozen=True, slots=True)
class Me:
    """The related service that returns the caller's own name (docs/wire/settings.md, section 9).

    Attributes:
        application: The application's id.
    """

    application: str


def parse(segments: Sequence[str], origin: str, max_name_bytes: int) -> Address | Me:
    """Return what a path points to.

    Args:
        segments: The path's segments, each decoded exactly once.
        origin: The one origin there is.
        max_name_bytes: Bound on every name.

    Raises:
        NoRoute: No form of the interface.
        BadRequest: `.` or `..`, which clients and proxies remove from paths.
        OverLimit: A name is too long.
        Forbidden: The application form with two different applications.
    """
    names = [name for name in segments if name]
    for name in names:
        if name in {".", ".."}:
            raise BadRequest('a name must not be "." or ".."')
        if len(name) * 4 > max_name_bytes and len(name.encode()) > max_name_bytes:
            raise OverLimit(f"a name is longer than {max_name_bytes} bytes")
    owner, rest = _strip_prefix(names, origin)
    if owner is not None and rest[:1] == ["roleservice"]:
        return _me(owner, rest)
    if rest[:4] != RUNTIME or len(rest) < 5:
        raise NoRoute
    application = rest[4]
    if owner is not None and owner != application:
        raise Forbidden("the two application ids in the path must be the same", reason="application")
    return _tail(application, rest[5:])


def _strip_prefix(names: list[str], origin: str) -> tuple[str | None, list[str]]:
    """Return (the application that a prefix names, what follows the prefix)."""
    match names:
        case ["mobileservices", "origin", found, *rest]:
            if found != origin:
                raise NoRoute
            return None, rest
        case ["mobileservices", "application", owner, *rest]:
            return owner, rest
        case ["mobileservices", *rest]:
            return None, rest
    return None, names


def _me(owner: str, rest: list[str]) -> Me:
    match rest:
        case ["roleservice", "application", application, "v2", "Me"]:
            if application != owner:
                raise Forbidden("the two application ids in the path must be the same", reason="application")
            return Me(application)
    raise NoRoute


def _tail(application: str, tail: list[str]) -> Address:
    """Return the address of what follows the prefix.

    A first segment that is no level word is a configuration at global level (docs/wire/settings.md, section
    11.9).
    """
    match tail:
        case ["global", *path]:
            return Address(application, Level.GLOBAL, path=tuple(path))
        case ["currentuser", *path]:
            return Address(application, Level.USER, path=tuple(path))
        case ["user", user, *path]:
            return Address(application, Level.USER, user=user, path=tuple(path))
        case ["device", device, *path]:
            return Address(application, Level.DEVICE, device=device, path=tuple(path))
        case ["user"] | ["device"]:
            raise NoRoute
    return Address(application, Level.GLOBAL, path=tuple(tail))
