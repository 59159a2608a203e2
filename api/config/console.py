"""Configuration of the console: roles, and the lifetime of sessions."""

from __future__ import annotations

from dataclasses import dataclass

from retain.api.config.fields import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleConfig:
    """The pages under /console."""

    administrator_roles: tuple[str, ...] = setting(
        ("Administrator",),
        "Roles that may do everything in the console, besides settings.admin_roles.",
    )
    data_protection_roles: tuple[str, ...] = setting(
        ("DataProtection",),
        "Roles that may find, erase and hold what is stored about a person in the console, and read what an "
        "auditor may, but no stored values.",
    )
    auditor_roles: tuple[str, ...] = setting(
        ("Auditor",), "Roles that may read audit, proofs and retention in the console, but no stored values."
    )
    idle_minutes: float = setting(
        30.0, "Minutes without a request after which a session ends.", minimum=1, maximum=1440
    )
    session_hours: float = setting(
        12.0, "Hours after which a session ends in any case.", minimum=0.1, maximum=168
    )
