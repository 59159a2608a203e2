"""The real server as a process: on a free port, with a configuration and a data folder of the test's own."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.forks import FORKS, Forked

ROOT = Path(__file__).resolve().parents[2]

_LISTENS = re.compile(r"listens on (https?)://(\S+):(\d+)")
START_S = 120
STOP_S = 120
ANSWER_S = 60


@dataclass
class Server:
    """A running server. `output` and `log` (standard output and error) fill while it runs."""

    process: subprocess.Popen[str]
    folder: Path
    scheme: str = ""
    host: str = ""
    port: int = 0
    output: list[str] = field(default_factory=list)
    _ready: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send one request over a connection of its own; its status and body. Raises `OSError`."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_S)
        with closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def log(self) -> str:
        """Standard error so far."""
        return (self.folder / "server.log").read_text()

    def stop(self, within_s: float = STOP_S) -> int:
        """SIGTERM and wait; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def kill(self) -> None:
        """SIGKILL and wait, as a crash of the process."""
        self.process.kill()
        self.process.wait(STOP_S)

    def read_output(self) -> None:
        """Collect standard output; signals once the first screen shows the server's address."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if not self.port and (match := _LISTENS.search(line)):
                self.scheme, self.host, self.port = match[1], match[2], int(match[3])
            if line.startswith("Health:"):
                self._ready.set()
        self._ready.set()

    def wait_ready(self) -> None:
        """Wait until connections are accepted. Raises AssertionError with the log if the server ended."""
        assert self._ready.wait(START_S), f"the server is not ready after {START_S} s:\n{self.log()}"
        assert self.port, f"the server ended with {self.process.wait(STOP_S)}:\n{self.log()}"


def command(folder: Path, *extra: str, program: Sequence[str] = ("retain",)) -> list[str]:
    """The command line that starts a server in `folder`; `program` is a module with its first arguments."""
    return [sys.executable, "-m", *program, "serve", "--config", str(folder / "retain.toml"), *extra]


def start(
    folder: Path,
    config: str = "",
    *,
    environ: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    program: Sequence[str] = ("retain",),
    close_fds: bool = True,
) -> Server:
    """Start a server whose files are below `folder`; `config` is TOML, without storage.data and server.bind.

    `prefix` goes before the command (`prlimit`, `strace`); `program` is what runs instead of `retain`.
    Without `close_fds` it inherits descriptors. The caller stops or kills it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "retain.toml").write_text(config)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETAIN_")}
    environment |= {"RETAIN_STORAGE_DATA": str(folder / "data"), "RETAIN_SERVER_BIND": "127.0.0.1:0"}
    if workers := os.environ.get("RETAIN_TEST_WORKERS"):
        environment["RETAIN_SERVER_WORKERS"] = workers
    environment |= {"PYTHONUNBUFFERED": "1", **(environ or {})}
    with (folder / "server.log").open("a") as log:
        if not prefix and close_fds and FORKS.suits(environment):
            arguments = command(folder, program=program)[2:]
            process: subprocess.Popen[str] = Forked(
                arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        else:
            process = subprocess.Popen(
                [*prefix, *command(folder, program=program)],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                close_fds=close_fds,
            )
    server = Server(process, folder)
    reader = threading.Thread(target=server.read_output, daemon=True)
    reader.start()
    try:
        server.wait_ready()
    except BaseException:
        server.kill()
        raise
    return server


@contextmanager
def running(
    folder: Path,
    config: str = "",
    *,
    environ: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    close_fds: bool = True,
) -> Iterator[Server]:
    """A server for the length of a `with` block; stopped cleanly at its end if it still runs."""
    server = start(folder, config, environ=environ, prefix=prefix, close_fds=close_fds)
    try:
        yield server
    finally:
        try:
            server.stop()
        finally:
            server.kill()
            assert server.process.stdout is not None
            server.process.stdout.close()
