"""`/console/settings`: the three levels of an application side by side, merged, edited, and their history.

Administrators see everybody's settings; other users the part of the application that they may read, and their
own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from typing import Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup
from quart import Response

from retain.api.console.routing.call import PageCall
from retain.api.console.routing.errors import error_page
from retain.api.console.routing.route import Nav, Route
from retain.api.console.sessions import Notice
from retain.api.console.settings.merged import WORDS, MergedLine, lines
from retain.api.console.settings.texts import diff, mistake, pretty
from retain.api.html.filters import isolated
from retain.api.http.message import RequestError
from retain.api.identity.roles import Role
from retain.api.refusals import status_of
from retain.api.settings.interface import policy_of
from retain.api.settings.jsontext import read_json
from retain.engine import EngineError, Forbidden, NotFound, PreconditionFailed, State
from retain.engine.audit.settings_versions import Version
from retain.engine.settings import (
    MISSING,
    Asker,
    DeleteValue,
    EncodedValue,
    Level,
    Place,
    PostValue,
    Preconditions,
    PutValue,
    RestoreValue,
    SettingsPolicy,
)
from retain.engine.settings.ahead import reads_long
from retain.engine.settings.queries import check_device, look, own_tag, places_concerned
from retain.engine.settings.state import SettingsState

SETTINGS: Final = "/console/settings"
OWN: Final = frozenset({Role.ADMINISTRATOR, Role.USER})
NAMES: Final = {"application": Level.GLOBAL, "user": Level.USER, "device": Level.DEVICE}
ORIGINS: Final = {"application": "app", "user": "user", "device": "device"}
BUSY: Final = "Too many requests are reading history. Nothing was changed. Wait a few seconds and repeat it."
PER_PAGE: Final = 50
"""Most applications on a page of their list."""
VERSIONS: Final = 20
"""Most versions of a level that a page shows."""


@dataclass(frozen=True, slots=True)
class SettingsQuery:
    """The subject of a page.

    Attributes:
        application: The application's id.
        user: The user; empty for the application's settings only.
        device: The device; empty for none.
    """

    application: str
    user: str
    device: str

    def place(self, level: str) -> Place:
        """Return the document of a level. Raises NotFound for one that the page does not show."""
        if level == "application":
            return Place(self.application, Level.GLOBAL)
        if level == "user" and self.user:
            return Place(self.application, Level.USER, user=self.user)
        if level == "device" and self.user and self.device:
            return Place(self.application, Level.DEVICE, self.device, self.user)
        raise NotFound("the settings have no such level", reason="level")

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that the page shows."""
        return ("application", *(("user",) if self.user else ()), *(("device",) if self.device else ()))

    def address(self, **more: str) -> str:
        """Return the page's path."""
        query = {"application": self.application, "user": self.user, "device": self.device, **more}
        filled = {name: value for name, value in query.items() if value}
        return f"{SETTINGS}?{urlencode(filled, quote_via=quote)}"


@dataclass(frozen=True, slots=True)
class LevelView:
    """A level on the page.

    Attributes:
        level: application, user or device.
        title: Its heading.
        origin: Its mark.
        text: The document as JSON; empty if there is none.
        shown: The same as a page shows it.
        tag: The tag that a save must match.
        revision: 0 if there is none.
        may_edit: Whether this user may edit it.
    """

    level: str
    title: str
    origin: str
    text: str
    shown: Markup
    tag: str
    revision: int
    may_edit: bool


@dataclass(frozen=True, slots=True)
class Past:
    """A version in the history.

    Attributes:
        version: The version.
        changes: Its changes; None if they are too long to compare.
        current: Whether it is in force.
    """

    version: Version
    changes: list[tuple[str, Markup]] | None
    current: bool


async def show(call: PageCall) -> Response:
    """Return the list of applications, or one application's settings."""
    asked = _asked(call, call.args)
    if asked.application and "delete" in call.args:
        return await _ending(call, asked, call.args["delete"])
    if asked.application:
        return await _page(call, asked, edits=call.args.get("edit", ""))
    found: list[tuple[str, int]] = []
    count, start = 0, call.args.get("from", "")
    if call.role is Role.ADMINISTRATOR:

        def look_up(state: State, _: int) -> tuple[list[tuple[str, int]], int]:
            usage = state.settings.usage
            return nsmallest(PER_PAGE + 1, (one for one in usage.items() if one[0] >= start)), len(usage)

        found, count = await call.desk.engine.read(look_up)
    return call.page(
        "settings-list.html",
        here=SETTINGS,
        applications=found[:PER_PAGE],
        next=found[PER_PAGE][0] if len(found) > PER_PAGE else None,
        start=start,
        count=count,
        asked=asked,
        base=call.base,
    )


