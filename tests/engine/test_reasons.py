"""A refusal's class and reason are a published vocabulary: programs that embed the engine branch on them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import retain.engine
from retain.engine.core import errors

ENGINE = Path(retain.engine.__file__).parent
KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type)}


def documented(domain: str) -> set[tuple[str, str]]:
    """The rows of the table above the domain's commands."""
    text = import_module(f"retain.engine.{domain}.commands").__doc__ or ""
    rows = re.findall(r"^([A-Z]\w+) +([a-z][a-z-]*|-) {2,}\S", text, re.M)
    return {(kind, reason) for kind, reason in rows if kind in KINDS}


def raised(domain: str) -> Iterator[tuple[str, str]]:
    """The refusals that the domain's modules make."""
    for path in (ENGINE / domain).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                reasons = [word.value for word in node.keywords if word.arg == "reason"]
                for reason in reasons:
                    assert isinstance(reason, ast.Constant), f"{path.name}:{node.lineno}"
                yield node.func.id, str(ast.literal_eval(reasons[0])) if reasons else "-"


@pytest.mark.parametrize(
    ("domain", "elsewhere"),
    [
        ("areas", set()),
        ("settings", set()),
        ("blobs", {("Conflict", "policy-limit")}),  # raised where tokens are issued
    ],
)
def test_every_refusal_is_in_the_table_of_its_domain(domain: str, elsewhere: set[tuple[str, str]]) -> None:
    assert set(raised(domain)) == documented(domain) - elsewhere
