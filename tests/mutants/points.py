"""Find where a module can be changed a little: a comparison, a boundary, a check, a name on the wire."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: (r"<", "<="),
    ast.LtE: (r"<=", "<"),
    ast.Gt: (r">", ">="),
    ast.GtE: (r">=", ">"),
    ast.Eq: (r"==", "!="),
    ast.NotEq: (r"!=", "=="),
    ast.Is: (r"\bis\b", "is not"),
    ast.IsNot: (r"\bis\s+not\b", "is"),
    ast.In: (r"\bin\b", "not in"),
    ast.NotIn: (r"\bnot\s+in\b", "in"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: (r"-", "+"),
    ast.Mult: (r"\*", "+"),
    ast.FloorDiv: (r"//", "*"),
    ast.Mod: (r"%", "//"),
    ast.BitAnd: (r"&", "|"),
    ast.BitOr: (r"\|", "&"),
}
_SWAPPED_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_NO_BEHAVIOUR = frozenset({"TypeVar", "ParamSpec", "NewType", "cast"})
_SAME_ANYWAY = frozenset({"strict", "usedforsecurity", "maxsize"})
"""`zip(strict=…)` asserts what is so anyway; a digest is the same on each machine that computes it; a
cache of one entry more answers alike."""
_OF_LETTERS = frozenset({"PermissionRule", "frozenset", "set"})
"""Calls whose texts are sets of letters: one more than anybody may name changes nothing, one less does."""
_ENCODINGS = frozenset(("ascii", "iso-8859-1", "latin-1", "utf-8"))
"""Python reads these names with a punctuation mark behind them, too, so a change would change nothing."""
_LONGEST_NAME = 40
"""Longer texts, and those with spaces, are prose: what they say is for a reader to judge."""


class Point(NamedTuple):
    """One change.

    Attributes:
        path: The module, from the top of the checkout.
        line: Its line, from 1.
        last: The last line of the statement it lies in, or of that statement's head.
        start: Where the changed bytes begin.
        end: Where they end.
        after: What they become.
        kind: What kind of change it is.

    """

    path: str
    line: int
    last: int
    start: int
    end: int
    after: str
    kind: str

    def changed(self, source: bytes) -> bytes:
        """Return the module's source with this change."""
        return source[: self.start] + self.after.encode() + source[self.end :]

    def compiles(self, source: bytes) -> bool:
        """Return whether it leaves a module that Python reads."""
        try:
            compile(self.changed(source), "mutant", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return False
        return True

    def before(self, source: bytes) -> str:
        """Return what stands there."""
        return source[self.start : self.end].decode()


def points_of(path: Path, top: Path) -> list[Point]:
    """Return every change that a module offers, in the order of its lines."""
    source = path.read_bytes()
    found = _Finder(source, str(path.relative_to(top))).found(ast.parse(source))
    return sorted(set(found))


class _Finder:
    """Walks one module."""

    def __init__(self, source: bytes, path: str) -> None:
        self._source = source
        self._path = path
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self._letters: set[int] = set()

    def found(self, module: ast.Module) -> Iterator[Point]:
        """Yield every change of a module."""
        for statement in module.body:
            yield from self._statement(statement)

    def _statement(self, node: ast.stmt) -> Iterator[Point]:
        if isinstance(node, (ast.Assert, ast.Import, ast.ImportFrom)):
            return  # assertions guard our own bugs
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        body = [
            child
            for name in ("body", "orelse", "finalbody")
            if isinstance(children := getattr(node, name, None), list)
            for child in children
        ]
        last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
        if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await)):
            yield self._point(node, last, "None", "call dropped")
        if isinstance(node, ast.If) and isinstance(
            node.body[-1], (ast.Raise, ast.Return, ast.Continue, ast.Break)
        ):
            yield self._point(node.test, last, "False", "check dropped")
        for expression in _expressions(node):
            yield from self._expression(expression, last)
        for child in body:
            yield from self._statement(child)
        for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            for child in handler.body:
                yield from self._statement(child)

    def _expression(self, node: ast.AST, last: int) -> Iterator[Point]:
        if isinstance(node, ast.JoinedStr):
            return  # Python 3.11 tells no positions inside
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NO_BEHAVIOUR:
            return
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _OF_LETTERS:
            self._letters.update(id(given) for given in node.args)
        yield from self._own(node, last)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.keyword) and child.arg in _SAME_ANYWAY:
                continue
            yield from self._expression(child, last)

    def _own(self, node: ast.AST, last: int) -> Iterator[Point]:
        if isinstance(node, ast.Compare):
            left = node.left
            for operator, right in zip(node.ops, node.comparators, strict=True):
                yield from self._between(left, right, *_COMPARISONS[type(operator)], last, "comparison")
                left = right
        elif isinstance(node, ast.BoolOp):
            pattern, after = (r"\band\b", "or") if isinstance(node.op, ast.And) else (r"\bor\b", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from self._between(left, right, pattern, after, last, "and/or")
        elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            yield from self._between(node.left, node.right, *_ARITHMETIC[type(node.op)], last, "arithmetic")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._source[self._offset(node.operand) : self._end(node)].decode()
            yield self._point(node, last, f"bool({inner})", "not dropped")
        elif isinstance(node, ast.IfExp):
            test = self._text(node.test)
            yield self._point(node.test, last, f"(not ({test}))", "choice turned")
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SWAPPED_CALLS
        ):
            yield self._point(node.func, last, _SWAPPED_CALLS[node.func.id], "call swapped")
        elif isinstance(node, ast.Constant):
            yield from self._constant(node, last)

    def _constant(self, node: ast.Constant, last: int) -> Iterator[Point]:
        value = node.value
        if isinstance(value, bool):
            yield self._point(node, last, str(not value), "truth turned")
        elif isinstance(value, int):
            yield self._point(node, last, str(value + 1), "number moved")
        elif isinstance(value, str) and len(value) <= _LONGEST_NAME and " " not in value:
            if id(node) in self._letters:
                if value:
                    yield self._point(node, last, repr(value[:-1]), "letter dropped")
            elif value.lower() not in _ENCODINGS:
                yield self._point(node, last, repr(value + "~"), "text changed")
        elif isinstance(value, bytes) and len(value) <= _LONGEST_NAME:
            yield self._point(node, last, repr(value + b"~"), "text changed")

    def _between(
        self, left: ast.expr, right: ast.expr, pattern: str, after: str, last: int, kind: str
    ) -> Iterator[Point]:
        start, end = self._end(left), self._offset(right)
        match = re.search(pattern.encode(), self._source[start:end])
        if match is not None:
            where = start + match.start()
            line = self._source.count(b"\n", 0, where) + 1
            yield Point(self._path, line, last, where, start + match.end(), after, kind)

    def _point(self, node: ast.expr | ast.stmt, last: int, after: str, kind: str) -> Point:
        return Point(self._path, node.lineno, last, self._offset(node), self._end(node), after, kind)

    def _text(self, node: ast.expr) -> str:
        return self._source[self._offset(node) : self._end(node)].decode()

    def _offset(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset


def _expressions(node: ast.stmt) -> Iterator[ast.expr]:
    """Yield the expressions of a statement's own head that have an effect: no annotations, no decorators."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from node.args.defaults
        yield from (default for default in node.args.kw_defaults if default is not None)
    elif isinstance(node, ast.ClassDef):
        return
    elif isinstance(node, ast.AnnAssign):
        if node.value is not None:
            yield node.value
    elif isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in ("__all__", "__slots__") for target in node.targets
    ):
        return
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        yield from (item.context_expr for item in node.items)
    elif isinstance(node, ast.Match):
        yield node.subject
    else:
        yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
