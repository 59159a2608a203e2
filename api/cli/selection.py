"""Which data a command is about, as options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from retain.api.cli.main import WRONG, Stopped
from retain.engine.persons.find import Asked

Function = TypeVar("Function", bound=Callable[..., Any])


def selection_options(function: Function) -> Function:
    """``RESOURCE…``, ``--user``, ``--gms-user``, ``--tenant``, ``--name`` and ``--tag``."""
    options = (
        click.argument("resources", nargs=-1, metavar="[RESOURCE]..."),
        click.option("--user", "users", multiple=True, help="A user of the settings interface."),
        click.option(
            "--gms-user", "customers", multiple=True, metavar="ID", help="A customer (gms_user) of areas."
        ),
        click.option(
            "--tenant", "tenants", multiple=True, metavar="ACCOUNT", help="All blobs of this account."
        ),
        click.option(
            "--name",
            "names",
            multiple=True,
            metavar="PATTERN",
            help="What has such a name; * stands for anything. With --tag: only blobs that fit both.",
        ),
        click.option(
            "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Blobs with all of these tags."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def asked_from(
    *,
    resources: tuple[str, ...],
    users: tuple[str, ...],
    customers: tuple[str, ...],
    tenants: tuple[str, ...],
    names: tuple[str, ...],
    tags: tuple[str, ...],
    actors: tuple[str, ...] = (),
) -> Asked:
    """What the options ask for. Raises Stopped if that is nothing, or unclear."""
    numbers = frozenset(bytes.fromhex(one) for one in resources if re.fullmatch("[0-9a-f]{32}", one))
    called = tuple(one for one in resources if not re.fullmatch("[0-9a-f]{32}", one))
    if called and tags:
        raise Stopped("--tag narrows --name; give names by --name with it", WRONG)
    pairs = dict(_pair(tag) for tag in tags)
    asked = Asked(
        users=frozenset(users),
        customers=frozenset(customers),
        tenants=frozenset(tenants),
        actors=frozenset(actors),
        resources=numbers,
        names=(*called, *names),
        tags=pairs,
    )
    if not asked:
        raise Stopped("say whose data or which: --help tells how", WRONG)
    return asked


def _pair(tag: str) -> tuple[str, str]:
    name, equals, value = tag.partition("=")
    if not equals or not name:
        raise Stopped(f"--tag {tag}: must be KEY=VALUE", WRONG)
    return name, value
