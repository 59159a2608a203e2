"""Decide clients' commands: docs/wire/settings.md, sections 3, 7 and 8.

Reads the state, returns events, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from retain.engine.core.command import Command, Decision
from retain.engine.core.errors import Conflict, NotFound
from retain.engine.core.event import Cause, Event
from retain.engine.settings.admit import (
    admit,
    authorise,
    check_bounds,
    check_conditions,
    check_path,
    check_result,
    missing,
    target_path,
)
from retain.engine.settings.commands import (
    DeleteValue,
    MergeValue,
    PatchValue,
    PostValue,
    PutValue,
    RestoreValue,
    SettingsWrite,
    WriteResult,
)
from retain.engine.settings.events import Change, DocumentDeleted, Op, Result, changed, stated
from retain.engine.settings.json_patch import apply_steps, work_for
from retain.engine.settings.merge import descend, is_blocked, resolve
from retain.engine.settings.merge_patch import merge_patch
from retain.engine.settings.model import METADATA, MISSING, Document, Level, Missing, Path, tag_of
from retain.engine.settings.paths import walk
from retain.engine.settings.queries import NO_SUCH, LayeredView, check_device, look
from retain.engine.settings.roles import Right
from retain.engine.settings.state import SettingsState, apply_changes
from retain.engine.settings.value import EncodedValue, depth_of, same, to_text

Decider = Callable[[SettingsState, Any, int], Decision[WriteResult]]


def deciders(state: SettingsState) -> Mapping[type[Command[Any]], Callable[[Any, int], Decision[Any]]]:
    """Return which function decides which command."""
    table: dict[type[Command[Any]], Decider] = {
        PostValue: post,
        PutValue: put,
        MergeValue: merge,
        PatchValue: patch,
        DeleteValue: delete,
        RestoreValue: restore,
    }
    return {command: partial(decide, state) for command, decide in table.items()}


class _Target:
    """The target of a write, looked up once.

    Attributes:
        own: The document of the place itself.
        path: The path in it.
        view: The layers on which existence is judged (docs/wire/settings.md, section 3): at global level the
            document itself, whatever the asker may read of it; elsewhere what the asker sees.
        is_shown: Whether a plain read finds it.

    """

    __slots__ = ("command", "is_shown", "own", "path", "state", "view")

    def __init__(self, state: SettingsState, command: SettingsWrite) -> None:
        place, policy = command.place, command.policy
        if policy.applications and place.application not in policy.applications:
            raise NotFound(NO_SUCH)
        check_device(state, place, policy)
        self.state = state
        self.command = command
        self.own: Document | None = state.documents.get(place)
        self.path: Path = target_path(command, self.own)
        self.view: LayeredView = look(state, command.asker, place, self.path)
        if place.level == Level.GLOBAL:
            self.view = LayeredView((self.own.value,) if self.own else (), MISSING, self.view.tag)
        self.is_shown = bool(descend(self.view.layers, self.path))

    def value(self, path: Path) -> Any:
        """Return the value under `path` in the place's own document."""
        return walk(self.own.value, path) if self.own else MISSING

    def refuse_missing(self) -> NoReturn:
        """Raise NotFound, or Forbidden if the application's part is hidden from the asker."""
        raise missing(self.view.hidden)

    def commit(
        self,
        changes: Sequence[Change],
        *,
        touched: Sequence[str],
        created: bool,
        whole: EncodedValue | None = None,
    ) -> Decision[WriteResult]:
        """Return the events of a write that passed its own rules, after the checks that all writes share."""
        command, own = self.command, self.own
        old = own.value if own else {}
        if not created and whole is None and own is None and not changes:
            check_conditions(self.state, command, self.view.tag, exists=self.is_shown)
            # the level has no document of its own, and the write creates none
            return Decision((), WriteResult(created, self.view.tag))
        if whole is not None:
            new, size = whole.value, len(whole.text)
        else:
            new, longer = apply_changes(old, changes)
            size = (own.size if own else 2) + longer
        check_result(command, old, new, touched)
        check_bounds(self.state, command, own, size)
        check_conditions(self.state, command, self.view.tag, exists=self.is_shown)
        resource = own.resource if own else command.resource
        revision = self.state.next_revision(own)
        facts = {
            "resource": resource,
            "actor": command.actor,
            "cause": Cause.REQUEST,
            "place": command.place,
            "revision": revision,
            "method": command.METHOD,
            "path": self.path,
        }
        events: Sequence[Event]
        if whole is not None or own is None:
            text = whole.text if whole is not None else to_text(new)
            events = tuple(stated(text, new, **_origin(own), **facts))
        else:
            events = tuple(changed(changes, Result(new, size), **facts))
        return Decision(tuple(events), WriteResult(created, self._tag(tag_of(resource, revision))))

    def _tag(self, own: str) -> str:
        """Return the tag of a plain read after the write: the present one with the own part replaced."""
        tags, dash, mark = self.view.tag.partition("-")
        *above, _ = tags.split("_")
        return "_".join([*above, own]) + dash + mark


