"""The commands of `retain audit` for proofs: key, checkpoint, receipt, check-receipt, diff."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import click

from retain.api.cli.data_folder import MOMENT, MOMENT_HELP, note_future, open_data, progress, reading, visible
from retain.api.cli.exits import OUTPUT
from retain.api.cli.main import FAILED, WRONG, Stopped, data_options
from retain.api.cli.output import STANDARD, output_option, write_output
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.cli.selection import NUMBER, hint_for, one_of, resource_options
from retain.api.console.evidence.receipt_page import facts_of, page
from retain.engine import EngineError
from retain.engine.audit.checkpoints import (
    BadNote,
    Checkpoint,
    Verifier,
    open_signed,
    other_history,
    read_key,
)
from retain.engine.audit.contents import HELD_BY, holdings
from retain.engine.audit.diff import ContentsChange, compare_contents
from retain.engine.audit.log import Filter, log, state_at
from retain.engine.audit.receipts import MOST_BYTES, BadReceipt, check, parse, receipt
from retain.engine.core.pattern import Pattern
from retain.engine.core.time import timestamp

KEY_HELP = "The log's public key, as `retain audit key` prints it, or a file that contains it."


def verifier(key: str) -> Verifier:
    """Return a public key, given as text or as the name of a file. Raises `Stopped`."""
    try:
        if "+" not in key or Path(key).is_file():
            with click.open_file(key, encoding="utf-8") as file:
                key = file.read(4096)
        return Verifier.parse(key)
    except OSError as error:
        raise Stopped(f"--key: {error.strerror}", WRONG) from None
    except (BadNote, UnicodeDecodeError) as error:
        raise Stopped(f"--key: {error}", WRONG) from None


def trusted_checkpoint(file: IO[bytes], disk: Any, key: str | None) -> Checkpoint:
    """Return a checkpoint signed with `key` (default: the log's own key). Raises `Stopped`."""
    try:
        trusted = read_key(disk).verifier if key is None else verifier(key)
        return open_signed(file.read(MOST_BYTES), trusted)
    except EngineError as error:
        raise Stopped(f"{error.message}; --key names one", WRONG) from None
    except BadNote as error:
        raise Stopped(f"the checkpoint is not valid: {error}", FAILED) from None


@click.command(name="key")
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def key_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Print the public key of this log, with which third parties check checkpoints and receipts.

    Pass it on through a separate, trusted channel: anyone who can replace it can forge checkpoints. The first
    start creates the private key in the file audit.key of the data folder, readable by its owner only.
    """
    disk = open_data(config_path, data)
    try:
        found = read_key(disk).verifier
    except EngineError as error:
        raise Stopped(error.message, FAILED) from None
    if as_json:
        click.echo(json.dumps({"name": found.name, "id": found.key_id.hex(), "key": str(found)}))
    else:
        click.echo(str(found))


@click.command(name="checkpoint")
@output_option
@data_options
@json_option
def checkpoint_command(output: Path, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Sign a checkpoint of the log: its name, its number of records, and the root of the tree over them.

    Keep it where the operators of this server cannot change it. `retain audit verify --since FILE` later
    proves that history up to the checkpoint is still the same. The format is a C2SP tlog-checkpoint, which
    other tools read too. The server need not run. [audit] in the configuration exports checkpoints on a
    schedule.

    --output replaces an earlier checkpoint of the same history. It does not replace one of another history
    (from before a restore, or of another log): that one is evidence.
    """
    answer = run_action(config_path, data, "audit checkpoint")
    if str(output) != STANDARD:
        _check_replaceable(output, open_data(config_path, data), Verifier.parse(answer["key"]))
    text = json.dumps(answer, ensure_ascii=False) + "\n" if as_json else answer["checkpoint"]
    write_output(output, text.encode())


def _check_replaceable(output: Path, disk: Any, key: Verifier) -> None:
    """Raise `Stopped` if `output` is a checkpoint of another history, also one in JSON."""
    try:
        with output.open("rb") as file:
            kept = file.read(MOST_BYTES)
    except OSError:
        return  # the file does not exist, or cannot be written either, which is reported then
    # What is no JSON of ours is a plain note, or something else.
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        kept = json.loads(kept)["checkpoint"].encode()
    try:
        fault = other_history(disk, kept, key)
    except EngineError as error:
        raise Stopped(error.message, FAILED) from None
    if fault is not None:
        raise Stopped(
            f"{output} is a checkpoint of another history ({fault}) and was left as it is: it may be the "
            "evidence of a restore or of a changed log; write to another file",
            OUTPUT,
        )


@click.command(name="receipt")
@click.argument("resource", required=False)
@click.option("--number", type=NUMBER, help="The resource with this number, if the name is not unique.")
@output_option
@click.option("--html", is_flag=True, help="Write a readable page that contains the same proof, not JSON.")
@click.option("--names", is_flag=True, help="Also prove names and actors that are not erased.")
@data_options
def receipt_command(
    resource: str | None,
    number: str | None,
    output: Path,
    html: bool,
    names: bool,
    config_path: Path | None,
    data: str | None,
) -> None:
    """Prove that RESOURCE was stored and erased, and when.

    RESOURCE is a name as `retain audit log` shows it. The receipt contains no data, only headers, erasure
    records, proofs and a fresh signed checkpoint. `retain audit check-receipt` checks it with the public key
    alone, without this server.

    \b
    retain audit receipt bob/cart --html --output receipt.html
    """
    if (resource is None) is (number is None):
        raise Stopped("give either RESOURCE or --number", WRONG)
    answer = run_action(config_path, data, "audit checkpoint")
    disk = open_data(config_path, data)
    key = Verifier.parse(answer["key"])
    with reading(disk), progress(disk, "Proving") as update:
        if resource is not None:
            number = _number(disk, resource, update)
        assert number is not None
        try:
            made = receipt(disk, bytes.fromhex(number), answer["checkpoint"].encode(), key, names=names)
        except BadReceipt as error:
            raise Stopped(str(error), FAILED) from None
    text = page(made, check(made, key)) if html else json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    write_output(output, text.encode())


def _number(disk: Any, resource: str, update: Callable[[int], None]) -> str:
    """Return the number of the resource with that name. Raises `Stopped` if there is none, or several."""
    found = {
        entry.resource: f"{entry.resource}  since {timestamp(entry.time)}  {entry.interface}"
        for entry in reversed(list(log(disk, Filter(resource=resource), update)))
        if entry.interface in HELD_BY and entry.subject == resource
    }
    if not found:
        raise Stopped(f"no record in the journal names {visible(resource)}{hint_for(resource)}", FAILED)
    if len(found) > 1:
        lines = "\n".join(reversed(found.values()))
        raise Stopped(f"several resources had this name; choose one by --number:\n{lines}", WRONG)
    return next(iter(found))


@click.command(name="check-receipt")
@click.argument("file", type=click.File("rb"))
@click.option("--key", required=True, metavar="KEY", help=KEY_HELP)
@json_option
def check_command(file: IO[bytes], key: str, as_json: bool) -> None:
    """Check a receipt (FILE: JSON or page; - for standard input) with the log's public key.

    This needs no server, no data folder and no network.

    Exit code: 0 valid; 1 not valid; 2 there is no such file or key.
    """
    trusted = verifier(key)
    try:
        verdict = check(parse(file.read(MOST_BYTES + 1)), trusted)
    except BadReceipt as error:
        if as_json:
            print_json({"holds": False, "reason": str(error)})
            raise SystemExit(FAILED) from None
        raise Stopped(f"the receipt is not valid: {error}", FAILED) from None
    facts = facts_of(verdict)
    if as_json:
        print_json({"holds": True, **facts})
        return
    click.echo(f"The receipt is valid, under a checkpoint of {facts['log']} over {facts['size']} records.")
    click.echo(f"Resource {facts['resource']}:")
    columns = {
        "RECORD": lambda row: row["seq"],
        "TIME": lambda row: row["time"],
        "WHAT": lambda row: row["what"],
        "NAME": lambda row: visible(row["name"] or "-"),
        "CONTENT": lambda row: row["content"],
        "NAMES": lambda row: row["details"],
    }
    print_table(columns, facts["records"])
    click.echo(facts["verdict"])


@click.command(name="diff")
@data_options
@click.option("--from", "start", type=MOMENT, required=True, help=f"The earlier moment: {MOMENT_HELP}")
@click.option("--to", "stop", type=MOMENT, default="now", show_default=True, help="The later time.")
@click.option("--interface", "-i", type=click.Choice(list(HELD_BY)), help="Only this interface.")
@resource_options
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per change, with both full states."
)
def diff_command(
    config_path: Path | None,
    data: str | None,
    start: int,
    stop: int,
    interface: str | None,
    resource: str | None,
    match: Pattern | None,
    number: str | None,
    as_json: bool,
) -> None:
    """Show what was added, removed or changed between two times.

    Data that has been erased since appears in neither state.

    \b
    retain audit diff --from 2026-05-03 --to 2026-05-04 -i settings
    """
    if start > stop:
        raise Stopped("--from is later than --to; swap them", WRONG)
    wanted = one_of(resource, match, "--resource")
    disk = open_data(config_path, data)
    note_future(start, stop)
    found: list[list[dict[str, Any]]] = []
    with reading(disk), progress(disk, "Replaying") as update:
        for time in (start, stop):
            state = state_at(disk, time, update)
            found.append(list(holdings(state, time, interface=interface, resource=wanted, number=number)))
    changes = list(compare_contents(*found))
    if as_json:
        for one in changes:
            row = {"what": one.what, "fields": list(one.fields), "before": one.before, "after": one.after}
            click.echo(json.dumps(row, ensure_ascii=False))
    elif changes:
        columns: Mapping[str, Callable[[Any], object]] = {
            "WHAT": lambda row: row["what"],
            "INTERFACE": lambda row: row["interface"],
            "KIND": lambda row: row["kind"],
            "RESOURCE": lambda row: visible(row["subject"]),
            "FIELDS": lambda row: visible(", ".join(row["fields"])),
        }
        print_table(columns, [_row(one) for one in changes])
    else:
        click.echo("Nothing changed.", err=True)


def _row(one: ContentsChange) -> dict[str, Any]:
    return {**one.holding, "what": one.what, "fields": one.fields}


COMMANDS = (key_command, checkpoint_command, receipt_command, check_command, diff_command)
