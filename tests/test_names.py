"""One name for one thing: no two public classes of the package share a name, unless no reader meets both."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.test_layers import SHIPPED, modules

INTERFACES_APART = frozenset(("api/areas", "api/blobs", "api/settings"))
"""Interfaces do not import one another (`tests/test_layers.py`), so each has its own words."""

SHARED = frozenset(("Address", "OverLimit", "Query", "UnsupportedBody"))
"""Names that several interfaces have, each for its own part of the same field."""


def test_public_classes_have_names_of_their_own() -> None:
    places = class_places()
    twice = {name: found for name, found in places.items() if len(found) > 1 and name not in SHARED}
    assert twice == {}


def test_a_shared_name_occurs_once_in_each_of_several_interfaces() -> None:
    places = class_places()
    for name in SHARED:
        rooms = ["/".join(place.split("/")[:2]) for place in places[name]]
        assert len(set(rooms)) == len(rooms) > 1, name
        assert set(rooms) <= INTERFACES_APART, name


def class_places() -> dict[str, list[str]]:
    """Return the modules of each public class on a module's top level, by the class's name."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules(*SHIPPED):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.name)
    return places
