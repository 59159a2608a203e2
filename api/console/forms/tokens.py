"""The form of the page *Generate SAS Tokens*."""

from __future__ import annotations

from typing import Final

from wtforms import BooleanField, StringField

from retain.api.console.forms.base import ConsoleForm, Filled, Matches, Within

_DATE: Final = r"\d{4}-\d{2}-\d{2}"
_TIME: Final = r"\d{2}:\d{2}"


class GenerateForm(ConsoleForm):
    """Its labels are the Genesys page's."""

    tenant = StringField("Tenant", [Filled("Choose a tenant."), Within(64)])
    start = StringField(
        "Initiation Date", [Filled("Choose a day."), Matches(_DATE, "Write the day as 2026-11-28.")]
    )
    expiry = StringField(
        "Expiration Date", [Filled("Choose a day."), Matches(_DATE, "Write the day as 2026-12-12.")]
    )
    expiry_time = StringField("Expiration Date, time of day", [Matches(_TIME, "Write the time as 18:00.")])
    timezone = StringField("Timezone", [Filled("Choose a time zone."), Within(64)])
    containers = StringField("Only these containers", [Within(16_384)], default="")
    revoke = BooleanField("Revoke existing tokens")

    def named(self) -> list[str]:
        """Return the containers that are named; none for all of them."""
        return (self.containers.data or "").replace(",", " ").split()

    def ends(self) -> str:
        """Return the expiration as ISO 8601, without an offset."""
        return f"{self.expiry.data}T{self.expiry_time.data or '00:00'}"
