"""Checks of a write's content and of its permissions, before it is decided.

The rules are in docs/wire/settings.md, sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from retain.engine.core.errors import Forbidden, Invalid, NotFound, PreconditionFailed, QuotaExceeded
from retain.engine.settings.commands import SettingsWrite
from retain.engine.settings.model import METADATA, MISSING, Document, Level, Missing, Path
from retain.engine.settings.queries import NO_RIGHT, NO_SUCH, own_tag
from retain.engine.settings.roles import Right, as_stored, bare, check_metadata, permits
from retain.engine.settings.state import SettingsState
from retain.engine.settings.value import EncodedValue, check_body, same

UNREACHABLE = frozenset({"", ".", ".."})
"""Names that cannot be in a URL: clients and proxies collapse or remove them (docs/wire/settings.md, section
2).
"""


def target_path(command: SettingsWrite, own: Document | None) -> Path:
    """Return the path of a write, with role lists spelled as stored.

    Raises:
        Invalid: `__metadata` where it has no force; at user and device level that is everywhere.
    """
    check_path(command, command.path)
    return as_stored(own.value if own else None, command.path)


def check_path(command: SettingsWrite, path: Path) -> None:
    """Check where role lists may be. Raises as `target_path`."""
    if METADATA in path:
        if METADATA in (path[:1] + path[2:]):
            raise Invalid(f"{METADATA} must be a direct member of a configuration", reason="metadata")
        if command.place.level != Level.GLOBAL:
            raise Invalid(f"{METADATA} is not allowed at this level", reason="metadata")


def admit(command: SettingsWrite, path: Path, body: EncodedValue, *, merging: bool = False) -> EncodedValue:
    """Return the body as it may be stored: role lists are left out where they have no meaning.

    Raises:
        Invalid: It breaks the value rule, or is no object where only one can be.
    """
    policy = command.policy
    if len(path) + body.depth > policy.max_depth:
        raise Invalid(f"the document is nested deeper than {policy.max_depth} levels", reason="depth")
    if not path and not isinstance(body.value, dict):
        raise Invalid("a level document must be an object", reason="object")
    if not path:
        for name, configuration in body.value.items():
            check_configuration(command, name, configuration, removable=merging)
    elif len(path) == 1:
        check_configuration(command, path[0], body.value)
    check_body(body, len(path), policy)
    if command.place.level == Level.GLOBAL or METADATA.encode() not in body.text:
        return body
    if not path:
        return EncodedValue.of({name: bare(configuration) for name, configuration in body.value.items()})
    return EncodedValue.of(bare(body.value)) if len(path) == 1 else body


def check_configuration(command: SettingsWrite, name: str, value: Any, *, removable: bool = False) -> None:
    """Check a configuration's name and kind.

    At global level it is an object, as it holds role lists (docs/wire/settings.md, section 7); elsewhere
    anything but null.
    """
    if name in UNREACHABLE or name == METADATA or "\0" in name:
        raise Invalid("a configuration cannot have this name", reason="name")
    if value is None and removable:
        return
    if value is None or (command.place.level == Level.GLOBAL and not isinstance(value, dict)):
        raise Invalid("a configuration must be an object", reason="object")


def authorise(
    command: SettingsWrite,
    own: Document | None,
    names: Iterable[str],
    rights: Iterable[Right] = (Right.WRITE,),
) -> None:
    """Demand `rights` over every one of these configurations that exists.

    A JSON patch needs the right to read as well: it could copy from what it names, or probe it with a test.

    Raises:
        Forbidden: The asker lacks one of the rights over one of them, so nothing is done.

    """
    if own is None or command.place.level != Level.GLOBAL:
        return
    for name in names:
        if name in own.value and not all(permits(own.value[name], right, command.asker) for right in rights):
            raise Forbidden(NO_RIGHT, reason="role")


def check_result(command: SettingsWrite, old: dict[str, Any], new: Any, touched: Iterable[str]) -> None:
    """Check the result of a write.

    Role lists must be lists, set by a caller who may; new configurations must be created by a caller who may.

    Raises:
        Invalid: A configuration or its lists would be malformed.
        Forbidden: The asker may not create a configuration, or not set its lists.
    """
    if command.place.level != Level.GLOBAL:
        return
    asker, policy = command.asker, command.policy
    for name in touched:
        if name not in new:
            continue
        check_configuration(command, name, new[name])
        before = old[name].get(METADATA, MISSING) if isinstance(old.get(name), dict) else MISSING
        after = new[name].get(METADATA, MISSING)
        makers = policy.global_create_roles
        if name not in old and makers and not asker.admin and makers.isdisjoint(asker.roles):
            raise Forbidden("no permission to create a configuration", reason="create")
        if after is before or (isinstance(after, Missing) and isinstance(before, Missing)):
            continue
        if not isinstance(after, Missing):
            check_metadata(after)
        if policy.admin_metadata and not asker.admin and not same(before, after):
            raise Forbidden("only administrators can set role lists at this level", reason="metadata")


def check_bounds(state: SettingsState, command: SettingsWrite, own: Document | None, size: int) -> None:
    """Check the bounds on documents, applications and devices. A write that shrinks always passes.

    Raises:
        QuotaExceeded: A bound would be exceeded.
    """
    policy, place = command.policy, command.place
    grown = size - (own.size if own else 0)
    if grown > 0 and size > policy.max_document_bytes:
        raise QuotaExceeded(
            f"the document of this level would be larger than {policy.max_document_bytes} bytes",
            reason="document",
            limit=policy.max_document_bytes,
        )
    quota = policy.quota_application_bytes
    if quota and grown > 0 and state.usage.get(place.application, 0) + grown > quota:
        raise QuotaExceeded(
            f"the documents of the application would be larger than {quota} bytes together",
            reason="application",
            limit=quota,
        )
    quota = policy.quota_devices
    if own is None and place.level == Level.DEVICE and quota:
        held = state.user_devices.get((place.application, place.user), 0)
        if held >= quota:
            raise QuotaExceeded(
                f"the user has {quota} devices, the limit; delete the settings of one",
                reason="devices",
                limit=quota,
            )


def check_conditions(state: SettingsState, command: SettingsWrite, shown: str, *, exists: bool) -> None:
    """Check the request's preconditions against the tags that reads of the target show.

    RFC 9110 section 13.1.

    Args:
        state: The settings.
        command: The write.
        shown: The tag of a plain read; that of a read of the own level alone counts too.
        exists: Whether a plain read finds the target.

    Raises:
        PreconditionFailed: One does not hold.
    """
    conditions = command.conditions
    present = {shown, own_tag(state, command.place)}
    if conditions.match is not None and present.isdisjoint(conditions.match):
        raise PreconditionFailed(
            "the document has changed: its ETag is not in If-Match; read it again", reason="match"
        )
    if conditions.match_any and not exists:
        raise PreconditionFailed("If-Match cannot be met: the document does not exist", reason="match")
    if conditions.none_match is not None and not present.isdisjoint(conditions.none_match):
        raise PreconditionFailed("the document has an ETag that If-None-Match excludes", reason="none-match")
    if conditions.none_match_any and exists:
        raise PreconditionFailed(
            "the document already exists, which If-None-Match: * excludes", reason="none-match"
        )


def missing(hidden: Any) -> Exception:
    """Return the error for a target that the asker does not see.

    It is 403 if the target may be in the part hidden from the asker (docs/wire/settings.md, section 4).
    """
    return NotFound(NO_SUCH) if isinstance(hidden, Missing) else Forbidden(NO_RIGHT, reason="role")
