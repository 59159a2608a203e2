"""`retain status`: whether a server runs on the data folder, and its state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from retain.api.cli.main import FAILED, data_options
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.cli.words import counted
from retain.api.html.spans import span


@click.command(name="status")
@data_options
@json_option
def command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Show whether a server runs on the data folder, what it stores, and whether expiry and erasure keep up.

    If no server runs, the command opens the data folder briefly.

    Exit code: 0 a server runs and is ready; 1 no server runs, or it is not ready; 3 another process is using
    the data folder and does not answer.
    """
    found = run_action(config_path, data, "status")
    found["running"] = found["process"] != os.getpid()
    if not found["running"]:
        found |= {"process": None, "started": None}
    if as_json:
        print_json(found)
    else:
        _print(found)
    if not (found["running"] and found["ready"]):
        raise SystemExit(FAILED)


def _print(found: dict[str, Any]) -> None:
    running = f"process {found['process']}, since {found['started']}" if found["running"] else "not running"
    held = [
        counted(found["areas"], "area"),
        counted(found["documents"], "document"),
        counted(found["blobs"], "blob"),
    ]
    erasing = counted(found["records_to_erase"], "record")
    rows = {
        "Server": running,
        "State": found["state"],
        "Holds": f"{', '.join(held)}; {counted(found['payload_files'], 'payload file')}",
        "Journal": f"{counted(found['records'], 'record')}, the last at {found['last_record'] or '-'}",
        "Legal holds": str(found["holds"]),
        "Commands waiting": str(found["commands_waiting"]),
        "Expiry behind": span(found["expiry_lag_seconds"], " "),
        "Erasure behind": f"{span(found['erasure_lag_seconds'], ' ')}, {erasing} to erase",
        "Disk": f"{counted(found['disk_free_bytes'], 'byte')} free of {found['disk_total_bytes']:,}",
        "Last backup": _made(found["last_backup"], "none"),
        "Last checkpoint": _checkpoint(found),
        "Clock": f"{found['clock']}; the server's time is {found['present']}",
        "Clock state": found["clock_state"] or "the clock is right",
    }
    for one in found.get("workers", []):
        memory = "-" if one["memory_bytes"] is None else f"{one['memory_bytes'] / 2**20:.0f} MiB"
        state = f"{memory}, {counted(one['connections'] or 0, 'connection')}"
        if one["behind"]:
            state += f", {counted(one['behind'], 'record')} behind"
        rows[f"Worker {one['worker']}"] = (
            f"process {one['process']}, {state if one['listening'] else 'starting'}"
        )
    table = [{"what": what, "value": value} for what, value in rows.items()]
    print_table({"WHAT": lambda row: row["what"], "VALUE": lambda row: row["value"]}, table)


def _made(last: dict[str, Any] | None, none: str) -> str:
    if last is None:
        return none
    age = span(last["age_seconds"], " ")
    place = f", in {last['folder']}" if last.get("folder") else ""
    return f"{last['time']}, {age} ago, of {counted(last['records'], 'record')}{place}"


def _checkpoint(found: dict[str, Any]) -> str:
    if not found["checkpoints_to"]:
        return "not exported; see [audit] in the configuration"
    return (
        f"{_made(found['last_checkpoint'], 'none since the start')}; to {', '.join(found['checkpoints_to'])}"
    )
