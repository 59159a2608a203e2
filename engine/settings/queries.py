"""Reading settings: pure functions over the state (docs/wire/settings.md, sections 4, 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zlib import crc32

from retain.engine.core.errors import Forbidden, NotFound
from retain.engine.settings.merge import resolve
from retain.engine.settings.model import MISSING, Asker, Document, Level, Missing, Path, Place, SettingsPolicy
from retain.engine.settings.roles import Right, as_stored, bare, permits, without_metadata
from retain.engine.settings.state import SettingsState

NO_SUCH = "the application, configuration or property does not exist"
NO_RIGHT = "no permission to access this configuration"
FOREIGN_DEVICE = "this device belongs to another user"


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The answer to a read.

    Attributes:
        value: The value, as the asker may see it.
        tag: Names the state of all that the value may come from.

    """

    value: Any
    tag: str


@dataclass(frozen=True, slots=True)
class LayeredView:
    """What an asker sees of a place, as layers to be laid over one another, lowest first.

    Attributes:
        layers: Level documents, or the parts of them that matter for the path.
        hidden: The application's part that the asker has no right to read; `MISSING` if there is none.
        tag: See `ReadResult`.

    """

    layers: tuple[Any, ...]
    hidden: Any
    tag: str


def read_value(
    state: SettingsState,
    asker: Asker,
    place: Place,
    path: Path,
    policy: SettingsPolicy,
    *,
    merged: bool = True,
) -> ReadResult:
    """Return what a GET shows.

    Args:
        state: The settings.
        asker: Who reads; at user and device level the user of `place`, or an admin.
        place: The level document.
        path: The path in it.
        policy: The operator's policy, for the ownership of devices.
        merged: Whether the levels above show through; at global level there are none.

    Raises:
        NotFound: There is nothing.
        Forbidden: Nothing there may be read by this asker, or the device is another user's.
    """
    check_device(state, place, policy)
    view = look(state, asker, place, path, merged=merged)
    path = as_stored(view.layers[-1] if view.layers else None, path) if place.level == Level.GLOBAL else path
    value = resolve(view.layers, path)
    if isinstance(value, Missing):
        if not isinstance(view.hidden, Missing):
            # Also for a property that does not exist: a caller who may not read the rest must not learn its
            # name.
            raise Forbidden(NO_RIGHT, reason="role")
        raise NotFound(NO_SUCH)
    if not path and value == {} and not isinstance(view.hidden, Missing) and len(view.layers) == 1:
        raise Forbidden(NO_RIGHT, reason="role")
    return ReadResult(value, view.tag)


def look(state: SettingsState, asker: Asker, place: Place, path: Path, *, merged: bool = True) -> LayeredView:
    """Return the layers that `asker` sees, as far as they matter for `path`."""
    application = state.documents.get(Place(place.application, Level.GLOBAL))
    if place.level == Level.GLOBAL:
        if application is None:
            return LayeredView((), MISSING, "0")
        visible, hidden, mark = _readable(application, asker, path)
        return LayeredView((visible,), hidden, application.tag + mark)
    own = state.documents.get(place)
    if not merged:
        return LayeredView(_present(own), MISSING, _tag(own))
    user = None
    tags = [_tag(application)]
    if place.level == Level.DEVICE:
        user = state.documents.get(Place(place.application, Level.USER, user=place.user))
        tags.append(_tag(user))
    tags.append(_tag(own))
    if application is None:
        return LayeredView(_present(user, own), MISSING, "_".join(tags))
    visible, hidden, mark = _readable(application, asker, path)
    shown = {path[0]: bare(visible[path[0]])} if path and path[0] in visible else {}
    layer = shown if path else without_metadata(visible)
    return LayeredView((layer, *_present(user, own)), hidden, "_".join(tags) + mark)


def _readable(document: Document, asker: Asker, path: Path) -> tuple[dict[str, Any], Any, str]:
    """Return the readable part, the hidden part, and a mark that distinguishes them in the tag."""
    if path:
        if path[0] not in document.value or permits(document.value[path[0]], Right.READ, asker):
            return document.value, MISSING, ""
        return {}, document.value, f"-{crc32(path[0].encode()):08x}"
    kept: dict[str, Any] = {}
    hidden: dict[str, Any] = {}
    for name, configuration in document.value.items():
        (kept if permits(configuration, Right.READ, asker) else hidden)[name] = configuration
    if not hidden:
        return document.value, MISSING, ""
    return kept, hidden, f"-{crc32(repr(sorted(hidden)).encode()):08x}"


def _present(*documents: Document | None) -> tuple[Any, ...]:
    return tuple(document.value for document in documents if document is not None)


def _tag(document: Document | None) -> str:
    return "0" if document is None else document.tag


def own_tag(state: SettingsState, place: Place) -> str:
    """Return the tag of the place's own document; `0` if there is none."""
    return _tag(state.documents.get(place))


def owner_of(state: SettingsState, application: str, device: str) -> str | None:
    """Return the user whose device it is: the first writer, while that record exists.

    See docs/wire/settings.md, section 8.
    """
    users = state.devices.get((application, device))
    return users[0][1] if users else None


def check_device(state: SettingsState, place: Place, policy: SettingsPolicy) -> None:
    """Refuse another user's device, unless devices are shared."""
    if place.level == Level.DEVICE and not policy.shared_devices:
        owner = owner_of(state, place.application, place.device)
        if owner is not None and owner != place.user:
            raise Forbidden(FOREIGN_DEVICE, reason="device")


def seen_by(state: SettingsState, asker: Asker, application: str, device: str = "") -> Any:
    """Return all that a user's device (or, without one, the user) saw; `MISSING` if nothing.

    For time travel over an earlier state.
    """
    level = Level.DEVICE if device else Level.USER
    view = look(state, asker, Place(application, level, device, asker.name), ())
    return resolve(view.layers, ())


def places_concerned(place: Place, *, merged: bool = True) -> tuple[Place, ...]:
    """Return the level documents that a read of `place` may come from: what a watcher waits for."""
    if place.level == Level.GLOBAL or not merged:
        return (place,)
    above = [Place(place.application, Level.GLOBAL)]
    if place.level == Level.DEVICE:
        above.append(Place(place.application, Level.USER, user=place.user))
    return (*above, place)


def places_of_application(state: SettingsState, application: str) -> list[Place]:
    """Return every level document of an application, in order."""
    return sorted(place for place in state.documents if place.application == application)
