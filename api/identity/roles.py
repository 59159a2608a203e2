"""The roles of signed-in users in the console."""

from __future__ import annotations

from enum import StrEnum

from retain.api.config.load import Config
from retain.api.identity import Caller


class Role(StrEnum):
    """One of three roles; a user's strongest role counts.

    An administrator may do everything. An auditor reads audit, proofs and retention, and never a value.
    Anybody else sees only their own settings.
    """

    ADMINISTRATOR = "Administrator"
    AUDITOR = "Auditor"
    USER = "User"


ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
EVIDENCE = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})
EVERYBODY = frozenset(Role)


def role_of(caller: Caller, config: Config) -> Role:
    """Return the role that `config` gives to `caller`."""
    console = config.console
    if not caller.roles.isdisjoint((*console.administrator_roles, *config.settings.admin_roles)):
        return Role.ADMINISTRATOR
    if not caller.roles.isdisjoint(console.auditor_roles):
        return Role.AUDITOR
    return Role.USER
