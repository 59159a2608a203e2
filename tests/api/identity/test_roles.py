"""The console's role of a signed-in user."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retain.api.config.load import Config
from retain.api.identity import Caller, Method
from retain.api.identity.roles import Role, role_of


def config() -> Config:
    base = Config()
    console = replace(
        base.console,
        administrator_roles=("Admins",),
        data_protection_roles=("Officers",),
        auditor_roles=("Auditors",),
    )
    return replace(base, console=console, settings=replace(base.settings, admin_roles=("Root",)))


@pytest.mark.parametrize(
    ("names", "role"),
    [
        ((), Role.USER),
        (("admins", "Agent"), Role.USER),
        (("Auditors",), Role.AUDITOR),
        (("Officers",), Role.DATA_PROTECTION),
        (("Admins",), Role.ADMINISTRATOR),
        (("Root",), Role.ADMINISTRATOR),
        (("Auditors", "Officers"), Role.DATA_PROTECTION),
        (("Auditors", "Root"), Role.ADMINISTRATOR),
        (("Officers", "Admins"), Role.ADMINISTRATOR),
    ],
)
def test_the_strongest_role_counts(names: tuple[str, ...], role: Role) -> None:
    assert role_of(Caller("ann", frozenset(names), Method.BASIC), config()) is role
