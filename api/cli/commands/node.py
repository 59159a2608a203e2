"""`retain node`: begin a cluster of several machines, list its nodes, forget one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from retain.api.admin.control_client import ActionRefused, Unreachable, ask
from retain.api.cli.failures import failures_of
from retain.api.cli.groups import Section
from retain.api.cli.main import FAILED, WRONG, Stopped, data_options
from retain.api.cli.options import configured
from retain.api.cli.run import actor, json_option, print_json, print_table, run_action
from retain.api.cli.words import counted
from retain.api.config.load import Config
from retain.api.html.spans import span
from retain.api.importing import importing
from retain.engine.nodes.members import AWAY_S

_ALONE: Final = "cluster.log is not set: this server stands alone; see docs/cluster/installing.md"


@click.group(name="node", cls=Section)
def command() -> None:
    """Begin a cluster of several machines, list its nodes, and forget one that will not come back.

    The nodes of a cluster answer as one server; see docs/cluster/. All commands need the section [cluster]
    of the configuration.
    """


@command.command(name="init")
@data_options
@json_option
def init_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Begin a cluster on this data folder, in the database of cluster.log. Run it once, on one machine.

    The folder's journal and keys become those of all nodes; an empty folder gets new ones. The other machines
    start with an empty folder, or with a restored backup of this one. The server must not run.
    """
    config = _clustered(config_path, data)
    with importing():
        from retain.api.cli.with_nodes import begin
    with failures_of(config.storage.data, in_use="; stop it first"):
        found = begin(config)
    if as_json:
        print_json(found)
        return
    records = f"records 1 to {found['record']:,}" if found["record"] else "no records"
    click.echo(
        f"Began a cluster with {records} and {counted(found['files'], 'key file')} of {config.storage.data}. "
        f"Moved {counted(found['payloads'], 'payload file')} to {config.storage.payloads}. "
        "Start each node: retain serve"
    )


@command.command(name="list")
@data_options
@json_option
def list_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """List all nodes: which one leads, the last record of each, and when it last reported to the database.

    Exit code: 0; 1 if no node leads.
    """
    config = _clustered(config_path, data)
    with importing():
        from retain.api.cli.with_nodes import nodes_of
    with failures_of(config.storage.data):
        rows = nodes_of(config)
    if as_json:
        print_json(rows)
    else:
        print_table(
            {
                "NODE": lambda row: row["name"],
                "ROLE": lambda row: row["role"],
                "RECORDS": lambda row: f"{row['record']:,}",
                "BEHIND": lambda row: f"{row['behind']:,}",
                "ERASED TO": lambda row: f"{row['erased_to']:,}",
                "SEEN": lambda row: _ago(row["seen_seconds"]),
                "RELEASE": lambda row: row["release"],
                "LINK": lambda row: row["link"],
            },
            rows,
        )
    if not any(row["role"] == "leader" for row in rows):
        raise Stopped(
            "no node leads: changes and reads are answered 503 at every node; `retain doctor` on each "
            "machine looks for the cause",
            FAILED,
        )


@command.command(name="forget")
@click.argument("name")
@data_options
@json_option
def forget_command(name: str, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Remove the node NAME, which will not come back, from the list. This machine's server must run.

    Its folder no longer counts as a copy. Erasures do not reach it any more: wipe its disk. The audit log
    records who forgot it. A node that does come back is in the list again with its first report.
    """
    found = _ask(config_path, data, "node forget", name=name)
    if as_json:
        print_json(found)
        return
    click.echo(
        f"Forgot node {name}. Wipe its data folder: what was erased after record {found['erased_to']:,} may "
        "still be there."
    )


@command.command(name="status")
@data_options
@json_option
def status_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Show this machine's node: its role, since when it has it, and its last record. Its server must run.

    Exit code: 0 it answers requests; 1 it does not.
    """
    found = _ask(config_path, data, "node status")
    if as_json:
        print_json(found)
    else:
        click.echo(f"Node {found['name']}: {found['role']} since {found['since']}, epoch {found['epoch']}")
        click.echo(f"Leader: {found['leader'] or 'unknown'}")
        click.echo(f"Last record: {found['record']:,}; erasures carried out up to {found['erased_to']:,}")
        if found["why"]:
            click.echo(f"It does not answer requests: {found['why']}")
    if found["role"] == "waiting":
        raise SystemExit(FAILED)


def _clustered(config_path: Path | None, data: str | None) -> Config:
    config = configured(config_path, data=data)
    if config.cluster.log is None:
        raise Stopped(_ALONE, WRONG)
    return config


def _ask(config_path: Path | None, data: str | None, action: str, **arguments: str) -> Any:
    """Return what the server of a data folder answers; it may be a node by a configuration of its own."""
    config = configured(config_path, data=data)
    if config.cluster.log is not None:
        return run_action(config_path, data, action, **arguments)
    try:
        return ask(Path(config.storage.data).absolute(), action, actor=actor(), **arguments)
    except Unreachable:
        raise Stopped(_ALONE, WRONG) from None
    except ActionRefused as refusal:
        raise Stopped(_ALONE if refusal.reason == "action" else refusal.message, FAILED) from None


def _ago(seconds: float) -> str:
    if seconds < AWAY_S:
        return "now"
    return f"{span(seconds, ' ')} ago"