def post(state: SettingsState, command: PostValue, _: int) -> Decision[WriteResult]:
    """Decide a POST, which creates what does not exist on its own level; its parents must show."""
    target = _Target(state, command)
    path = target.path
    body = admit(command, path, command.body)
    own = target.own.value if target.own else {}
    if not path:
        authorise(command, target.own, body.value)
        if not own.keys().isdisjoint(body.value):
            raise Conflict("a configuration of that name already exists")
        changes = [_setting((name,), value) for name, value in body.value.items()]
        return target.commit(changes, touched=list(body.value), created=True)
    authorise(command, target.own, path[:1])
    if not isinstance(target.value(path), Missing):
        raise Conflict("the setting already exists")
    if len(path) > 1:
        parent = resolve(target.view.layers, path[:-1])
        if isinstance(parent, Missing):
            target.refuse_missing()
        if not isinstance(parent, dict):
            raise NotFound(NO_SUCH)
    return target.commit([_set(path, body)], touched=path[:1], created=True)


def put(state: SettingsState, command: PutValue, _: int) -> Decision[WriteResult]:
    """Decide a PUT, which replaces what shows; at device level, or where allowed, it also creates.

    See docs/wire/settings.md, section 11.2.
    """
    target = _Target(state, command)
    path = target.path
    body = admit(command, path, command.body)
    created = not target.is_shown
    authorise(command, target.own, path[:1] if path else (target.own.value if target.own else ()))
    if created:
        creates = command.policy.put_creates or command.place.level == Level.DEVICE
        if not creates or is_blocked(target.view.layers, path):
            target.refuse_missing()
    body = _keep_lists(target, body)
    if not path:
        return target.commit([], touched=list(body.value), created=created, whole=body)
    return target.commit([_set(path, body)], touched=path[:1], created=created)


def merge(state: SettingsState, command: MergeValue, _: int) -> Decision[WriteResult]:
    """Decide a merge patch: the target must show, the change is made at the own level.

    See docs/wire/settings.md, section 11.25.
    """
    target = _Target(state, command)
    path = target.path
    body = admit(command, path, command.body, merging=True)
    touched = path[:1] or tuple(body.value)
    authorise(command, target.own, touched)
    if not target.is_shown:
        target.refuse_missing()
    op = Op.MERGE if isinstance(body.value, dict) else Op.SET
    changes = [Change(op, path, body.value, body.text)]
    if op is Op.MERGE and isinstance(target.value(path), Missing) and not merge_patch({}, body.value):
        changes = []  # it only removes members that the own level lacks: inherited values stay
    return target.commit(changes, touched=touched, created=False)


def patch(state: SettingsState, command: PatchValue, _: int) -> Decision[WriteResult]:
    """Decide a JSON patch on the own level's value; record its result, not its operations."""
    target = _Target(state, command)
    path, policy = target.path, command.policy
    named = path[:1] or _named(target, command)
    authorise(command, target.own, named, Right)
    if not target.is_shown:
        target.refuse_missing()
    old = target.value(path)
    base = {} if isinstance(old, Missing) else old
    new = apply_steps(
        base,
        command.steps,
        max_bytes=policy.max_document_bytes,
        max_depth=policy.max_depth - len(path),
        work=work_for(command.size),
    )
    changes = [_admitted(command, change) for change in _differences(base, new, path)]
    touched = path[:1] or tuple({change.path[0]: None for change in changes if change.path})
    return target.commit(changes, touched=touched, created=False)


