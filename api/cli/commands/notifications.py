"""`retain notifications`: the state of webhooks, and their dead letters."""

from __future__ import annotations

from pathlib import Path

import click

from retain.api.cli.groups import Section
from retain.api.cli.main import FAILED, Stopped, data_options
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.cli.words import counted


@click.group(name="notifications", cls=Section)
def command() -> None:
    """Show the webhooks of the configuration, and send again or discard what they did not accept."""


@command.command(name="list")
@data_options
@json_option
def list_webhooks(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Show each webhook: its progress, its last error, and its dead letters.

    Exit code: 1 if one does not accept events or has dead letters.
    """
    found = run_action(config_path, data, "notifications list")
    if as_json:
        print_json(found)
    else:
        columns = {
            "NAME": lambda row: row["name"],
            "URL": lambda row: row["url"],
            "BEHIND": lambda row: counted(row["behind"], "record"),
            "DEAD": lambda row: row["dead"],
            "STATE": lambda row: row["trouble"] or "ok",
        }
        print_table(columns, found)
    if any(one["trouble"] or one["dead"] for one in found):
        raise SystemExit(FAILED)


@command.command(name="dead")
@click.argument("webhook")
@data_options
@json_option
def dead(webhook: str, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Show the dead letters of WEBHOOK: the numbers of their records, as `retain audit log` shows them."""
    found = run_action(config_path, data, "notifications dead", webhook=webhook)
    if as_json:
        print_json(found)
    else:
        columns = {
            "RECORD": lambda row: row["record"],
            "GIVEN UP": lambda row: row["given_up"],
            "ATTEMPTS": lambda row: row["attempts"],
            "REASON": lambda row: row["reason"],
        }
        print_table(columns, found)


@command.command(name="retry")
@click.argument("webhook")
@data_options
@json_option
def retry(webhook: str, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Send the dead letters of WEBHOOK again, oldest first, until one is refused.

    Events whose records were erased meanwhile are not sent. An event's `sequence` shows the receiver that it
    is late.

    Exit code: 1 if some are left.
    """
    settled = 0
    while True:
        found = run_action(config_path, data, "notifications retry", webhook=webhook)
        settled += found["settled"]
        if not found["left"] or not found["settled"]:
            break
    if as_json:
        print_json({"settled": settled, "left": found["left"], "trouble": found["trouble"]})
    else:
        click.echo(f"{counted(settled, 'dead letter')} settled, {found['left']} left")
    if found["left"]:
        raise Stopped(f"the webhook {webhook} does not accept its dead letters: {found['trouble']}", FAILED)


@command.command(name="discard")
@click.argument("webhook")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@data_options
@json_option
def discard(webhook: str, yes: bool, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Discard the dead letters of WEBHOOK. The journal keeps their records."""
    if not yes:
        click.confirm(f"Discard the dead letters of {webhook}?", abort=True, err=True)
    found = run_action(config_path, data, "notifications discard", webhook=webhook)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{counted(found['discarded'], 'dead letter')} discarded")
