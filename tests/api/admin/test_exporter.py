"""Checkpoints on a schedule: where they go, when, and what happens if they cannot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from retain.api.admin.exporter import HOUR, LATEST, RETRY_S, Checkpoints
from retain.api.config.load import AuditConfig
from retain.engine import Engine
from retain.engine.audit.checkpoints import KEY_FILE, Signer, open_signed
from retain.engine.testing import open_memory_engine
from retain.journal.lookup.trail import Trail
from retain.journal.segments.files import find_segments
from tests.engine.persons.test_find import QUIET, Store
from tests.kit.console import console
from tests.kit.engines import LightOptions
from tests.kit.server import running
from tests.kit.serving import eventually

SIGNER = Signer("example.org/log", bytes(32))


class Collector(HTTPServer):
    """Takes what is posted, and answers with the status it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[tuple[str, str, bytes]] = []
        self.status = 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/checkpoints"


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers["Content-Type"], body))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def checkpoints(engine: Engine, **config: object) -> Checkpoints:
    return Checkpoints(engine, SIGNER, AuditConfig(**config))  # type: ignore[arg-type]


async def test_they_go_to_a_folder_each_under_its_size(tmp_path: Path) -> None:
    async with open_memory_engine(options=QUIET) as engine:
        exporting = checkpoints(engine, checkpoint_folder=str(tmp_path / "out"))
        assert exporting.wanted
        assert await exporting.export()
        await Store(engine).area("cart", "bob")
        assert await exporting.export()
        assert await exporting.export(), "nothing new is no failure"
    names = sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".checkpoint")
    assert names == [f"{0:020}.checkpoint", f"{2:020}.checkpoint", LATEST]
    assert open_signed((tmp_path / "out" / LATEST).read_bytes(), SIGNER.verifier).size == 2


async def test_one_of_another_history_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"

    async def exported(user: str) -> None:
        async with open_memory_engine(options=QUIET) as engine:
            await Store(engine).area("cart", user)
            for _ in range(2):
                exporting = checkpoints(engine, checkpoint_folder=str(out))
                assert await exporting.export()

    await exported("bob")
    before = (out / f"{2:020}.checkpoint").read_bytes()
    await exported("carol")
    assert (out / f"{2:020}.checkpoint").read_bytes() == before
    kept = [open_signed(path.read_bytes(), SIGNER.verifier) for path in out.glob(f"{2:020}*.checkpoint")]
    assert len({one.root for one in kept}) == len(kept) == 2


async def test_they_go_to_a_url(collector: Collector) -> None:
    async with open_memory_engine(options=QUIET) as engine:
        assert await checkpoints(engine, checkpoint_url=collector.url).export()
    ((path, media_type, body),) = collector.taken
    assert (path, media_type) == ("/checkpoints", "text/plain; charset=utf-8")
    assert open_signed(body, SIGNER.verifier).size == 0


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_a_refusal_is_logged_and_told(
    collector: Collector, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = status
    async with open_memory_engine(options=QUIET) as engine:
        assert not await checkpoints(engine, checkpoint_url=collector.url).export()
    assert len(collector.taken) == 1, "redirects are not followed"
    assert "a checkpoint was not exported" in caplog.text


async def test_everything_is_read_ahead_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's first page of the audit log finds nothing left to read, nor does its first receipt."""
    monkeypatch.setattr("retain.api.admin.exporter.WARM_RECORDS", 1)
    monkeypatch.setattr("retain.api.admin.exporter.WARM_FRAMES", 1)
    async with open_memory_engine(options=LightOptions(segment_bytes=20_000)) as engine:
        store = Store(engine)
        for number in range(60):
            await store.area(f"area-{number}")
        assert len(find_segments(engine.disk)[0]) > 2
        warmed = checkpoints(engine)
        await warmed.warm()
        assert not warmed.trail.refresh(1), "nothing is left"
        assert not warmed.trail.read_sealed()
        assert not warmed.erasures.refresh(1)


async def test_a_server_has_one_trail_that_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console's pages, receipts, and the history of settings use it."""
    made = []
    real = Trail.__init__

    def counting(self: Trail, *arguments: Any) -> None:
        made.append(self)
        real(self, *arguments)

    monkeypatch.setattr(Trail, "__init__", counting)
    async with console() as server:
        assert made == [server.administration.checkpoints.trail]


async def test_a_journal_that_cannot_be_read_ahead_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(most: int | None = None) -> bool:
        raise OSError("the disk is gone")

    async with open_memory_engine(options=QUIET) as engine:
        warmed = checkpoints(engine)
        monkeypatch.setattr(warmed.trail, "refresh", refuse)
        await warmed.warm()
    assert "was not read ahead" in caplog.text


async def test_without_a_place_none_is_wanted() -> None:
    async with open_memory_engine(options=QUIET) as engine:
        assert not checkpoints(engine).wanted


async def test_the_schedule_is_kept_and_failures_are_tried_sooner(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_memory_engine(options=QUIET) as engine:
        exporting = checkpoints(engine, checkpoint_hours=2.0)
        times: list[float] = []
        results = iter([True, False, True])
        done = trio.Event()

        async def export() -> bool:
            times.append(trio.current_time())
            result = next(results, None)
            if result is None:
                done.set()
                await trio.sleep_forever()
            return bool(result)

        exporting.export = export  # type: ignore[method-assign]
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exporting.run)
            await done.wait()
            nursery.cancel_scope.cancel()
        steps = [round(time - start) for time in times]
        assert steps == [0, 2 * HOUR, 2 * HOUR + RETRY_S, 4 * HOUR + RETRY_S]


async def test_a_server_exports_at_its_start(tmp_path: Path) -> None:
    out = tmp_path / "checkpoints"
    with running(tmp_path, f"[audit]\ncheckpoint_folder = '{out}'\norigin = 'example.org/log'\n") as server:
        await eventually(lambda: (out / LATEST).exists())
        assert (out / LATEST).read_text().startswith("example.org/log\n")
        assert ((server.data / KEY_FILE).stat().st_mode & 0o777) == 0o600
