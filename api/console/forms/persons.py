"""The forms of the page *Persons' rights*."""

from __future__ import annotations

import re
from typing import Final

from wtforms import StringField

from retain.api.console.forms.base import ConsoleForm, Filled, Within
from retain.engine.core.pattern import Pattern
from retain.engine.persons.find import Selection

MOST_BYTES: Final = 1000
_NUMBER: Final = re.compile(r"[0-9a-f]{32}")


class PersonForm(ConsoleForm):
    """The selection of a person's data."""

    user = StringField("User of the settings", [Within(MOST_BYTES)], default="")
    customer = StringField("Customer (gms_user)", [Within(MOST_BYTES)], default="")
    name = StringField("In names of blobs", [Within(MOST_BYTES)], default="")
    tag = StringField("Tag of blobs", [Within(MOST_BYTES)], default="")
    tenant = StringField("All blobs of a tenant", [Within(MOST_BYTES)], default="")
    number = StringField("Number of a resource", [Within(MOST_BYTES)], default="")

    def asked(self, except_for: re.Pattern[str] | None = None) -> Selection | None:
        """Return the selection; None, with a message beside a field, if it is empty or not valid.

        `except_for` are names that no pattern may match: only the whole name does.
        """
        if not self.validate():
            return None
        fields = (self.user, self.customer, self.name, self.tag, self.tenant, self.number)
        user, customer, name, tag, tenant, number = ((field.data or "").strip() for field in fields)
        if not (user or customer or name or tag or tenant or number):
            self.refuse("user", "Fill in at least one of the fields.")
            return None
        key, equals, value = tag.partition("=")
        if tag and not (key and equals):
            self.refuse("tag", "Write the tag as customer=4711.")
            return None
        if number and not _NUMBER.fullmatch(number):
            self.refuse("number", "A number has 32 digits from 0 to f, as the audit shows it.")
            return None
        try:
            names = (Pattern(name, except_for) if set(name) & set("*?\\") else name,) if name else ()
        except ValueError:
            self.refuse(
                "name",
                "Write a backslash before the character that is meant literally; for a backslash write two.",
            )
            return None
        return Selection(
            users=frozenset([user] if user else ()),
            customers=frozenset([customer] if customer else ()),
            tenants=frozenset([tenant] if tenant else ()),
            resources=frozenset([bytes.fromhex(number)] if number else ()),
            names=names,
            tags={key: value} if tag else {},
        )


class HoldForm(ConsoleForm):
    """The reason of a hold."""

    reason = StringField("Reason", [Filled("Give the reason, such as a case number."), Within(MOST_BYTES)])
