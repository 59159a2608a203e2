"""A route of the console, as data: routing, the rail and the tests use the table of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Concatenate

from quart import Response

from retain.api.console.routing.call import PageCall
from retain.api.console.routing.nav import Nav
from retain.api.identity.roles import Role

__all__ = ["Nav", "Route", "View"]

View = Callable[Concatenate[PageCall, ...], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path of the console and who may use it.

    Attributes:
        path: In Quart's form, such as `/console/containers/<tenant>/<container>`.
        view: The handler.
        methods: HTTP methods; `GET` includes `HEAD`.
        roles: The roles that may use it; None for everybody, signed in or not.
        nav: Its entry in the rail, if it has one.
        live: Requested by a page in the background; does not keep a session alive.
    """

    path: str
    view: View
    roles: frozenset[Role] | None
    methods: tuple[str, ...] = ("GET",)
    nav: Nav | None = None
    live: bool = False

    @property
    def changes(self) -> bool:
        """Whether it changes something, so that a form must prove its origin."""
        return not {"GET"}.issuperset(self.methods)
