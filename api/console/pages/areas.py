"""`/console/areas`: live areas by deadline; one area with its values.

Anyone who has a generated id can read its area, so auditors get its number instead, and never a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from quart import Response

from retain.api.console.containers.previews import SANDBOX, UNKNOWN, attachment
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.identity.roles import ADMINISTRATORS, EVIDENCE, Role
from retain.engine import NotFound, State
from retain.engine.areas.queries import AreaFile, Value, find, listing, value
from retain.engine.areas.state import Area, area_size, files_of, key_ends, next_end, record_key, split_key
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.holds import HoldKind

AREAS: Final = "/console/areas"
PER_PAGE: Final = 50
TEXT_MAX: Final = 1000
"""Characters of a text that are shown; the whole text can be downloaded."""
_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class AreaRow:
    """An area in the list.

    Attributes:
        label: Its id with its customer, or its number for users who may not see the id.
        address: Its page; None for users who may not see values.
        keys: How many keys it has.
        files: How many of them are files or long texts.
        size: Bytes of keys and values.
        ends: When its next key ends.
        held: Under a legal hold.
    """

    label: str
    address: str | None
    keys: int
    files: int
    size: int
    ends: int
    held: bool


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key of an area.

    Attributes:
        name: The key.
        value: The value.
        ends: When it ends.
    """

    name: str
    value: Value
    ends: int


def address_of(name: str, user: str | None, part: str = "", **more: str) -> str:
    """Return the path of an area's page, or of one of its files."""
    query = {"id": name, **({} if user is None else {"user": user}), **more}
    return f"{AREAS}/area{part}?{urlencode(query, quote_via=quote)}"


async def show(call: PageCall) -> Response:
    """Return a page of the list, or the results of a search."""
    asked, after = call.args.get("q", "").strip(), call.args.get("after", "")
    at, skip = _cursor(after)

    def look(state: State, now: int) -> tuple[list[AreaRow], list[AreaRow], str | None, str | None, int]:
        count = len(state.areas.areas)
        if asked:
            return [], _found(call, state, asked, now), None, None, count
        moment, passed = max(at, now + 1), skip if at > now else 0
        due = state.shared.deadlines.of_kind(DeadlineKind.AREA, moment, passed, PER_PAGE + 1)
        rows = [_row(call, state, key) for _, key in due[:PER_PAGE]]
        held = [] if after else _held(call, state, now)
        before = None
        if at > now:
            end, skipped = state.shared.deadlines.before(DeadlineKind.AREA, moment, passed, PER_PAGE)
            before = f"{end}-{skipped}" if end > now else ""
        return held, rows, _next(due, moment, passed), before, count

    held, rows, following, before, count = await call.desk.engine.read(look)
    return call.page(
        "areas.html",
        here=AREAS,
        asked=asked,
        after=after,
        held=held,
        rows=rows,
        next=following,
        before=before,
        count=count,
        base=call.base,
    )


def _cursor(after: str) -> tuple[int, int]:
    """Return where a page continues: a moment, and how many areas of that moment were shown. It has no id."""
    at, _, skip = after.partition("-")
    good = all(part.isascii() and part.isdigit() and len(part) <= _DIGITS for part in (at, skip))
    return (int(at), min(int(skip), 1_000_000)) if good else (0, 0)


def _next(due: list[tuple[int, str]], moment: int, passed: int) -> str | None:
    if len(due) <= PER_PAGE:
        return None
    last = due[PER_PAGE - 1][0]
    shown = sum(end == last for end, _ in due[:PER_PAGE])
    return f"{last}-{shown + (passed if last == moment else 0)}"


def _row(call: PageCall, state: State, key: str) -> AreaRow:
    area: Area = state.areas.areas[key]
    name, user = split_key(key)
    reads = call.role is Role.ADMINISTRATOR
    label = f"{user}/{name}" if user is not None else name if reads else f"area {area[0].hex()}"
    return AreaRow(
        label=label,
        address=address_of(name, user) if reads else None,
        keys=len(area[2]),
        files=len(files_of(area[3])),
        size=area_size(area),
        ends=next_end(area),
        held=state.shared.held.resource(area[0]),
    )


def _held(call: PageCall, state: State, now: int) -> list[AreaRow]:
    """Return areas under a legal hold: their deadlines are suspended, so the list of deadlines lacks them."""
    targets = [hold.target for hold in state.holds.holds.values() if hold.target.kind is HoldKind.AREA]
    keys = dict.fromkeys(record_key(*target.names) for target in targets)
    return [_row(call, state, key) for key in keys if _lives(state, key, now)][:PER_PAGE]


def _found(call: PageCall, state: State, asked: str, now: int) -> list[AreaRow]:
    """Return the areas that a search names: an id, `customer/id`, or `customer/` for all of a customer."""
    user, slash, name = asked.partition("/")
    keys: list[str] = []
    if slash:
        owned = state.areas.owned.get(user, set())
        keys = sorted(owned) if name in ("", "*") else [record_key(name, user)]
    elif call.role is Role.ADMINISTRATOR and not asked.startswith("\0"):
        keys = [asked]
    return [_row(call, state, key) for key in keys if _lives(state, key, now)][:PER_PAGE]


def _lives(state: State, key: str, now: int) -> bool:
    name, user = split_key(key)
    try:
        return find(state.areas, name, user, now)[0] == key
    except NotFound:
        return False


async def area(call: PageCall) -> Response:
    """Return an area with its living keys."""
    name, user = call.args.get("id", ""), call.args.get("user")

    def look(state: State, now: int) -> tuple[AreaRow, list[KeyRow]]:
        key, found = find(state.areas, name, user, now)
        ends = dict(zip(found[2], key_ends(found), strict=True))
        rows = [KeyRow(one, kept, ends[one]) for one, kept in listing(state.areas, name, user, now)]
        return _row(call, state, key), rows

    row, keys = await call.desk.engine.read(look)
    return call.page(
        "area.html",
        here=AREAS,
        row=row,
        keys=[(one, one.value if isinstance(one.value, str) else None) for one in keys],
        file_address=lambda key: address_of(name, user, "/file", key=key),
        text_max=TEXT_MAX,
    )


async def file(call: PageCall) -> Response:
    """Return a value as a file to save."""
    name, user, key = call.args.get("id", ""), call.args.get("user"), call.args.get("key", "")
    found = await call.desk.engine.read(lambda state, now: value(state.areas, name, user, key, now))
    label = found.filename if isinstance(found, AreaFile) and found.filename else f"{key}.txt"
    headers: dict[str, str] = {
        "Content-Security-Policy": SANDBOX,
        "Content-Disposition": attachment(label),
    }
    if isinstance(found, str):
        return call.answer(found.encode(), 200, UNKNOWN, headers)
    body: Any = await call.desk.engine.open_body(found.body)
    return call.stream(_Chunks(body), body.size, 200, UNKNOWN, headers)


class _Chunks:
    """A body's bytes; closing it releases its file."""

    def __init__(self, download: Any) -> None:
        self._download = download
        self._chunks = download.chunks()

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        chunk: bytes = await anext(self._chunks)
        return chunk

    async def aclose(self) -> None:
        """End reading."""
        await self._chunks.aclose()
        await self._download.aclose()


ROUTES: Final = (
    Route(path=AREAS, view=show, roles=EVIDENCE, nav=Nav("Areas", "form", "Data")),
    Route(path=f"{AREAS}/area", view=area, roles=ADMINISTRATORS),
    Route(path=f"{AREAS}/area/file", view=file, roles=ADMINISTRATORS),
)
