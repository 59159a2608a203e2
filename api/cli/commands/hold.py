"""`retain hold`: legal holds, which keep data from being erased until they are lifted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from retain.api.admin.rights import packed
from retain.api.cli.data_folder import open_data, progress, reading, visible
from retain.api.cli.groups import Section
from retain.api.cli.main import FAILED, WRONG, Stopped, data_options
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.cli.selection import asked_from, check_tenants, selection_options, show_selection
from retain.api.cli.words import counted
from retain.engine.holds import HoldKind, HoldTarget
from retain.engine.persons.find import recorded

NO_NUMBER = bytes(16)


@click.group(name="hold", cls=Section)
def command() -> None:
    """Put data under legal hold, so that it neither expires nor is erased.

    Clients cannot delete or overwrite held data either. Data past its deadline stays hidden from them. These
    commands work whether or not the server runs.
    """


@command.command(name="add")
@selection_options
@click.option(
    "--container", "containers", multiple=True, metavar="ACCOUNT/NAME", help="All blobs of a container."
)
@click.option(
    "--whole-tenant", "accounts", multiple=True, metavar="ACCOUNT", help="All containers of a tenant."
)
@click.option("--reason", required=True, help="The reason for the audit log, such as a case number.")
@click.option("--dry-run", is_flag=True, help="Only show what would be held.")
@data_options
@json_option
def add(
    containers: tuple[str, ...],
    accounts: tuple[str, ...],
    reason: str,
    dry_run: bool,
    config_path: Path | None,
    data: str | None,
    as_json: bool,
    **selection: Any,
) -> None:
    """Hold resources, everything stored about a person now, a container, or a tenant.

    A hold on a container or tenant also covers blobs that are stored there later. Each resource found gets a
    hold of its own, which `retain hold lift` lifts by its number. RESOURCE is a name as `retain audit log`
    shows it; * and ? in it are taken literally.

    \b
    retain hold add bob/cart --reason 'case 7'
    retain hold add --container mytenant/recordings --reason 'case 7'
    retain hold add --user ann --gms-user 4711 --reason 'case 8'
    """
    targets = [HoldTarget(HoldKind.CONTAINER, NO_NUMBER, _container(one)) for one in containers]
    targets += [HoldTarget(HoldKind.TENANT, NO_NUMBER, (account,)) for account in accounts]
    if any(selection.values()) or not targets:
        asked = asked_from(**selection)
        disk = open_data(config_path, data)
        with reading(disk), progress(disk, "Searching") as update:
            found = recorded(disk, asked, update)
        check_tenants(disk, config_path, data, asked, found)
        if not as_json:
            show_selection(asked, found)
        if not found:
            raise Stopped("no stored data matches the selection; nothing was held", FAILED)
        targets += [subject.target for subject in found]
    holds = [
        run_action(config_path, data, "hold add", target=packed(target), reason=reason, dry_run=dry_run)
        for target in targets
    ]
    if as_json:
        print_json(holds)
        return
    _print(holds)
    click.echo(f"{counted(len(holds), 'hold')} {'would be ' if dry_run else ''}set.", err=True)


def _container(text: str) -> tuple[str, str]:
    account, slash, name = text.partition("/")
    if not (account and slash and name):
        raise Stopped(f"--container {text}: must be ACCOUNT/NAME", WRONG)
    return account, name


@command.command(name="list")
@data_options
@json_option
def list_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """List all current holds: resource, reason, time and actor."""
    holds = run_action(config_path, data, "hold list")
    if as_json:
        print_json(holds)
    else:
        _print(holds)


@command.command(name="lift")
@click.argument("holds", nargs=-1, required=True, metavar="HOLD...")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@data_options
@json_option
def lift(
    holds: tuple[str, ...], yes: bool, config_path: Path | None, data: str | None, as_json: bool
) -> None:
    """Lift the holds with these numbers. Data that fell due meanwhile is erased, unless held otherwise."""
    known = {hold["hold"]: hold for hold in run_action(config_path, data, "hold list")}
    for hold in holds:
        if hold not in known:
            raise Stopped(
                f"the hold {visible(hold)} does not exist; see `retain hold list`. Nothing was lifted",
                FAILED,
            )
    if not yes:
        _print([known[hold] for hold in holds])
        what = "this hold" if len(holds) == 1 else f"these {len(holds)} holds"
        click.confirm(f"Lift {what}? Data that fell due meanwhile is erased.", abort=True, err=True)
    lifted = [run_action(config_path, data, "hold lift", hold=hold) for hold in holds]
    if as_json:
        print_json(lifted)
        return
    for hold in lifted:
        click.echo(f"Lifted the hold on {visible(hold['subject'])} ({visible(hold['reason'])}).")


def _print(holds: list[dict[str, Any]]) -> None:
    columns = {
        "HOLD": lambda hold: hold.get("hold", "-"),
        "SINCE": lambda hold: hold.get("set", "-")[:19].replace("T", " "),
        "KIND": lambda hold: hold["kind"],
        "RESOURCE": lambda hold: visible(hold["subject"]),
        "REASON": lambda hold: visible(hold["reason"]),
        "BY": lambda hold: visible(hold.get("actor", "-")),
    }
    print_table(columns, holds)
