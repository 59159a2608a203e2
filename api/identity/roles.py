"""The roles of signed-in users in the console."""

from __future__ import annotations

from enum import StrEnum

from retain.api.config.load import Config
from retain.api.identity import Caller


class Role(StrEnum):
    """One of four roles; a user's strongest role counts.

    An administrator may do everything. A data-protection officer finds, erases and holds what is stored about
    a person, and reads audit, proofs and retention, but never a value. An auditor reads those only. Anybody
    else sees only their own settings.
    """

    ADMINISTRATOR = "Administrator"
    DATA_PROTECTION = "DataProtection"
    AUDITOR = "Auditor"
    USER = "User"


ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
PERSONS = frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION})
EVIDENCE = frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION, Role.AUDITOR})
EVERYBODY = frozenset(Role)


def role_of(caller: Caller, config: Config) -> Role:
    """Return the role that `config` gives to `caller`."""
    console = config.console
    if not caller.roles.isdisjoint((*console.administrator_roles, *config.settings.admin_roles)):
        return Role.ADMINISTRATOR
    if not caller.roles.isdisjoint(console.data_protection_roles):
        return Role.DATA_PROTECTION
    if not caller.roles.isdisjoint(console.auditor_roles):
        return Role.AUDITOR
    return Role.USER
