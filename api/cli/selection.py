"""Select data for a command, with options that several commands share.

A name is taken literally, whatever characters it contains. `--match` takes a pattern and `--number` the
number of a resource, so that a name is never mistaken for either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from retain import journal
from retain.api.cli.data_folder import visible
from retain.api.cli.main import FAILED, WRONG, Stopped
from retain.api.cli.options import configured
from retain.engine.audit.backups import ACCOUNTS
from retain.engine.core.pattern import Pattern, Wanted, called
from retain.engine.holds import HoldKind
from retain.engine.persons.find import Selection, Subject

Function = TypeVar("Function", bound=Callable[..., Any])

PATTERN_HELP: Final = "* matches any characters, ? matches one; \\* is a literal *."


class PatternType(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A pattern of names."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Pattern:
        """Parse a pattern; a bad one is wrong usage."""
        try:
            return value if isinstance(value, Pattern) else Pattern(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class NumberType(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """The number of a resource, as the audit log shows it."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a number; a bad one is wrong usage."""
        text = str(value).lower()
        if len(text) != 32 or not set(text) <= set("0123456789abcdef"):
            self.fail(
                f"{value!r} is not 32 hexadecimal digits, as `retain audit log --json` shows them", param, ctx
            )
        return text


PATTERN: Final = PatternType()
NUMBER: Final = NumberType()


def selection_options(function: Function) -> Function:
    """Add `RESOURCE…`, `--number`, `--match`, `--user`, `--gms-user`, `--tenant`, `--name` and `--tag`."""
    options = (
        click.argument("resources", nargs=-1, metavar="[RESOURCE]..."),
        click.option(
            "--number", "numbers", multiple=True, type=NUMBER, help="The resource with this number."
        ),
        click.option(
            "--match",
            "patterns",
            multiple=True,
            type=PATTERN,
            help=f"Resources whose name matches: {PATTERN_HELP} With --tag, only blobs that match both.",
        ),
        click.option(
            "--user", "users", multiple=True, metavar="NAME", help="A user of the settings interface."
        ),
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
            metavar="NAME",
            help="The same as RESOURCE. With --tag, only blobs that match both.",
        ),
        click.option(
            "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Blobs with all of these tags."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def resource_options(function: Function) -> Function:
    """Add `--resource`, `--match` and `--number` to a command that shows resources."""
    options = (
        click.option(
            "--resource",
            "-r",
            metavar="NAME",
            help="Only the resource with this name. Areas: id or customer/id; settings: application, "
            "application/user:name, application/device:id; blobs: account/container/blob.",
        ),
        click.option("--match", type=PATTERN, help=f"Only resources whose name matches: {PATTERN_HELP}"),
        click.option("--number", type=NUMBER, help="Only the resource with this number."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def one_of(name: str | None, match: Pattern | None, option: str) -> Wanted | None:
    """Return the name or the pattern. Raises `Stopped` if both are given."""
    if name is not None and match is not None:
        raise Stopped(f"{option} and its pattern exclude each other; give only one of them", WRONG)
    return match if name is None else name


def asked_from(
    *,
    resources: tuple[str, ...],
    numbers: tuple[str, ...],
    patterns: tuple[Pattern, ...],
    users: tuple[str, ...],
    customers: tuple[str, ...],
    tenants: tuple[str, ...],
    names: tuple[str, ...],
    tags: tuple[str, ...],
    actors: tuple[Wanted, ...] = (),
) -> Selection:
    """Return the selection that the options describe. Raises `Stopped` if it is empty or unclear."""
    if resources and tags:
        raise Stopped("--tag narrows --name and --match; give names by --name with it", WRONG)
    asked = Selection(
        users=frozenset(users),
        customers=frozenset(customers),
        tenants=frozenset(tenants),
        actors=frozenset(actors),
        resources=frozenset(bytes.fromhex(number) for number in numbers),
        names=(*resources, *names, *patterns),
        tags=dict(_pair(tag) for tag in tags),
    )
    if not asked:
        options = "--number, --match, --user, --gms-user, --tenant, --name or --tag"
        raise Stopped(f"nothing is selected; give a RESOURCE, {options}", WRONG)
    return asked


def _pair(tag: str) -> tuple[str, str]:
    name, equals, value = tag.partition("=")
    if not equals or not name:
        raise Stopped(f"--tag {tag}: must be KEY=VALUE", WRONG)
    return name, value


def check_tenants(
    disk: journal.Disk, config_path: Path | None, data: str | None, asked: Selection, found: Sequence[Subject]
) -> None:
    """Refuse the name of a tenant that does not exist and of which nothing is stored. Raises `Stopped`."""
    kept = {subject.target.names[0] for subject in found if subject.target.kind is HoldKind.BLOB}
    if not (missing := sorted(asked.tenants - kept)):
        return
    known = set(disk.names(ACCOUNTS)) if disk.exists(ACCOUNTS) else set()
    known |= {tenant.name for tenant in configured(config_path, data=data).tenants}
    for tenant in missing:
        if tenant not in known:
            hint = "`retain tenant list` shows the tenants"
            raise Stopped(
                f"the tenant {visible(tenant)} does not exist, and no data of it is stored; {hint}", FAILED
            )


def show_selection(asked: Selection, found: Sequence[Subject]) -> None:
    """Print on standard error how each name, pattern and number was interpreted, and how much it found."""
    for text, count, hint in _meant(asked, found):
        click.echo(f"{text}: {count or 'nothing'} found{'' if count else hint}", err=True)


def _meant(asked: Selection, found: Sequence[Subject]) -> Iterable[tuple[str, int, str]]:
    targets = [subject.target for subject in found]
    for name in asked.names:
        count = sum(called(target.subject, name) for target in targets)
        if isinstance(name, Pattern):
            yield f"Pattern {visible(name.text)}", count, ""
        else:
            yield f"Name {visible(name)}", count, hint_for(name)
    for number in sorted(asked.resources):
        yield f"Number {number.hex()}", sum(target.resource == number for target in targets), ""
    for tenant in sorted(asked.tenants):
        blobs = [target for target in targets if target.kind is HoldKind.BLOB]
        yield f"Tenant {visible(tenant)}", sum(target.names[0] == tenant for target in blobs), ""


def hint_for(name: str) -> str:
    """Return a hint for a name that matches nothing but looks like a number or a pattern."""
    if len(name) == 32 and set(name) <= set("0123456789abcdef"):
        return "; --number takes the number of a resource"
    return "; --match takes a pattern" if set(name) & set("*?") else ""
