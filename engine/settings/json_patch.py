"""JSON Patch (RFC 6902) on values that are never changed in place.

Written here because a patch must share what it does not touch, must not grow a value beyond its bound by
copying it into itself, and must tell ``true`` from ``1`` in a test.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from retain.engine.core.errors import Conflict, Invalid, PreconditionFailed, TooLarge
from retain.engine.settings.model import MISSING, Missing, Path
from retain.engine.settings.value import depth_of, measure, same

STEPS_MAX = 1_000
"""Most operations in one patch."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_BAD_ESCAPE = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation.

    Attributes:
        op: add, remove, replace, move, copy or test.
        path: Where, as reference tokens (RFC 6901), unescaped.
        origin: ``from`` of a move or copy, else None.
        value: The operand of add, replace and test, else `MISSING`.
    """

    op: str
    path: Path
    origin: Path | None = None
    value: Any = MISSING


def read_steps(document: Any) -> tuple[Step, ...]:
    """The operations of a patch document.

    Raises:
        Invalid: It is not one (RFC 6902 sections 3 and 4).
    """
    if not isinstance(document, list):
        raise Invalid("a JSON patch must be an array", reason="json-patch")
    if len(document) > STEPS_MAX:
        raise Invalid(f"a JSON patch holds at most {STEPS_MAX} operations", reason="json-patch")
    return tuple(_read_step(item) for item in document)


def _read_step(item: Any) -> Step:
    op = item.get("op") if isinstance(item, dict) else None
    if not isinstance(op, str) or op not in _STEPS:
        raise Invalid("an operation needs a known op", reason="json-patch")
    origin = _pointer(item.get("from")) if op in {"move", "copy"} else None
    value = MISSING
    if op in {"add", "replace", "test"}:
        if "value" not in item:
            raise Invalid(f"{op} needs a value", reason="json-patch")
        value = item["value"]
    return Step(op, _pointer(item.get("path")), origin, value)


def _pointer(text: Any) -> Path:
    """RFC 6901."""
    if not isinstance(text, str) or (text and text[0] != "/") or _BAD_ESCAPE.search(text):
        raise Invalid("an operation needs JSON pointers", reason="json-patch")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])


def apply_steps(value: Any, steps: Sequence[Step], *, max_bytes: int, max_depth: int) -> Any:
    """`value` after all `steps`, or nothing at all.

    Args:
        value: What the patch is for; not changed.
        steps: The operations, in order.
        max_bytes: Bytes that copies may add altogether.
        max_depth: How deep the result may be nested at any moment.

    Raises:
        Conflict: A target does not exist, or a test fails (reasons ``json-patch-target``,
            ``json-patch-test``).
        TooLarge: Copies beyond `max_bytes`.
        Invalid: Nested too deep.
    """
    copied = 0
    for step in steps:
        added = step.value
        if step.origin is not None:
            added = _get(value, step.origin)
            if step.op == "copy":
                copied += measure(added)
                if copied > max_bytes:
                    raise TooLarge("the patch copies more than a document may hold", limit=max_bytes)
        if not isinstance(added, Missing) and len(step.path) + depth_of(added) > max_depth:
            raise Invalid(f"nested deeper than {max_depth}", reason="depth")
        value = _STEPS[step.op](value, step, added)
    return value


def _add(value: Any, step: Step, added: Any) -> Any:
    return _change(value, step.path, lambda node, token: _inserted(node, token, added), added)


def _remove(value: Any, step: Step, _: Any) -> Any:
    return _change(value, step.path, _without, MISSING)


def _replace(value: Any, step: Step, added: Any) -> Any:
    _get(value, step.path)
    return _change(value, step.path, lambda node, token: _with(node, token, added), added)


def _move(value: Any, step: Step, added: Any) -> Any:
    assert step.origin is not None
    if step.path[: len(step.origin)] == step.origin:
        if len(step.path) == len(step.origin):
            return value
        raise Conflict("a value cannot be moved into itself", reason="json-patch-target")
    return _add(_change(value, step.origin, _without, MISSING), step, added)


def _test(value: Any, step: Step, expected: Any) -> Any:
    if not same(_get(value, step.path), expected):
        raise PreconditionFailed("a test of the patch fails", reason="json-patch-test")
    return value


_STEPS: dict[str, Callable[[Any, Step, Any], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _add,
    "test": _test,
}


def _get(value: Any, path: Path) -> Any:
    for token in path:
        value = _member(value, token)
    return value


def _member(node: Any, token: str) -> Any:
    if isinstance(node, dict) and token in node:
        return node[token]
    if isinstance(node, list) and _INDEX.fullmatch(token) and int(token) < len(node):
        return node[int(token)]
    raise Conflict("the target of an operation does not exist", reason="json-patch-target")


def _change(value: Any, path: Path, change: Callable[[Any, str], Any], whole: Any) -> Any:
    """`value` with `change(parent, last token)` in place of the parent; the whole value itself is set to
    `whole`."""
    if not path:
        if isinstance(whole, Missing):
            raise Conflict("the whole document cannot be removed", reason="json-patch-target")
        return whole
    if len(path) == 1:
        return change(value, path[0])
    return _with(value, path[0], _change(_member(value, path[0]), path[1:], change, whole))


def _with(node: Any, token: str, new: Any) -> Any:
    if isinstance(node, dict):
        return {**node, token: new}
    index = int(token)
    return [*node[:index], new, *node[index + 1 :]]


def _inserted(node: Any, name: str, new: Any) -> Any:
    if isinstance(node, dict):
        return {**node, name: new}
    if isinstance(node, list):
        if name == "-":
            return [*node, new]
        if _INDEX.fullmatch(name) and int(name) <= len(node):
            index = int(name)
            return [*node[:index], new, *node[index:]]
    raise Conflict("the target of an operation does not exist", reason="json-patch-target")


def _without(node: Any, token: str) -> Any:
    _member(node, token)
    if isinstance(node, dict):
        return {name: member for name, member in node.items() if name != token}
    return [*node[: int(token)], *node[int(token) + 1 :]]