def _asked(call: PageCall, sent: Any) -> SettingsQuery:
    """Return the requested subject; users always get only their own settings."""
    application, user, device = (sent.get(name, "").strip() for name in ("application", "user", "device"))
    if call.role is not Role.ADMINISTRATOR:
        if user and user != call.caller.name:
            raise Forbidden("these settings are another user's", reason="user")
        user = call.caller.name
    return SettingsQuery(application, user, device if user else "")


def _asker(call: PageCall) -> Asker:
    return Asker(call.caller.name, call.caller.roles, call.role is Role.ADMINISTRATOR)


def _policy(call: PageCall) -> SettingsPolicy:
    return policy_of(call.desk.config.settings)


async def _shown(call: PageCall, asked: SettingsQuery) -> tuple[list[LevelView], list[MergedLine]]:
    """Return what `_levels` does; for long documents in a thread."""
    places = places_concerned(asked.place(asked.levels[-1]))

    def look_up(state: State, _: int) -> tuple[list[LevelView], list[MergedLine]] | SettingsState:
        if reads_long(state.settings, places, ()):
            return state.settings.excerpt(places, usage=False)
        return _levels(state.settings, call, asked)

    found = await call.desk.engine.read(look_up)
    if isinstance(found, SettingsState):
        return await call.desk.engine.compute(partial(_levels, found, call, asked))
    return found


def _levels(
    settings: SettingsState, call: PageCall, asked: SettingsQuery
) -> tuple[list[LevelView], list[MergedLine]]:
    """Return the levels, and the settings that result from them."""
    asker = _asker(call)
    shown: list[LevelView] = []
    titles = {"application": "Application", "user": f"User {asked.user}", "device": f"Device {asked.device}"}
    for level in asked.levels:
        place = asked.place(level)
        check_device(settings, place, _policy(call))
        view = look(settings, asker, place, (), merged=False)
        document = settings.documents.get(place)
        value = view.layers[0] if view.layers else MISSING
        may_edit = level != "application" or asker.admin
        revision = document.revision if document is not None else 0
        tag = own_tag(settings, place)
        text = pretty(value)
        shown.append(
            LevelView(level, titles[level], ORIGINS[level], text, isolated(text), tag, revision, may_edit)
        )
    lowest = asked.place(asked.levels[-1])
    names = [one.origin for one in shown if one.revision]
    return shown, lines(list(zip(names, look(settings, asker, lowest, ()).layers, strict=True)))


async def _page(
    call: PageCall,
    asked: SettingsQuery,
    *,
    status: int = 200,
    edits: str = "",
    text: str | None = None,
    fault: str = "",
    conflict: dict[str, Any] | None = None,
) -> Response:
    levels, merged = await _shown(call, asked)
    wanted = call.args.get("history", edits)
    if wanted not in asked.levels:
        wanted = asked.levels[-1]
    versions, without = await _versions(call, asked, wanted)
    bound = call.args.get("before", "")
    end = _end(versions, bound)
    return call.page(
        "settings.html",
        status=status,
        here=SETTINGS,
        asked=asked,
        levels=levels,
        merged=merged,
        words=WORDS,
        edits=edits,
        text=text,
        fault=fault,
        conflict=conflict,
        history=wanted,
        past=await call.desk.engine.compute(partial(_compared, versions, end)),
        without=without,
        all_versions=len(versions),
        older=versions[end - VERSIONS].revision if end > VERSIONS else None,
        newest=end == len(versions),
        oldest=versions[0].revision if versions else 0,
    )


async def _versions(call: PageCall, asked: SettingsQuery, level: str) -> tuple[list[Version], str]:
    """Return the versions of a level, or why the page shows none; both are empty if there is no document."""
    try:
        return (await call.desk.settings.past(_asker(call), asked.place(level)))[1], ""
    except NotFound:
        return [], ""
    except Forbidden:
        return [], "Only users who may read all of these settings see their history."
    except RequestError:
        return (
            [],
            "Too many requests are reading history. Wait a few seconds, and load the page again.",
        )


def _end(versions: list[Version], bound: str) -> int:
    """Return how many versions come before revision `bound`; all if none does, or if it is no number."""
    if not (bound.isascii() and bound.isdigit() and len(bound) < 19):
        return len(versions)
    return sum(one.revision < int(bound) for one in versions) or len(versions)


def _compared(versions: list[Version], end: int) -> list[Past]:
    """Return the latest of the first `end` versions, newest first, each compared with the one before."""
    found = []
    for number in range(end - 1, max(-1, end - 1 - VERSIONS), -1):
        before = versions[number - 1].value if number else MISSING
        changes = _changes(before, versions[number].value)
        found.append(Past(versions[number], changes, number == len(versions) - 1))
    return found


def _changes(before: Any, after: Any) -> list[tuple[str, Markup]] | None:
    """Return what `diff` does, as a page shows it."""
    found = diff(before, after)
    return None if found is None else [(sign, isolated(line)) for sign, line in found]