def delete(state: SettingsState, command: DeleteValue, _: int) -> Decision[WriteResult]:
    """Decide a DELETE, which removes from the own level only.

    What is inherited shows again, or cannot be removed from below.
    """
    target = _Target(state, command)
    path, own = target.path, target.own
    authorise(command, own, path[:1] if path else (own.value if own else ()))
    if own is None or isinstance(target.value(path), Missing):
        raise NotFound(NO_SUCH)
    if path:
        return target.commit([Change(Op.REMOVE, path)], touched=path[:1], created=False)
    check_conditions(state, command, target.view.tag, exists=True)
    event = DocumentDeleted(
        resource=own.resource,
        actor=command.actor,
        cause=Cause.REQUEST,
        place=command.place,
        revision=state.next_revision(own),
        method=command.METHOD,
    )
    return Decision((event,), WriteResult(False, ""))


def restore(state: SettingsState, command: RestoreValue, _: int) -> Decision[WriteResult]:
    """Restore an earlier value, role lists included, under the same rights as a PUT."""
    target = _Target(state, command)
    path, own, body = target.path, target.own, command.body
    if own is None or own.resource != command.whose:
        raise Conflict("the document was deleted meanwhile")
    names = path[:1] if path else (*own.value, *body.value)
    authorise(command, own, names)
    created = isinstance(target.value(path), Missing)
    if not path:
        return target.commit([], touched=list(body.value), created=created, whole=body)
    return target.commit([_set(path, body)], touched=path[:1], created=created)


def _origin(own: Document | None) -> dict[str, int]:
    return {"born": own.born, "first": own.first} if own else {}


def _set(path: Path, body: EncodedValue) -> Change:
    return Change(Op.SET, path, body.value, body.text)


def _setting(path: Path, value: Any) -> Change:
    return Change(Op.SET, path, value, to_text(value))


def _keep_lists(target: _Target, body: EncodedValue) -> EncodedValue:
    """Keep the old lists if a replacement has no `__metadata`.

    It would remove the protection by accident (docs/wire/settings.md, section 7).
    """
    own, path = target.own, target.path
    if own is None or target.command.place.level != Level.GLOBAL or len(path) > 1:
        return body

    def kept(name: str, configuration: Any) -> Any:
        old = own.value.get(name)
        if METADATA in configuration or not isinstance(old, dict) or METADATA not in old:
            return configuration
        return {**configuration, METADATA: old[METADATA]}

    if path:
        value = kept(path[0], body.value)
    else:
        value = {name: kept(name, configuration) for name, configuration in body.value.items()}
        if all(value[name] is body.value[name] for name in value):
            return body
    return body if value is body.value else EncodedValue.of(value)


def _admitted(command: PatchValue, change: Change) -> Change:
    """Check one change of a JSON patch, under the rules for any body."""
    check_path(command, change.path)
    if change.op is not Op.SET:
        return change
    return _set(
        change.path,
        admit(command, change.path, EncodedValue(change.value, change.text, depth_of(change.value))),
    )


def _named(target: _Target, command: PatchValue) -> tuple[str, ...]:
    """Return the configurations that a patch of a whole level names; all if it names the level itself."""
    pointers = [step.path for step in command.steps]
    pointers += [step.origin for step in command.steps if step.origin is not None]
    if not all(pointers):
        return tuple(target.own.value) if target.own else ()
    return tuple({pointer[0]: None for pointer in pointers})


def _differences(old: Any, new: Any, path: Path) -> Iterator[Change]:
    """Yield the smallest settings and removals that lead from `old` to `new`: nothing for what both share.

    One walk: a comparison of wholes before each step down would visit every value once a level.
    """
    if old is new:
        return
    if not isinstance(old, dict) or not isinstance(new, dict):
        # Python's own comparison finds a difference sooner; only for equal ones do `true` and `1` matter.
        if old != new or not same(old, new):
            yield _setting(path, new)
        return
    for name in old:
        if name not in new:
            yield Change(Op.REMOVE, (*path, name))
    for name, value in new.items():
        if name in old:
            yield from _differences(old[name], value, (*path, name))
        else:
            yield _setting((*path, name), value)
