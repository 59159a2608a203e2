"""Blob GETs of one process beside those of several workers.

One process has one core and the load another; workers and load share all cores. On a machine with few cores,
the load reduces the rate, so the processor time of a request is shown as well.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from retain.bench import blob_data as blobs
from retain.bench.load import measure as ask
from retain.bench.peers import servers
from retain.bench.result import Ratio, RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds, processors

WORKERS: Final = 2
ONE, SEVERAL = "one process", f"{WORKERS} workers"


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure GET of blobs of 1 KiB, read in turn."""
    core, other = processors()
    cases: dict[tuple[str, str], Case] = {}
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        for count, case, server_core, load_core in ((1, ONE, core, other), (WORKERS, SEVERAL, None, None)):
            configuration = folder / f"{count}.toml"
            configuration.write_text(f"{blobs.CONFIGURATION}\n[server]\nworkers = {count}\n")
            port, pid = stack.enter_context(
                servers.retain(folder / str(count), configuration, server_core, checkout=settings.checkout)
            )
            load = blobs.read_load(port, pid, load_core, settings)
            cases[f"GET 1 KiB, {case}", "retain"] = partial(ask, load)
        in_rounds(settings, result, cases)
    one, several = (result.row(f"GET 1 KiB, {case}") for case in (ONE, SEVERAL))
    result.ratio(f"rate: {SEVERAL} / {ONE}", several, one, goal=1.7)
    result.ratio(f"processor time of a GET: {ONE} / {SEVERAL}", several, one, "cpu_us")
    pairs = zip(one.figures["cpu_us"], several.figures["cpu_us"], strict=True)
    served = tuple(WORKERS * alone / each for alone, each in pairs)
    result.ratios.append(Ratio(f"rate of {SEVERAL} with a core each / {ONE}, by processor time", served, 1.7))


SCENARIO = Scenario("workers", "Blob GETs of one process and of two workers.", measure, over_http=True)
