"""`retain token`: shared access tokens, as the Genesys page *Generate SAS tokens* defines them."""

from __future__ import annotations

from pathlib import Path

import click

from retain.api.admin import CONTAINERS
from retain.api.cli.groups import Section
from retain.api.cli.main import data_options
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.cli.words import counted


@click.group(name="token", cls=Section)
def command() -> None:
    """Create, list and revoke tokens, which give access to a tenant's containers until they expire.

    These commands work whether or not the server runs; they take effect at once.
    """


@command.command(name="create")
@click.argument("tenant")
@click.option("--expiry", required=True, metavar="DATE", help="End: 2022-05-13 or 2022-05-13T12:00.")
@click.option("--start", metavar="DATE", help="Start, written like --expiry. Default: now.")
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="Time zone of the dates: Europe/Berlin, Pacific Standard Time, UTC-8, UTC(-08:00) Pacific Time.",
)
@click.option(
    "--revoke-existing", is_flag=True, help="Revoke all earlier container tokens at the same moment."
)
@click.option(
    "--container",
    "containers",
    multiple=True,
    metavar="NAME",
    help=f"Create a token for this container; repeatable. Default: {' and '.join(CONTAINERS)}.",
)
@data_options
@json_option
def create(
    tenant: str,
    expiry: str,
    start: str | None,
    timezone: str,
    revoke_existing: bool,
    containers: tuple[str, ...],
    config_path: Path | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Create a token for TENANT's account (finds blobs by tags) and one for each container (reads, lists).

    The tokens are shown only once and not stored: copy them now. Container tokens can be revoked; the account
    token is valid until it expires or the account's key is replaced.
    """
    issued = run_action(
        config_path,
        data,
        "token create",
        tenant=tenant,
        expiry=expiry,
        start=start,
        timezone=timezone,
        revoke_existing=revoke_existing,
        containers=list(containers or CONTAINERS),
    )
    if as_json:
        print_json(issued)
        return
    for token in issued:
        what = f"{token['container']} container" if token["container"] else "account (find blobs by tags)"
        click.echo(f"{what}, {token['permissions']}, {token['start']} to {token['expiry']}, id {token['id']}")
        click.echo(f"  {token['url']}?{token['token']}\n")
    for notice in dict.fromkeys(token["notice"] for token in issued if token["notice"] is not None):
        click.echo(f"Note: {notice}.", err=True)


@command.command(name="list")
@click.argument("tenant")
@data_options
@json_option
def list_command(tenant: str, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """List the unexpired tokens of TENANT, without their texts, which are not stored."""
    tokens = run_action(config_path, data, "token list", tenant=tenant)
    if as_json:
        print_json(tokens)
        return
    columns = {
        "ID": lambda token: token["id"],
        "FOR": lambda token: token["container"] or "(account)",
        "RIGHTS": lambda token: token["permissions"],
        "START": lambda token: token["start"],
        "EXPIRY": lambda token: token["expiry"],
        "ISSUER": lambda token: token["issuer"],
        "STATE": lambda token: token["state"],
    }
    print_table(columns, tokens)


@command.command(name="revoke")
@click.argument("tenant")
@click.argument("ids", nargs=-1)
@click.option("--all", "all_tokens", is_flag=True, help="Revoke all container tokens of the tenant.")
@data_options
@json_option
def revoke(
    tenant: str,
    ids: tuple[str, ...],
    all_tokens: bool,
    config_path: Path | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Revoke the container tokens IDS of TENANT. Later requests with them are refused."""
    if bool(ids) == all_tokens:
        raise click.UsageError("give either the ids of the tokens to revoke, or --all")
    ended = run_action(
        config_path, data, "token revoke", tenant=tenant, ids=None if all_tokens else list(ids)
    )
    if as_json:
        print_json(ended)
    else:
        click.echo(f"Revoked {counted(len(ended), 'token')}.")
