"""`retain bench`: list, run, compare, report, check."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from retain.bench import ceiling, growth
from retain.bench.compare import NotComparable, VersionComparison, checkout, compare
from retain.bench.metrics import METRICS, NOT_INSTALLED
from retain.bench.result import RunResult, latest, number
from retain.bench.scenario import RunSettings, Scenario, scenarios

RESULTS: Final = Path("bench-results")
"""The folder for results, below the present one."""

QUICK: Final = 0.02
"""The scale of a quick run."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Measure this version on this machine, alone or beside other servers."""


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_scenarios(as_json: bool) -> None:
    """List the scenarios."""
    found = scenarios().values()
    if as_json:
        rows = [{"name": one.name, "about": one.about, "peers": list(one.peers)} for one in found]
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("scenario", "measures", "beside")
    for one in found:
        table.add_row(one.name, one.about, ", ".join(one.peers))
    Console().print(table)


def _measuring(function: Any) -> Any:
    """Add the options for running a scenario."""
    options = [
        click.option(
            "--rounds", default=3, show_default=True, type=click.IntRange(1), help="Interleaved rounds."
        ),
        click.option("--seconds", default=3.0, show_default=True, help="Seconds of each measurement."),
        click.option(
            "--connections", default=16, show_default=True, type=click.IntRange(1), help="Connections."
        ),
        click.option("--scale", default=1.0, show_default=True, help="Multiplies sizes and counts."),
        click.option("--quick", is_flag=True, help=f"One round of one second at a scale of {QUICK:g}."),
        click.option("--seed", default=1, show_default=True, help="Seed of all random numbers."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _settings(
    rounds: int, seconds: float, connections: int, scale: float, quick: bool, seed: int, **more: Any
) -> RunSettings:
    if quick:
        rounds, seconds, scale = 1, 1.0, QUICK
    return RunSettings(rounds, seconds, connections, scale, seed, **more)


def _chosen(names: tuple[str, ...]) -> list[Scenario]:
    known = scenarios()
    unknown = [name for name in names if name not in known and name != "all"]
    if unknown:
        raise click.UsageError(f"unknown scenario {unknown[0]!r}; `retain bench list` lists all")
    return [one for name, one in known.items() if "all" in names or name in names]


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="SCENARIO...")
@_measuring
@click.option("--no-peers", is_flag=True, help="Measure Retain alone.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for results. [bench-results]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON, and keep none.")
@click.option("--checkout", type=click.Path(path_type=Path, exists=True, file_okay=False), hidden=True)
def run(
    names: tuple[str, ...],
    no_peers: bool,
    out: Path | None,
    as_json: bool,
    checkout: Path | None,
    **options: Any,
) -> None:
    """Run scenarios, or `all`, and keep the results. One that fails does not prevent the others."""
    settings = _settings(**options, with_peers=not no_peers, checkout=checkout)
    console = Console(stderr=as_json, highlight=False)
    results: list[RunResult] = []
    failures: list[str] = []
    for scenario in _chosen(names):
        try:
            result = scenario.run(settings)
        except (RuntimeError, OSError) as error:
            failures.append(f"{scenario.name} failed: {error}")
            click.echo(failures[-1], err=True)
            continue
        results.append(result)
        if not as_json:
            result.show(console)
            console.print(f"  kept as {result.save(out or RESULTS)}")
    if as_json:
        click.echo(json.dumps([result.document() for result in results]))
    if failures:
        raise click.ClickException("\n".join(failures))


@main.command("compare")
@click.argument("base")
@click.argument("head", default=".")
@click.option(
    "--scenario",
    "-s",
    "names",
    multiple=True,
    default=("areas-http", "settings-http", "connections"),
    show_default=True,
    help="A scenario; may be given several times.",
)
@_measuring
def compare_versions(base: str, head: str, names: tuple[str, ...], **options: Any) -> None:
    """Measure two versions in turn and report what changed beyond noise.

    BASE and HEAD are commits of the repository in the present folder, or folders of checkouts. Exits with 1
    if something got worse.
    """
    settings = _settings(**options, with_peers=False)
    worse = False
    console = Console()
    try:
        with checkout(base, Path.cwd()) as before, checkout(head, Path.cwd()) as after:
            for scenario in _chosen(names):
                found: list[VersionComparison] = []
                for turn, so_far in compare(scenario, settings, before, after):
                    click.echo(f"{scenario.name}: round {turn} of {settings.rounds}", err=True)
                    found = so_far
                console.print(_compared(scenario.name, found))
                worse = worse or any(change.is_worse for change in found)
    except NotComparable as error:
        raise click.ClickException(str(error)) from error
    sys.exit(1 if worse else 0)


def _compared(name: str, found: list[VersionComparison]) -> Table:
    table = Table("case", "figure", "base", "head", "head / base", "95 % of", "", title=name)
    for one in found:
        word = "worse" if one.is_worse else "better" if one.is_real else "no change beyond noise"
        between = f"{one.low:.2f} to {one.high:.2f}"
        row = [
            one.case,
            METRICS[one.metric].title,
            number(one.base),
            number(one.head),
            f"{one.ratio:.2f}",
            between,
        ]
        table.add_row(*row, word)
    return table


@main.command()
@click.argument("folder", default=str(RESULTS), type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write one self-contained page."
)
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the tables as Markdown."
)
@click.option(
    "--update",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Replace the tables between `<!-- bench NAME -->` and `<!-- end -->` of a page.",
)
def report(folder: Path, html: Path | None, markdown: Path | None, update: Path | None) -> None:
    """Write a report of the newest results of each scenario in FOLDER."""
    try:
        from retain.bench.pages import report_page, tables, updated
    except ModuleNotFoundError:
        raise click.ClickException(NOT_INSTALLED) from None
    try:
        results = latest(folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not results:
        raise click.ClickException(f"{folder} contains no results; create some with `retain bench run`")
    if html is not None:
        html.write_text(report_page(results))
        click.echo(f"wrote {html}")
    if markdown is not None:
        markdown.write_text(tables(results))
        click.echo(f"wrote {markdown}")
    if update is not None:
        text, changed = updated(update.read_text(), results)
        update.write_text(text)
        click.echo(f"replaced in {update}: {', '.join(changed) or 'nothing'}")
    if html is None and markdown is None and update is None:
        click.echo(tables(results))


@main.command()
@click.option("--write", is_flag=True, help="Store the present costs as the ones to compare with.")
@click.option(
    "--rounds",
    default=ceiling.ROUNDS,
    show_default=True,
    type=click.IntRange(1),
    help="Rounds; the lowest cost counts.",
)
@click.option(
    "--against", metavar="REVISION", help="Compare with this commit or checkout, without a baseline."
)
def check(write: bool, rounds: int, against: str | None) -> None:
    """Fail if a request needs a tenth more processor time than in `bench/baseline.json`.

    With --against, both versions are measured in turn, and only growth beyond noise counts: exit code 3.
    """
    if against is not None:
        _check_against(against)
        return
    before = json.loads(ceiling.BASELINE.read_text())
    now = ceiling.costs(rounds)
    if not write and (grown := ceiling.grown(now, before)):
        click.echo(f"once more, since these look dearer: {', '.join(grown)}", err=True)
        again = ceiling.costs(rounds)
        now = {kind: min(cost, again[kind]) for kind, cost in now.items()}
    for kind, cost in now.items():
        was = before.get(kind)
        click.echo(f"{kind:14} {cost:6.2f} units" + (f", was {was:.2f}" if was else ""))
    if write:
        ceiling.BASELINE.write_text(json.dumps({k: round(v, 2) for k, v in now.items()}, indent=2) + "\n")
        return
    grown = ceiling.grown(now, before)
    if grown:
        grown_by = ", ".join(f"{kind} costs {ratio:.2f} times as much" for kind, ratio in grown.items())
        raise click.ClickException(
            f"{grown_by}. Make it cheaper, or say why with: retain bench check --write"
        )


GROWN: Final = 3
"""The exit code for costs that have certainly grown."""


def _check_against(revision: str) -> None:
    try:
        with checkout(revision, Path.cwd()) as before:
            found, worse = growth.compared(before, Path.cwd())
    except (NotComparable, RuntimeError, OSError) as error:
        raise click.ClickException(f"the costs of requests were not compared: {error}") from error
    for one in found:
        between = f"{one.ratio:.2f} times as much (99 %: {one.low:.2f} to {one.high:.2f})"
        click.echo(f"{one.case:14} {one.base:6.0f} → {one.head:6.0f} µs of the processor, {between}")
    if not worse:
        return
    by = ", ".join(f"{one.case} costs {one.ratio:.2f} times as much" for one in worse)
    if why := growth.reasons(revision, Path.cwd()):
        click.echo(f"{by}, as a commit says: {'; '.join(why)}")
        return
    click.echo(
        f"{by}. Make it cheaper, or say why in the commit's message, in a line that begins {growth.MARK!r}",
        err=True,
    )
    sys.exit(GROWN)
