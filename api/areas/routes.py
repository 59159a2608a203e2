"""Map a path to an operation: the table of docs/wire/areas.md, section 2, with all its ambiguous forms."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from retain.api.http.errors import MethodNotAllowed, NoRoute


class AreaOperation(Enum):
    """The operation of a request."""

    CREATE = "create"
    UPDATE = "update"
    LIST = "list"
    VALUE = "value"
    BINARY = "binary"
    DELETE = "delete"


class AreaTarget(NamedTuple):
    """An operation with the names from the path, each decoded once.

    Attributes:
        operation: The operation.
        name: The id; empty for a plain creation.
        key: The key, for the two operations that read one.
        ttl: The time to live as written in the path.
        custom: Whether the path marks the id as custom.
    """

    operation: AreaOperation
    name: str = ""
    key: str = ""
    ttl: str = ""
    custom: bool = False


PAGE = ["genesys", "resources", "storagetest.html"]
"""The path of the sample page."""

_TABLED = frozenset({"GET", "POST", "DELETE"})


def resolve(method: str, parts: list[str]) -> AreaTarget:
    """Return the target of a request for `/genesys/1/storage/<parts>`; HEAD is a GET.

    Raises:
        NoRoute: The path is unknown, or known only for other methods of the table.
        MethodNotAllowed: The path is known, and the interface has no such method.
    """
    targets = targets_of(parts)
    target = targets.get("GET" if method == "HEAD" else method)
    if target is not None:
        return target
    if not targets or (method in _TABLED and not (method == "POST" and _is_binary(targets))):
        raise NoRoute
    raise MethodNotAllowed(allowed(targets))


def allowed(targets: dict[str, AreaTarget]) -> str:
    """Return the value of an Allow header: every path that has a target has one for GET."""
    return ", ".join(sorted([*targets, "HEAD", "OPTIONS"]))


def _is_binary(targets: dict[str, AreaTarget]) -> bool:
    return targets["GET"].operation is AreaOperation.BINARY


def targets_of(parts: list[str]) -> dict[str, AreaTarget]:
    """Return the targets of a path by method; empty if nothing is mapped to it.

    `custom` and `binary` are reserved as ids, never as keys: a key always follows an id.
    """
    match parts:
        case ["custom", name]:
            return {
                "GET": AreaTarget(AreaOperation.LIST, name, custom=True),
                "DELETE": AreaTarget(AreaOperation.DELETE, name, custom=True),
            }
        case ["custom", name, last]:
            return {
                "POST": AreaTarget(AreaOperation.CREATE, name, ttl=last, custom=True),
                "GET": AreaTarget(AreaOperation.VALUE, name, last, custom=True),
            }
        case ["binary", "custom", name, key]:
            return {"GET": AreaTarget(AreaOperation.BINARY, name, key, custom=True)}
        case ["binary", name, key]:
            return {"GET": AreaTarget(AreaOperation.BINARY, name, key)}
        case ["binary", _]:
            return {}
        case [name]:
            return {
                "POST": AreaTarget(AreaOperation.CREATE, ttl=name),
                "GET": AreaTarget(AreaOperation.LIST, name),
                "DELETE": AreaTarget(AreaOperation.DELETE, name),
            }
        case [name, last]:
            return {
                "POST": AreaTarget(AreaOperation.UPDATE, name, ttl=last),
                "GET": AreaTarget(AreaOperation.VALUE, name, last),
            }
    return {}
