"""The filters of the templates: times, spans, sizes and numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Final
from unicodedata import category, name

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from retain.api.html.spans import DAY, span
from retain.engine.core.time import SECOND

NBSP: Final = "\u00a0"
DUE_S: Final = 3 * DAY
"""Data that ends within this time is shown as due."""
BRIEF_MAX: Final = 180
"""Characters of a name that a list shows."""
_UNSEEN: Final = re.compile(
    "([\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff])"
)
"""Invisible characters. The joiners of emoji and of scripts (U+200C, U+200D) are not among them."""
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
"""A string of a JSON text, its content as the group."""
_ASIDE: Final = re.compile(
    "[\x7f-\x9f\xad\u0590-\u08ff\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufb1d-\ufdff\ufe70-\ufeff"
    "\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
"""A right-to-left character, or an invisible one."""
_JOINER: Final = "\u200d"
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def moment_of(value: int | str) -> datetime:
    """Return an instant, given in nanoseconds since the epoch or as ISO 8601, in UTC."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC)
    seconds, rest = divmod(value, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def exact(value: int | str) -> str:
    """Return an instant in UTC to the millisecond, for machines and for tooltips."""
    moment = moment_of(value)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


def in_zone(value: int | str, zone: tzinfo, form: str = "minute") -> str:
    """Return an instant as read in `zone`; what is in UTC says so.

    Args:
        value: The instant.
        zone: The reader's time zone.
        form: `minute` (28 Nov 2026, 21:45), `second`, `day` (28 Nov 2026), `clock` (21:45), `time`
            (21:45:12, below a heading with the day), or `plain`, where
            the zone is named beside it.
    """
    moment = moment_of(value).astimezone(zone)
    clock = f"{moment:%H:%M:%S}" if form in ("second", "time") else f"{moment:%H:%M}"
    words = {"day": _day(moment), "clock": clock, "time": clock}.get(form, f"{_day(moment)}, {clock}")
    return words if zone is not UTC or form in ("day", "plain", "time") else f"{words} UTC"


@pass_context
def when(context: Context, value: int | str, form: str = "minute") -> Markup:
    """Return a `<time>` in the reader's zone; its title is the exact instant. See `in_zone` for `form`.

    Where it does not fit into a line, it may be broken between its date and its time of day.
    """
    iso = exact(value)
    text = in_zone(value, context["zone"], form).replace(" ", NBSP).replace(f",{NBSP}", ", ")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(iso, text)


@pass_context
def local(context: Context, value: int | str) -> str:
    """Return an instant in the reader's zone as a field of the type `datetime-local` holds it."""
    return f"{moment_of(value).astimezone(context['zone']):%Y-%m-%dT%H:%M:%S}"


@pass_context
def until(context: Context, value: int | str) -> str:
    """Return how far an instant is from the page's: in 36 min, or 2 h ago. Only ever beside a date."""
    ahead = (moment_of(value) - moment_of(context["now"])).total_seconds()
    return f"in {span(max(1.0, ahead))}" if ahead > 0 else f"{span(-ahead)} ago"


@pass_context
def due(context: Context, value: int | str | None) -> str:
    """Return the state of what ends at `value`: live, due, or hidden once that is past."""
    if value is None:
        return "live"
    ahead = (moment_of(value) - moment_of(context["now"])).total_seconds()
    return "hidden" if ahead <= 0 else "due" if ahead <= DUE_S else "live"


def number(value: int) -> str:
    """Return a count with its thousands set apart by commas."""
    return f"{value:,}"


def counted(value: int, one: str, many: str | None = None) -> str:
    """Return a count with what is counted: 1 blob, 48,120 blobs."""
    return f"{number(value)}{NBSP}{one if value == 1 else many or f'{one}s'}"


def size(value: int) -> str:
    """Return a number of bytes in powers of 1000, such as 611.8 GB."""
    amount = float(value)
    for unit in _SIZES:
        if amount < 999.95 or unit == _SIZES[-1]:
            break
        amount /= 1000
    return f"{value:,}{NBSP}B" if unit == "B" else f"{amount:,.1f}{NBSP}{unit}"


def share(part: int, whole: int) -> str:
    """Return the share of a whole in percent, rounded down: free space is not promised; a dash if it is 0."""
    if whole <= 0:
        return "–"
    return f"under 1{NBSP}%" if 0 < part * 100 < whole else f"{part * 100 // whole}{NBSP}%"


def visible(value: str) -> Markup:
    """Return a client's text with invisible characters shown as their code points.

    Among them are those that reverse what follows: with one, `evilgpj.wav` would look like `evilvaw.jpg`.
    """
    return Markup("<bdi>{}</bdi>").format(_shown(value))


def breakable(value: str) -> Markup:
    """Return a path that may be broken after each slash, as `visible` shows it."""
    return Markup("<bdi>{}</bdi>").format(Markup("/<wbr>").join(_shown(part) for part in value.split("/")))


def brief(value: str) -> Markup:
    """Return a path for a list: a long one shows its beginning and end, and the whole as its title.

    A link to a page that shows the whole should be around it.
    """
    if len(value) <= BRIEF_MAX:
        return breakable(value)
    first, last = BRIEF_MAX * 2 // 3, len(value) - BRIEF_MAX // 3
    while first > 1 and _joins(value[first - 1 : first + 1]):
        first -= 1
    while last < len(value) - 1 and _joins(value[last - 1 : last + 1]):
        last += 1
    pieces = breakable(value[:first]), breakable(value[last:])
    return Markup('<span title="{}">{}<span class="cut">…</span>{}</span>').format(value, *pieces)


def isolated(text: str) -> Markup:
    """Return JSON in which each right-to-left string is isolated, so that its quotes stay around it.

    Invisible characters are written as JSON escapes; the text stays the same JSON.
    """
    if text.isascii() or not _ASIDE.search(text):
        return escape(text)
    pieces, end = [], 0
    for found in _STRING.finditer(text):
        content = found[1]
        if not content.isascii() and _ASIDE.search(content):
            written = _UNSEEN.sub(lambda one: f"\\u{ord(one[0]):04x}", content)
            pieces += [escape(text[end : found.start() + 1]), Markup("<bdi>{}</bdi>").format(written)]
            end = found.end() - 1
    return Markup("").join([*pieces, escape(text[end:])])


def _shown(value: str) -> Markup:
    return Markup("").join(
        _code_point(one) if _UNSEEN.match(one) else escape(one) for one in _UNSEEN.split(value)
    )


def _code_point(one: str) -> Markup:
    words = name(one, "CONTROL CHARACTER").lower()
    return Markup('<span class="unseen" title="{}">U+{:04X}</span>').format(words, ord(one))


def _joins(pair: str) -> bool:
    """Return whether the second character continues what the first begins."""
    return category(pair[1]) in ("Mn", "Me", "Sk") or _JOINER in pair


@pass_context
def date(context: Context, value: int | str, form: str = "day") -> str:
    """Return the day of an instant as text, for places without `<time>`; `short` is without the year."""
    words = in_zone(value, context["zone"], "day")
    return words.rpartition(" ")[0] if form == "short" else words


def within(seconds: float | None) -> str:
    """Return the bound of a short time, such as 2.5 ms; a dash for none."""
    if seconds is None:
        return "–"
    if seconds == float("inf"):
        return f"over 10{NBSP}s"
    return f"{seconds * 1000:g}{NBSP}ms" if seconds < 1 else f"{seconds:g}{NBSP}s"


FILTERS: Final = {
    "date": date,
    "within": within,
    "when": when,
    "local": local,
    "exact": exact,
    "span": span,
    "until": until,
    "due": due,
    "number": number,
    "counted": counted,
    "size": size,
    "share": share,
    "breakable": breakable,
    "visible": visible,
    "brief": brief,
}
