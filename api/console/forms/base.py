"""The base of all forms."""

from __future__ import annotations

import re
from typing import Any

from wtforms import Field, Form, ValidationError


class ConsoleForm(Form):
    """A form in English, whose messages are its own."""

    class Meta:
        locales = False

    def refuse(self, name: str, message: str) -> None:
        """Show `message` under the field `name`, for an error that only the engine detects."""
        self[name].errors = [*self[name].errors, message]


class Filled:
    """Refuses an empty field, in words of its own: `Filled("Type your user name.")`."""

    field_flags = {"required": True}  # noqa: RUF012 - as WTForms reads it

    def __init__(self, message: str) -> None:
        self._message = message

    def __call__(self, form: Form, field: Field) -> None:
        """Raise ValidationError if nothing was typed."""
        if not field.data or (isinstance(field.data, str) and not field.data.strip()):
            raise ValidationError(self._message)


class Within:
    """Refuses a text of more than `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, form: Form, field: Field) -> None:
        """Raise ValidationError if the text is longer."""
        data: Any = field.data
        if isinstance(data, str) and len(data.encode("utf-8", "replace")) > self._most:
            raise ValidationError(f"Longer than {self._most} bytes.")


class Matches:
    """Refuses a text of another form; an empty one is for `Filled` to judge."""

    def __init__(self, pattern: str, message: str) -> None:
        self._pattern = re.compile(pattern, re.ASCII)
        self._message = message

    def __call__(self, form: Form, field: Field) -> None:
        """Raise ValidationError if the text does not match as a whole."""
        if field.data and not self._pattern.fullmatch(field.data):
            raise ValidationError(self._message)
