"""The load generators, against a small server of the tests, and one scenario against a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which

import pytest
from click.testing import CliRunner

pytest.importorskip("hdrh", reason="the benchmarks are installed with retain[bench]")

from retain.api.cli.main import main
from retain.bench.load import Load, measure
from retain.bench.load.drive import _escaped
from retain.bench.load.requests import request
from retain.bench.metrics import cpu_seconds, family
from retain.bench.scenarios.cluster import together

STALL_S = 0.3
STALLS_AT = 80
"""Past the half second of warming up at a hundred a second."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answered = 0

    def do_GET(self) -> None:
        _Handler.answered += 1
        if self.path == "/stall" and _Handler.answered == STALLS_AT:
            time.sleep(STALL_S)
        body = b"x" * 10
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    _Handler.answered = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def _load(port: int, path: str = "/", **options: object) -> Load:
    plain = {"connections": 4, "seconds": 0.4, "may_use_wrk": False}
    return Load(port, [request("GET", path)], **{**plain, **options})  # type: ignore[arg-type]


def test_a_closed_loop_counts_answers(port: int) -> None:
    sample = measure(_load(port))
    assert sample.figures["per_second"] > 10
    assert sample.figures["p50_ms"] <= sample.figures["p99_ms"] <= sample.figures["worst_ms"]


def test_an_open_loop_keeps_its_rate(port: int) -> None:
    sample = measure(_load(port, rate=50.0, seconds=1.0))
    assert sample.figures["per_second"] == pytest.approx(50, rel=0.2)


def test_requests_kept_from_being_sent_count_from_when_they_were_due(port: int) -> None:
    # One connection: while the server stalls, 30 of a hundred requests fall due that only wait for it.
    sample = measure(_load(port, "/stall", rate=100.0, seconds=1.0, connections=1))
    assert dict(sample.curve)[90.0] > STALL_S * 1000 / 3


def test_another_status_is_an_error(port: int) -> None:
    with pytest.raises(RuntimeError, match="404"):
        measure(_load(port, "/missing"))


@pytest.mark.skipif(which("wrk") is None, reason="wrk is not installed")
def test_wrk_asks_for_the_same(port: int) -> None:
    sample = measure(_load(port, "/a%20b", seconds=1.0, may_use_wrk=True))
    assert sample.figures["per_second"] > 10
    assert dict(sample.curve)[50.0] > 0


def test_a_request_for_wrk_is_one_line_that_says_the_same() -> None:
    raw = request("PUT", "/a%20b", b"100 %\n", {"X-Name": "é"})
    line = _escaped(raw)
    assert not set(line) & {"\r", "\n"}
    parts = line.split("%")
    again = parts[0] + "".join(chr(int(part[:2], 16)) + part[2:] for part in parts[1:])
    assert again.encode("latin-1") == raw


def test_processor_time_is_of_all_descendants() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 20
        while len(family(parent.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        before = cpu_seconds(parent.pid)
        while cpu_seconds(parent.pid) < before + 0.05:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        for pid in reversed(family(parent.pid)):
            subprocess.run(["kill", "-9", str(pid)], check=False)
        parent.wait()


def test_the_time_of_a_thread_that_has_ended_still_counts() -> None:
    def burn() -> None:
        while time.thread_time() < 0.05:
            pass

    before = cpu_seconds(os.getpid())
    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()
    assert cpu_seconds(os.getpid()) - before >= 0.05


def test_a_scenario_runs_and_is_kept(tmp_path: Path) -> None:
    options = ["--rounds=1", "--seconds=0.2", "--no-peers", "--scale=0.01", f"--out={tmp_path}"]
    done = CliRunner().invoke(main, ["bench", "run", "connections", *options])
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.iterdir()
    kept = json.loads(path.read_text())
    assert next(row["case"] for row in kept["rows"]) == "GET 1 KiB, 1 connection"
    # A process whose time is counted in ticks may have used none in a row's fifth of a second.
    assert all(row["figures"]["cpu_us"][0] >= 0 for row in kept["rows"])
    assert any(row["figures"]["cpu_us"][0] > 0 for row in kept["rows"])


#: A mark's words after the scenario, and the cases that its rows must have.
TABLES = {
    "short-path": ("", ["blob GET", "blob PUT", "area query", "area create", "settings GET"]),
    "audit": (
        "",
        [
            "history of one resource, without indexes",
            "build all indexes",
            "history of one resource, indexes kept",
            "prepare proofs",
            "prove that a record is included",
            "verify the journal",
            "verify the journal, its indexes and events",
        ],
    ),
    "following": ("", ["create an area of 1 KiB", "apply a record of 1 KiB", "a query, all being durable"]),
    "expiry": (
        " in full",
        [
            "memory with 1,000 areas",
            "a read alone",
            "a commit alone",
            "a read beside expiry",
            "a commit beside expiry",
            "expire 1,000 areas",
        ],
    ),
}


@pytest.mark.parametrize("scenario", TABLES)
def test_a_scenario_fills_its_place_in_a_page(scenario: str, tmp_path: Path) -> None:
    full, cases = TABLES[scenario]
    options = ["--rounds=1", "--seconds=0.2", "--scale=0.001", f"--out={tmp_path}"]
    done = CliRunner().invoke(main, ["bench", "run", scenario, *options])
    assert done.exit_code == 0, done.output
    page = tmp_path / "page.md"
    page.write_text(f"<!-- bench {scenario}{full} -->\nold\n<!-- end -->\n")
    done = CliRunner().invoke(main, ["bench", "report", str(tmp_path), "--update", str(page)])
    assert done.exit_code == 0, done.output
    text = page.read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert list(dict.fromkeys(row[0] for row in rows if row[0] in cases)) == cases
    assert "old" not in text
    if scenario == "short-path":
        assert all(float(cell.replace(",", "")) > 0 for row in rows[2:] for cell in row[1:])


def test_the_rates_of_several_servers_at_once_are_added(port: int) -> None:
    one = measure(_load(port, rate=50.0, seconds=1.0))
    both = together([_load(port, rate=50.0, seconds=1.0), _load(port, rate=20.0, seconds=1.0)])
    assert both.figures["per_second"] == pytest.approx(70, rel=0.2)
    assert both.figures.keys() == one.figures.keys()


def test_an_unknown_scenario_is_named_with_the_way_out() -> None:
    done = CliRunner().invoke(main, ["bench", "run", "nosuch"])
    assert done.exit_code == 2
    assert "unknown scenario 'nosuch'; `retain bench list` lists all" in done.output


def test_the_list_names_all() -> None:
    done = CliRunner().invoke(main, ["bench", "list", "--json"])
    assert {"commit", "blobs-http", "capacity"} <= {row["name"] for row in json.loads(done.output)}


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    done = CliRunner().invoke(main, ["bench", "run", "engine", "--quick"])
    assert done.exit_code == 1
    assert "pip install 'retain[bench]'" in done.output
