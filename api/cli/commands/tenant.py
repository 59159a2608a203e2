"""`retain tenant`: manage accounts of the blob interface, their keys and their containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from retain.api.admin import CONTAINERS
from retain.api.cli.groups import Section
from retain.api.cli.main import data_options
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.cli.words import counted


@click.group(name="tenant", cls=Section)
def command() -> None:
    """Manage tenants of the blobs interface: accounts, their two keys, their containers.

    These commands work whether or not the server runs.
    """


@command.command(name="add")
@click.argument("name")
@click.option(
    "--container",
    "containers",
    multiple=True,
    metavar="NAME",
    help=f"Create this container; repeatable. Default: {' and '.join(CONTAINERS)}.",
)
@data_options
@json_option
def add(
    name: str, containers: tuple[str, ...], config_path: Path | None, data: str | None, as_json: bool
) -> None:
    """Create the tenant NAME (3 to 24 lower-case letters and digits) with two keys and its containers.

    `retain token create` creates access tokens; `retain tenant show --keys` shows the keys.
    """
    chosen = list(containers or CONTAINERS)
    tenant = run_action(config_path, data, "tenant add", name=name, containers=chosen)
    if as_json:
        print_json(tenant)
    else:
        click.echo(f"Created {name} at {tenant['url']}")
        _note(tenant)


@command.command(name="list")
@data_options
@json_option
def list_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """List the tenants and the number and size of their blobs."""
    tenants = run_action(config_path, data, "tenant list")
    if as_json:
        print_json(tenants)
        return
    columns = {
        "NAME": lambda tenant: tenant["name"],
        "FROM": lambda tenant: tenant["source"],
        "CONTAINERS": lambda tenant: len(tenant["containers"]),
        "BLOBS": lambda tenant: sum(container["blobs"] for container in tenant["containers"]),
        "BYTES": lambda tenant: sum(container["bytes"] for container in tenant["containers"]),
        "URL": lambda tenant: tenant["url"],
    }
    print_table(columns, tenants)
    for tenant in tenants[:1]:
        _note(tenant)


@command.command(name="show")
@click.argument("name")
@click.option("--keys", "with_keys", is_flag=True, help="Show the account's keys and a connection string.")
@data_options
@json_option
def show(name: str, with_keys: bool, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Show the tenant NAME: its containers, their size, retention and next deletion."""
    tenant = run_action(config_path, data, "tenant show", name=name, with_keys=with_keys)
    if as_json:
        print_json(tenant)
        return
    click.echo(f"{tenant['name']}  {tenant['url']}  (from the {tenant['source']})\n")
    _print_containers(tenant)
    for number, key in enumerate(tenant.get("keys", ()), 1):
        click.echo(f"\nkey {number}: {key}", nl=False)
    if with_keys:
        first = tenant["keys"][0]
        # JavaScript's client interprets a string without a protocol as one with a SAS.
        protocol = tenant["url"].partition(":")[0]
        endpoint = f"DefaultEndpointsProtocol={protocol};BlobEndpoint={tenant['url']}"
        click.echo(f"\n\n{endpoint};AccountName={name};AccountKey={first};")
    _note(tenant)


def _note(tenant: dict[str, Any]) -> None:
    if tenant["notice"] is not None:
        click.echo(f"Note: {tenant['notice']}.", err=True)


def _print_containers(tenant: dict[str, Any]) -> None:
    columns = {
        "CONTAINER": lambda container: container["name"],
        "BLOBS": lambda container: container["blobs"],
        "BYTES": lambda container: container["bytes"],
        "RETENTION": lambda container: _keeps(container["keeps_days"]),
        "NEXT DELETION": lambda container: container["next_end"] or "-",
    }
    print_table(columns, tenant["containers"])


def _keeps(days: int) -> str:
    return counted(days, "day") if days else "forever"


@command.command(name="rotate-key")
@click.argument("name")
@click.option("--key", type=click.IntRange(1, 2), default=1, show_default=True, help="Which of the two keys.")
@data_options
@json_option
def rotate_key(name: str, key: int, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Replace a key of the tenant NAME. Every token signed with it becomes invalid at once.

    `retain token create` signs tokens with key 1. Clients that use the key itself need the new one: let them
    use key 2 during the rotation.
    """
    result = run_action(config_path, data, "tenant rotate-key", name=name, key=key)
    if as_json:
        print_json(result)
    else:
        click.echo(f"Replaced key {key} of {name}; {counted(result['tokens_ended'], 'token')} ended.")


@command.command(name="retention")
@click.argument("name")
@click.argument("container")
@click.argument("days")
@data_options
@json_option
def retention(
    name: str, container: str, days: str, config_path: Path | None, data: str | None, as_json: bool
) -> None:
    """Keep blobs in CONTAINER of the tenant NAME for DAYS after their last write.

    DAYS is 1 to 36500, "forever", or "default" for retention.recordings_days of the configuration. It also
    applies to existing blobs: those older than DAYS are deleted at once.
    """
    words = {"forever": "forever", "default": None}
    if days not in words and not (days.isdecimal() and days.isascii()):
        raise click.BadParameter('must be 1 to 36500, "forever" or "default"', param_hint="DAYS")
    number = words[days] if days in words else int(days)
    if number == 0:
        raise click.BadParameter('must not be 0; "forever" switches deletion off', param_hint="DAYS")
    tenant = run_action(config_path, data, "tenant retention", name=name, container=container, days=number)
    if as_json:
        print_json(tenant)
    else:
        _print_containers(tenant)


@command.command(name="remove")
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@data_options
@json_option
def remove(name: str, yes: bool, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Remove the tenant NAME with its containers, everything in them, its tokens and keys."""
    if not yes:
        click.confirm(f"Delete {name} and everything it holds?", abort=True, err=True)
    result = run_action(config_path, data, "tenant remove", name=name)
    if as_json:
        print_json(result)
    else:
        click.echo(f"Removed {name} with {counted(result['containers'], 'container')}.")
