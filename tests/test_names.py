"""One name for one thing: no two public classes of the package share a name, unless no reader meets both.

And no name that a package exports hides a module of that package.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.test_layers import ROOT, SHIPPED, modules

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


def test_no_package_exports_a_name_that_hides_its_module() -> None:
    assert [found for init in initial_modules() for found in hidden_modules(init)] == []


def test_a_name_that_hides_a_module_is_found(tmp_path: Path) -> None:
    init = tmp_path / "shop" / "__init__.py"
    (tmp_path / "shop" / "till").mkdir(parents=True)
    (tmp_path / "shop" / "till" / "__init__.py").touch()
    (tmp_path / "shop" / "shelf.py").touch()
    init.write_text("from shop import shelf\nfrom shop.till.drawer import open, till\n")
    assert hidden_modules(init) == ["shop/till"]


def initial_modules() -> list[Path]:
    return sorted(path for folder in (*SHIPPED, "bench") for path in (ROOT / folder).rglob("__init__.py"))


def hidden_modules(init: Path) -> list[str]:
    """Return the modules beside `init` that an imported name of another kind hides, as `package/module`."""
    folder = init.parent
    beside = {
        path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    names = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(init.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2] != folder.name
        for alias in node.names
    }
    return [f"{folder.name}/{name}" for name in sorted(names & beside)]


def class_places() -> dict[str, list[str]]:
    """Return the modules of each public class on a module's top level, by the class's name."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules(*SHIPPED, "bench"):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.name)
    return places
