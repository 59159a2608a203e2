"""JSON Patch (RFC 6902) on values shared with the state, which are therefore never changed in place.

It has its own implementation because a patch must share unchanged parts, must not exceed its work budget,
must not grow a value beyond its bound by copying it into itself, and must distinguish `true` from `1` in a
test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retain.engine.core.errors import Conflict, Invalid, PreconditionFailed, TooLarge
from retain.engine.settings.model import MISSING, Path
from retain.engine.settings.value import depth_of, measure, same

STEPS_MAX = 1_000
"""Most operations in one patch."""

WORK_A_BYTE = 16
WORK_LEAST = 250_000
WORK_MOST = 4_000_000
"""The work budget of a patch: an amount for each of its bytes, within these bounds. A unit is about 50 ns:
one element visited, or a few dozen copied by one call. The patch itself, which is read once, costs
nothing."""

_DICT_COPIED = 4
_LIST_COPIED = 32
_TEXT_WRITTEN = 16
"""Members copied, elements copied or shifted, and bytes written as JSON, for one unit of work."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_BAD_ESCAPE = re.compile(r"~(?![01])")


_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})


@dataclass(frozen=True, slots=True)
class Step:
    """One operation.

    Attributes:
        op: add, remove, replace, move, copy or test.
        path: The target, as reference tokens (RFC 6901), unescaped.
        origin: `from` of a move or copy, else None.
        value: The operand of add, replace and test, else `MISSING`.

    """

    op: str
    path: Path
    origin: Path | None = None
    value: Any = MISSING


def read_steps(document: Any) -> tuple[Step, ...]:
    """Return the operations of a patch document.

    Raises:
        Invalid: It is not one (RFC 6902 sections 3 and 4).

    """
    if not isinstance(document, list):
        raise Invalid("a JSON patch must be an array", reason="json-patch")
    if len(document) > STEPS_MAX:
        raise Invalid(f"a JSON patch must have at most {STEPS_MAX} operations", reason="json-patch")
    return tuple(_read_step(item) for item in document)


def _read_step(item: Any) -> Step:
    op = item.get("op") if isinstance(item, dict) else None
    if not isinstance(op, str) or op not in _OPERATIONS:
        raise Invalid("a patch operation must have one of the six ops of RFC 6902", reason="json-patch")
    origin = _pointer(item.get("from")) if op in {"move", "copy"} else None
    value = MISSING
    if op in {"add", "replace", "test"}:
        if "value" not in item:
            raise Invalid(f"the patch operation {op} must have a value", reason="json-patch")
        value = item["value"]
    return Step(op, _pointer(item.get("path")), origin, value)


def _pointer(text: Any) -> Path:
    """Return the parts of a JSON pointer (RFC 6901)."""
    if not isinstance(text, str) or (text and text[0] != "/") or _BAD_ESCAPE.search(text):
        raise Invalid("a patch operation must have JSON pointers as path and from", reason="json-patch")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])


def work_for(size: int) -> int:
    """Return how much work a patch of `size` bytes may cost."""
    return min(WORK_LEAST + WORK_A_BYTE * size, WORK_MOST)


def apply_steps(value: Any, steps: Sequence[Step], *, max_bytes: int, max_depth: int, work: int) -> Any:
    """Return `value` after all `steps`.

    Args:
        value: The target of the patch; not changed.
        steps: The operations, in order.
        max_bytes: Bytes that copies may add altogether.
        max_depth: How deep the result may be nested at any moment, as `value` is not.
        work: The budget of all steps together; see `work_for`.

    Raises:
        Conflict: A target does not exist (reason `json-patch-target`).
        PreconditionFailed: A test fails (reason `json-patch-test`).
        TooLarge: Copies beyond `max_bytes`, or work beyond `work`.
        Invalid: Nested too deep.

    """
    patched = _Patched(value, max_bytes, max_depth, work)
    for step in steps:
        patched.take(step)
    return patched.value


