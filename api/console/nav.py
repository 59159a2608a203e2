"""An entry of the rail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Nav:
    """A route's entry in the rail.

    Attributes:
        label: What it is called there.
        icon: One of the macro `icon`.
        group: Under which heading: empty, Data, Access or Evidence.
    """

    label: str
    icon: str
    group: str = ""