async def save(call: PageCall) -> Response:
    """Save a level, if it is still the revision that the page showed."""
    sent = await call.form()
    asked, level = _asked(call, sent), sent.get("level", "")
    text, tag = sent.get("text", "").replace("\r\n", "\n"), sent.get("tag", "")
    place = asked.place(level)
    try:
        data = text.encode("utf-8", "surrogatepass")
        body = await read_json(call.desk.engine, data, _policy(call).max_depth)
        await _write(call, place, body, tag)
    except PreconditionFailed:
        return await _conflicted(call, asked, level, text, tag)
    except EngineError as error:
        if status_of(error) not in (400, 403, 409, 413, 507):
            raise
        fault = mistake(text) or f"{error.message[:1].upper()}{error.message[1:]}."
        return await _page(
            call, asked, status=status_of(error), edits=level, text=text, fault=f"{fault} Nothing was saved."
        )
    return call.go(asked.address(history=level), Notice(f"Saved the settings of the {level}."))


async def _write(call: PageCall, place: Place, body: EncodedValue, tag: str) -> None:
    engine = call.desk.engine
    exists = await engine.read(lambda state, _: place in state.settings.documents)
    command = PutValue if exists else PostValue
    await engine.submit(
        command(
            actor=call.actor,
            asker=_asker(call),
            place=place,
            path=(),
            policy=_policy(call),
            conditions=Preconditions(match=frozenset({tag})),
            resource=engine.entropy(16),
            body=body,
        )
    )


async def _conflicted(call: PageCall, asked: SettingsQuery, level: str, text: str, tag: str) -> Response:
    """Return the page that shows the conflicting change; the typed text is kept."""
    versions, _ = await _versions(call, asked, level)
    revision = tag.rpartition(".")[2]
    base = next((one for one in versions if str(one.revision) == revision), None)
    latest = versions[-1] if versions else None
    changes = None
    if latest is not None and base is not None:
        changes = await call.desk.engine.compute(partial(_changes, base.value, latest.value))
    conflict = {"latest": latest, "base": revision, "changes": changes}
    return await _page(call, asked, status=412, edits=level, text=text, conflict=conflict)


async def _ending(
    call: PageCall, asked: SettingsQuery, level: str, status: int = 200, fault: str = ""
) -> Response:
    """Return the page that asks for confirmation of deleting a level."""
    asked.place(level)
    levels, _ = await _shown(call, asked)
    one = next(one for one in levels if one.level == level)
    if not one.may_edit:
        raise Forbidden("only an administrator can delete this level", reason="level")
    if not one.revision:
        return call.go(asked.address(), Notice("There is nothing at this level to delete.", "due"))
    return call.page("settings-delete.html", status=status, here=SETTINGS, asked=asked, one=one, fault=fault)


async def delete(call: PageCall) -> Response:
    """Delete a level, if it is still the revision that the page showed."""
    sent = await call.form()
    asked, level = _asked(call, sent), sent.get("level", "")
    command = DeleteValue(
        actor=call.actor,
        asker=_asker(call),
        place=asked.place(level),
        path=(),
        policy=_policy(call),
        conditions=Preconditions(match=frozenset({sent.get("tag", "")})),
        resource=call.desk.engine.entropy(16),
    )
    try:
        await call.desk.engine.submit(command)
    except PreconditionFailed as error:
        fault = "Somebody changed this level meanwhile; it is shown as it is now. Nothing was deleted."
        return await _ending(call, asked, level, status_of(error), fault)
    return call.go(asked.address(), Notice(f"Deleted the settings of the {level}.", "hidden"))


async def restore(call: PageCall) -> Response:
    """Restore an earlier version as a new one."""
    sent = await call.form()
    asked, level, revision = _asked(call, sent), sent.get("level", ""), sent.get("revision", "")
    if not (revision.isascii() and revision.isdigit() and len(revision) <= 18):
        raise NotFound("this revision is no longer stored", reason="version")
    place = asked.place(level)
    try:
        value, document = await call.desk.settings.earlier(_asker(call), place, (), int(revision))
    except RequestError as error:
        return error_page(call, error.status, detail=BUSY)
    await call.desk.engine.submit(
        RestoreValue(
            actor=call.actor,
            asker=_asker(call),
            place=place,
            path=(),
            policy=_policy(call),
            conditions=Preconditions(match=frozenset({sent.get("tag", "")})),
            resource=call.desk.engine.entropy(16),
            body=await call.desk.engine.compute(lambda: EncodedValue.of(value)),
            whose=document.resource,
        )
    )
    return call.go(asked.address(history=level), Notice(f"Restored revision {revision} of the {level}."))


ROUTES: Final = (
    Route(path=SETTINGS, view=show, roles=OWN, nav=Nav("Settings", "levels", "Data")),
    Route(path=f"{SETTINGS}/save", view=save, methods=("POST",), roles=OWN),
    Route(path=f"{SETTINGS}/delete", view=delete, methods=("POST",), roles=OWN),
    Route(path=f"{SETTINGS}/restore", view=restore, methods=("POST",), roles=OWN),
)
