"""The forms of the pages about containers and blobs."""

from __future__ import annotations

from wtforms import StringField, TextAreaField

from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.tags import check_tags
from retain.api.console.forms.base import ConsoleForm, Filled, Within
from retain.engine.holds.commands import REASON_BYTES


class CreateForm(ConsoleForm):
    """A new container."""

    tenant = StringField("Tenant", [Filled("Choose a tenant."), Within(64)])
    container = StringField("Name", [Filled("Type a name."), Within(256)])


class TenantForm(ConsoleForm):
    """A new tenant."""

    name = StringField("Name of the tenant", [Filled("Type a name."), Within(64)])


class ReasonForm(ConsoleForm):
    """A legal hold."""

    reason = StringField("Reason", [Filled("Give the reason, such as a case number."), Within(REASON_BYTES)])


class TagsForm(ConsoleForm):
    """The tags of a blob, one in a line."""

    tags = TextAreaField("Tags", [Within(16 * 1024)])

    def pairs(self) -> tuple[tuple[str, str], ...] | None:
        """Return the tags; None if they are not valid, with a message at the field."""
        pairs = []
        for number, line in enumerate((self.tags.data or "").splitlines(), 1):
            if not line.strip():
                continue
            key, equals, value = line.strip().partition("=")
            if not equals:
                self.refuse("tags", f"Line {number} has no equals sign. Write it as Key=Value.")
                return None
            pairs.append((key.strip(), value.strip()))
        try:
            return tuple(check_tags(pairs).items())
        except AzureError as error:
            self.refuse("tags", _WORDS.get(error.code, "These are not valid tags."))
            return None


_WORDS = {
    "EmptyTagName": "A tag has no name before its equals sign.",
    "DuplicateTagNames": "A name occurs twice. Each tag has one value.",
    "TagsTooLarge": "A blob has at most 10 tags; names have at most 128 characters, values 256.",
    "InvalidTag": "A tag may hold letters without accents, digits, spaces and + - . / : = _ only.",
}
