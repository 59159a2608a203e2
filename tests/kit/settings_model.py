"""The behaviour of settings, implemented in the simplest way: deep copies, whole merges, no sharing and no
journal.

Written from docs/wire/settings.md, sections 3 to 8, not from the code it checks.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

META = "__metadata"


class _Nothing:
    """Its own copy, so that it stays one."""

    def __deepcopy__(self, _: Any) -> _Nothing:
        return self


NOTHING: Any = _Nothing()


@dataclass(frozen=True)
class Who:
    name: str
    roles: frozenset[str] = frozenset()

    @property
    def admin(self) -> bool:
        return "admin" in self.roles


@dataclass
class Model:
    """All level documents by (level, device, user)."""

    documents: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def key(self, who: Who, level: str, device: str) -> tuple[str, str, str]:
        return {
            "global": ("global", "", ""),
            "currentuser": ("user", "", who.name),
            "device": ("device", device, who.name),
        }[level]

    def owner(self, device: str) -> str | None:
        return next(
            (user for kind, name, user in self.documents if kind == "device" and name == device), None
        )

    def foreign(self, who: Who, level: str, device: str) -> bool:
        return level == "device" and self.owner(device) not in {None, who.name}

    def read(self, who: Who, level: str, device: str, path: list[str], merged: bool) -> tuple[int, Any]:
        if self.foreign(who, level, device):
            return 403, NOTHING
        shown, hidden = self.effective(who, level, device, merged)
        value = dig(shown, path)
        if value is NOTHING:
            return (403 if hidden and (not path or path[0] in hidden) else 404), NOTHING
        if not path and value == {} and hidden and not self.has_own(who, level, device):
            return 403, NOTHING
        return 200, value

    def has_own(self, who: Who, level: str, device: str) -> bool:
        if level == "global":
            return False
        keys = {self.key(who, level, device), self.key(who, "currentuser", "")}
        return any(key in self.documents for key in keys)

    def effective(self, who: Who, level: str, device: str, merged: bool) -> tuple[Any, set[str]]:
        """(what shows, names of configurations that are hidden)."""
        own = self.documents.get(self.key(who, level, device), NOTHING)
        application = self.documents.get(("global", "", ""), NOTHING)
        if level != "global" and not merged:
            return own, set()
        hidden: set[str] = set()
        visible = NOTHING
        if application is not NOTHING:
            hidden = {name for name, config in application.items() if not may(config, "read", who)}
            visible = {name: copy.deepcopy(c) for name, c in application.items() if name not in hidden}
        if level == "global":
            return visible, hidden
        if visible is not NOTHING:
            for config in visible.values():
                config.pop(META, None)
        layers = [visible]
        if level == "device":
            layers.append(self.documents.get(("user", "", who.name), NOTHING))
        layers.append(own)
        result = NOTHING
        for layer in layers:
            if layer is not NOTHING:
                result = copy.deepcopy(layer) if result is NOTHING else lay(result, layer)
        return result, hidden

    def write(self, who: Who, method: str, level: str, device: str, path: list[str], body: Any) -> int:
        if self.foreign(who, level, device):
            return 403
        key = self.key(who, level, device)
        own = copy.deepcopy(self.documents.get(key, NOTHING))
        before = {} if own is NOTHING else copy.deepcopy(own)
        shared = level == "global"
        if method != "DELETE":
            body = copy.deepcopy(body)
            if not path and not isinstance(body, dict):
                return 400
            configs = body if not path else {path[0]: body} if len(path) == 1 else {}
            for config in configs.values():
                if config is None and not (method == "PATCH" and not path):
                    return 400
                if shared and not isinstance(config, dict) and config is not None:
                    return 400
                if not shared and isinstance(config, dict):
                    config.pop(META, None)
        touched = [path[0]] if path else list(body) if method in {"POST", "PATCH"} else list(before)
        if shared and any(name in before and not may(before[name], "write", who) for name in touched):
            return 403
        shown, hidden = (own, set()) if shared else self.effective(who, level, device, True)
        missing = 403 if hidden and (not path or path[0] in hidden) else 404
        match method:
            case "POST":
                status, after = posted(own, before, shown, path, body, missing)
            case "PUT":
                if shared:
                    keep_lists(before, path, body)
                status, after = replaced(before, shown, path, body, missing, creates=level == "device")
            case "PATCH":
                there = dig(shown, path)
                status = missing if there is NOTHING else 204
                # a patch that only removes members that the own level lacks changes nothing
                idle = isinstance(body, dict) and dig(own, path) is NOTHING and not patched({}, body)
                applied = status == 204 and not idle
                after = put(before, path, patched(dig(own, path), body)) if applied else NOTHING
            case _:
                status = 404 if dig(own, path) is NOTHING else 204
                after = drop(before, path) if status == 204 and path else NOTHING
                if status == 204 and not path:
                    del self.documents[key]
        if after is not NOTHING:
            self.documents[key] = after
        return status


def posted(own: Any, before: Any, shown: Any, path: list[str], body: Any, missing: int) -> tuple[int, Any]:
    if not path:
        return (409, NOTHING) if set(body) & set(before) else (201, {**before, **body})
    if dig(own, path) is not NOTHING:
        return 409, NOTHING
    parent = dig(shown, path[:-1]) if len(path) > 1 else {}
    if parent is NOTHING:
        return missing, NOTHING
    return (201, put(before, path, body)) if isinstance(parent, dict) else (404, NOTHING)


def replaced(
    before: Any, shown: Any, path: list[str], body: Any, missing: int, *, creates: bool
) -> tuple[int, Any]:
    after = put(before, path, body) if path else body
    if dig(shown, path) is not NOTHING:
        return 204, after
    parents = [dig(shown, path[:length]) for length in range(len(path))]
    if not creates or any(not isinstance(parent, dict) for parent in parents if parent is not NOTHING):
        return missing, NOTHING
    return 201, after


def may(config: Any, right: str, who: Who) -> bool:
    roles = config.get(META, {}).get(f"{right}Roles", []) if isinstance(config, dict) else []
    return who.admin or not roles or bool(set(roles) & who.roles)


def dig(value: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return NOTHING
        value = value[name]
    return value


def put(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    document = dict(document) if isinstance(document, dict) else {}
    document[path[0]] = put(document.get(path[0], {}), path[1:], value)
    return document


def drop(document: Any, path: list[str]) -> Any:
    document = dict(document)
    if len(path) == 1:
        del document[path[0]]
    else:
        document[path[0]] = drop(document[path[0]], path[1:])
    return document


def lay(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        result = copy.deepcopy(below)
        for name, value in above.items():
            result[name] = lay(result[name], value) if name in result else copy.deepcopy(value)
        return result
    return copy.deepcopy(above)


def patched(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name, NOTHING), value)
    return result


def keep_lists(before: Any, path: list[str], body: Any) -> None:
    configs = body if not path else {path[0]: body} if len(path) == 1 else {}
    for name, config in configs.items():
        old = before.get(name)
        if isinstance(old, dict) and META in old and META not in config:
            config[META] = old[META]
