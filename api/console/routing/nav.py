"""An entry of the rail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Nav:
    """A route's entry in the rail.

    Attributes:
        label: Its label there.
        icon: One of the macro `icon`.
        group: Its heading: empty, Data, Access, Evidence or Operation.
    """

    label: str
    icon: str
    group: str = ""
