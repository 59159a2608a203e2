"""What the product imports is what it depends on, in ranges: a newer release of something breaks nothing."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.kit.server import ROOT

SHIPPED = ("api", "engine", "journal")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Imported only where an extra is installed.
OF_EXTRAS = {"awscrt": "crc64", "opentelemetry": "otel", "psycopg": "cluster"}
#: Packages whose releases of one major version keep what they promise; the others have an upper bound.
UNBOUND = {"argon2-cffi", "cryptography", "rich", "tzdata"}


def imported() -> set[str]:
    """The top-level names of all that is imported, also inside functions."""
    found = set()
    for package in SHIPPED:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.partition(".")[0])
    return found - {"retain", "_typeshed"} - set(sys.stdlib_module_names)


def test_everything_that_is_imported_is_a_dependency() -> None:
    needed = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    distributions = packages_distributions()
    wrong = [
        name
        for name in imported() - set(OF_EXTRAS)
        if not needed & {canonicalize_name(one) for one in distributions.get(name, ())}
    ]
    assert wrong == []


def test_every_dependency_has_a_range() -> None:
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        signs = {one.operator for one in requirement.specifier}
        assert ">=" in signs, text
        assert "<" in signs or requirement.name in UNBOUND, text


def test_what_belongs_to_extras_is_in_them() -> None:
    for name, extra in OF_EXTRAS.items():
        texts = PROJECT["optional-dependencies"][extra]
        assert any(Requirement(text).name.startswith(name) for text in texts), name
