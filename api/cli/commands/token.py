"""`retain token`: shared access tokens, as the Genesys page *Generate SAS tokens* defines them."""

from __future__ import annotations

from pathlib import Path

import click

from retain.api.admin import CONTAINERS
from retain.api.cli.groups import Section
from retain.api.cli.main import data_options
from retain.api.cli.run import act, json_option, print_json, print_table
from retain.api.cli.words import counted


@click.group(name="token", cls=Section)
def command() -> None:
    """Tokens that open a tenant's containers until they expire.

    These commands work whether or not the server runs; a running server obeys at once.
    """


@command.command(name="create")
@click.argument("tenant")
@click.option("--expiry", required=True, metavar="DATE", help="Until when: 2022-05-13 or 2022-05-13T12:00.")
@click.option("--start", metavar="DATE", help="From when. Default: now.")
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="Time zone of the dates: Europe/Berlin, Pacific Standard Time, UTC-8, UTC(-08:00) Pacific Time.",
)
@click.option("--revoke-existing", is_flag=True, help="End all earlier container tokens in the same act.")
@click.option(
    "--container",
    "containers",
    multiple=True,
    metavar="NAME",
    help=f"Make a token for this container; repeat for more. Default: {' and '.join(CONTAINERS)}.",
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
    """Make one token for the account of TENANT (finds blobs by tags) and one for each container (reads,
    lists).

    The tokens are shown this once and kept nowhere: copy them now. Container tokens can be revoked; the
    account token ends with its expiry, or with the account's key.
    """
    issued = act(
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


@command.command(name="list")
@click.argument("tenant")
@data_options
@json_option
def list_command(tenant: str, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """List the tokens of TENANT that have not expired: who issued what for when. Their texts are not kept."""
    tokens = act(config_path, data, "token list", tenant=tenant)
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
@click.option("--all", "all_tokens", is_flag=True, help="All container tokens of the tenant.")
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
    """End the container tokens IDS of TENANT; the first request after this command returns is refused."""
    if bool(ids) == all_tokens:
        raise click.UsageError("give the ids of tokens, or --all")
    ended = act(config_path, data, "token revoke", tenant=tenant, ids=None if all_tokens else list(ids))
    if as_json:
        print_json(ended)
    else:
        click.echo(f"Revoked {counted(len(ended), 'token')}.")
