"""The filters of the timeline, as parameters of its address."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

from wtforms import StringField
from wtforms.validators import AnyOf

from retain.api.admin.moments import instant
from retain.api.console.forms.base import ConsoleForm, Within
from retain.engine import Invalid
from retain.engine.audit.log import INTERFACES, VERBS, Filter
from retain.engine.core.pattern import Pattern, Wanted

MOST_BYTES: Final = 2000
NUMBER: Final = re.compile(r"[0-9a-f]{32}")
BAD_MOMENT: Final = "Write the moment as 2026-11-28T21:45. It lies between 1970 and 2500."


_UNKNOWN: Final = "Choose one from the list."


class FilterForm(ConsoleForm):
    """The filter of entries; an empty field matches all."""

    interface = StringField("Interface", [AnyOf(("", *INTERFACES), _UNKNOWN)], default="")
    resource = StringField("Resource", [Within(MOST_BYTES)], default="")
    actor = StringField("Actor", [Within(MOST_BYTES)], default="")
    verb = StringField("Verb", [AnyOf(("", *VERBS), _UNKNOWN)], default="")
    to = StringField("To, not included", [Within(64)], default="")

    def wanted(self, zone: tzinfo, except_for: re.Pattern[str] | None = None) -> Filter | None:
        """Return the filter; None, with messages beside the fields, if it is not valid.

        `except_for` are names that no pattern of resources may match: only the whole name does.
        """
        if not self.validate():
            return None
        number = (self.resource.data or "").strip().lower()
        by_number = NUMBER.fullmatch(number) is not None
        found = Filter(
            interface=self.interface.data or None,
            resource=None if by_number else self._pattern("resource", except_for),
            number=number if by_number else None,
            actor=self._pattern("actor"),
            verb=self.verb.data or None,
            since=self._moment("from", zone),
            until=self._moment("to", zone),
        )
        return None if self.errors else found

    def _pattern(self, name: str, except_for: re.Pattern[str] | None = None) -> Wanted | None:
        text = (self[name].data or "").strip()
        if not set(text) & set("*?\\"):
            return text or None
        try:
            return Pattern(text, except_for)
        except ValueError:
            self.refuse(
                name,
                "Write a backslash before the character that is meant literally; for a backslash write two.",
            )
            return None

    def _moment(self, name: str, zone: tzinfo) -> int | None:
        text = (self[name].data or "").strip()
        if not text:
            return None
        try:
            return instant(text, zone)
        except Invalid:
            self.refuse(name, BAD_MOMENT)
            return None


setattr(FilterForm, "from", StringField("From", [Within(64)], default=""))  # a word of Python's own
