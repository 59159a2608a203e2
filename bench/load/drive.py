"""One measurement of a server over HTTP: the load generator, and the server's processor time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from retain.bench.load.requests import check
from retain.bench.metrics import QUANTILES, Measurement, cpu_seconds

WRK_BYTES: Final = 65_536
"""wrk gets its requests as texts in a script: longer ones are sent by Retain's generator."""

WARM_UP_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """One measurement.

    Attributes:
        port: On loopback.
        requests: Raw requests, sent in turn by each connection.
        expect: Status code every answer must have, or the codes that it may have.
        connections: Keep-alive connections.
        seconds: Seconds measured.
        rate: Requests a second that are due, whether or not earlier ones are answered (open loop); a latency
            counts from when its request was due. None: a connection's next request follows its last answer
            (closed loop).
        pid: The server's process, for its processor time.
        processor: Core to run on; None leaves that to the scheduler.
        seed: Of the order of the requests.
        may_use_wrk: Whether wrk may make the load where it is installed: it uses less processor time than
            Retain's generator, but a figure that is compared across machines must come from the same one.

    """

    port: int
    requests: Sequence[bytes]
    expect: int | tuple[int, ...] = 200
    connections: int = 16
    seconds: float = 3.0
    rate: float | None = None
    pid: int | None = None
    processor: int | None = None
    seed: int = 1
    may_use_wrk: bool = True


def measure(load: Load) -> Measurement:
    """Run the load in a process of its own.

    Raises:
        RuntimeError: An answer had another status, or the server closed the connections.

    """
    expected = (load.expect,) if isinstance(load.expect, int) else load.expect
    check(load.port, load.requests[0], expected)
    spent = cpu_seconds(load.pid) if load.pid is not None else 0.0
    fits = load.rate is None and load.seconds >= 1 and max(map(len, load.requests)) <= WRK_BYTES
    by_wrk = load.may_use_wrk and fits and shutil.which("wrk")
    answer = _by_wrk(load) if by_wrk else _by_generator(load)
    return Measurement.of(
        answer["operations"],
        answer["seconds"],
        [(point[0], point[1]) for point in answer["curve"]],
        None if load.pid is None else cpu_seconds(load.pid) - spent,
        answer["all"],
    )


def _pinned(load: Load) -> list[str]:
    return [] if load.processor is None else ["taskset", "-c", str(load.processor)]


def _by_generator(load: Load) -> dict[str, Any]:
    order = {
        "port": load.port,
        "requests": [request.decode("latin-1") for request in load.requests],
        "expect": (load.expect,) if isinstance(load.expect, int) else load.expect,
        "connections": load.connections,
        "seconds": load.seconds,
        "warm_up": WARM_UP_S,
        "rate": load.rate,
        "seed": load.seed,
    }
    command = [*_pinned(load), sys.executable, "-m", "retain.bench.load.generator"]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else "the load generator failed")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


_SCRIPT: Final = """
local requests = {}
local at = 0
function init(args)
  for line in io.lines("%(requests)s") do
    requests[#requests + 1] = line:gsub("%%%%(%%x%%x)", function(hex) return string.char(tonumber(hex, 16))
    end)
  end
  math.randomseed(%(seed)d)
  at = math.random(#requests)
end
function request()
  at = at + 1
  return requests[(at %% #requests) + 1]
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"operations":%%d,"microseconds":%%d,"refused":%%d,"broken":%%d,"curve":[',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
  local quantiles = {%(quantiles)s}
  for number, quantile in ipairs(quantiles) do
    local value = quantile >= 100 and latency.max or quantile <= 0 and latency.min or
    latency:percentile(quantile) io.write(string.format("%%s[%%f,%%f]", number > 1 and "," or "", quantile,
    value / 1000))
  end
  io.write("]}")
end
"""


def _by_wrk(load: Load) -> dict[str, Any]:
    """Use wrk. It counts from its first request on, so a short run before it warms up the server."""
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        requests, script = Path(folder) / "requests", Path(folder) / "script.lua"
        requests.write_text("\n".join(map(_escaped, load.requests)) + "\n", "latin-1")
        script.write_text(
            _SCRIPT % {"requests": requests, "seed": load.seed, "quantiles": ", ".join(map(str, QUANTILES))}
        )
        command = [
            *_pinned(load),
            "wrk",
            "--threads=1",
            f"--connections={load.connections}",
            f"--duration={max(1, round(load.seconds))}s",
            f"--script={script}",
            f"http://127.0.0.1:{load.port}/",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\{.*\}", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk failed: {(done.stderr or done.stdout).strip()[-500:]}")
    result = json.loads(found[0])
    may_refuse = (
        not isinstance(load.expect, int) and max(load.expect) >= 400
    )  # which code it was wrk does not say
    if result["broken"] or (result["refused"] and not may_refuse):
        raise RuntimeError(f"{result['refused']} requests were refused and {result['broken']} broke off")
    return {
        "operations": result["operations"],
        "all": result["operations"],
        "seconds": result["microseconds"] / 1e6,
        "curve": result["curve"],
    }


def _escaped(request: bytes) -> str:
    """Return a request on one line: control characters and the percent sign as `%` and two digits."""
    text = request.decode("latin-1")
    return "".join(f"%{ord(one):02x}" if one < " " or one == "%" else one for one in text)