class _Patched:
    """A value that steps are applied to.

    A container is copied before its first change and then changed in place, so that many steps cost one copy
    of what they touch. A copy operation lets two places share one container, after which neither is private.
    """

    def __init__(self, value: Any, max_bytes: int, max_depth: int, work: int) -> None:
        self.value = value
        self._max_bytes = max_bytes
        self._max_depth = max_depth
        self._work = work
        self._copied = 0
        self._deepest = max_depth
        self._measured = False
        self._ours: dict[int, Any] = {}

    def take(self, step: Step) -> None:
        """Apply one operation."""
        match step.op:
            case "test":
                if not same(self._get(step.path), step.value):
                    raise PreconditionFailed("a test operation of the patch fails", reason="json-patch-test")
            case "remove":
                self._remove(step.path)
            case "replace":
                self._get(step.path)
                self._check_depth(step.path, None, step.value)
                self._replace(step.path, step.value)
            case "add":
                self._check_depth(step.path, None, step.value)
                self._add(step.path, step.value)
            case _:
                assert step.origin is not None
                self._transfer(step.path, step.origin, moving=step.op == "move")

    def _transfer(self, path: Path, origin: Path, *, moving: bool) -> None:
        added = self._get(origin)
        self._check_depth(path, origin, added)
        if not moving:
            self._count_copy(added)
        elif path[: len(origin)] == origin:
            if len(path) > len(origin):
                raise Conflict("a value cannot be moved into itself", reason="json-patch-target")
            return
        else:
            self._remove(origin)
        self._add(path, added)

    def _count_copy(self, added: Any) -> None:
        size = measure(added)
        self._spend(size // _TEXT_WRITTEN)
        self._copied += size
        if self._copied > self._max_bytes:
            raise TooLarge("the patch copies more than a document may hold", limit=self._max_bytes)
        if isinstance(added, dict | list):
            self._ours.clear()

    def _spend(self, work: int) -> None:
        self._work -= work
        if self._work < 0:
            raise TooLarge("the patch costs more work than its size allows", reason="json-patch-work")

    def _check_depth(self, path: Path, origin: Path | None, added: Any) -> None:
        """Refuse a value that would be nested too deep.

        An upper bound of the document's depth is updated from step to step; the exact depth is computed only
        if the bound does not suffice.
        """
        if origin is None:
            depth = depth_of(added)
        else:
            depth = self._deepest - len(origin)
            if len(path) + depth > self._max_depth and not self._measured:
                self._measured = True
                self._deepest = self._depth(self.value)
                depth = self._deepest - len(origin)
            if len(path) + depth > self._max_depth:
                depth = self._depth(added)
        if len(path) + depth > self._max_depth:
            raise Invalid(
                f"the document would be nested deeper than {self._max_depth} levels", reason="depth"
            )
        self._deepest = max(self._deepest, len(path) + depth)

    def _depth(self, value: Any) -> int:
        return depth_of(value, self._spend)

    def _get(self, path: Path) -> Any:
        value = self.value
        for token in path:
            value = _member(value, token)
        return value

    def _own(self, node: Any) -> Any:
        """Return `node` if it is already a private copy, else a copy."""
        if id(node) in self._ours:
            return node
        self._spend(1 + len(node) // (_DICT_COPIED if isinstance(node, dict) else _LIST_COPIED))
        copy = node.copy()
        self._ours[id(copy)] = copy
        return copy

    def _parent(self, path: Path) -> Any:
        """Return the container that the last name of `path` belongs to, ready to be changed."""
        node: Any = None
        at = self.value
        for depth in range(len(path)):
            if not isinstance(at, dict | list):
                raise _no_target()
            at = self._own(at)
            if depth:
                _set(node, path[depth - 1], at)
            else:
                self.value = at
            node = at
            if depth + 1 < len(path):
                at = _member(node, path[depth])
        return node

    def _shift(self, length: int) -> None:
        self._spend(length // _LIST_COPIED)

    def _remove(self, path: Path) -> None:
        if not path:
            raise Conflict("the whole document cannot be removed", reason="json-patch-target")
        node, token = self._parent(path), path[-1]
        _member(node, token)
        if isinstance(node, dict):
            del node[token]
        else:
            self._shift(len(node) - int(token))
            del node[int(token)]

    def _replace(self, path: Path, new: Any) -> None:
        if path:
            _set(self._parent(path), path[-1], new)
        else:
            self.value = new

    def _add(self, path: Path, new: Any) -> None:
        if not path:
            self.value = new
            return
        node, name = self._parent(path), path[-1]
        if isinstance(node, dict):
            node[name] = new
        elif name == "-":
            node.append(new)
        elif _INDEX.fullmatch(name) and int(name) <= len(node):
            self._shift(len(node) - int(name))
            node.insert(int(name), new)
        else:
            raise _no_target()


def _no_target() -> Conflict:
    return Conflict("the target of a patch operation does not exist", reason="json-patch-target")


def _member(node: Any, token: str) -> Any:
    if isinstance(node, dict) and token in node:
        return node[token]
    if isinstance(node, list) and _INDEX.fullmatch(token) and int(token) < len(node):
        return node[int(token)]
    raise _no_target()


def _set(node: Any, token: str, new: Any) -> None:
    """Replace a member that is there."""
    if isinstance(node, dict):
        node[token] = new
    else:
        node[int(token)] = new
