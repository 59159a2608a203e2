"""Servers that start in a quarter of the time: forked from a process that has imported their modules.

`python -m retain serve` takes the processor for a second to import modules and to compile templates, and the
tests start hundreds of servers. `Forked` is a `subprocess.Popen` whose process a helper makes. The helper has
imported what a server imports; it has one thread, and has run nothing. It forks twice: the process in between
ends at once, so that its child is adopted by its next ancestor that adopts processes, which is the caller.

Where the interpreter's own start is tested, `subprocess.Popen` is needed. A server that is given more than
settings of Retain in its environment is started with that as well (`Forks.suits`).
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 1 << 18
"""Bytes of a request."""
LIMIT_S = 200.0
"""Of a command."""
SET_CHILD_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of Linux."""
NEEDED = (
    "retain.api.cli.assemble",
    "retain.api.cli.commands.serve",
    "retain.api.console.open",
    "retain.api.console.token_routes",
    "retain.api.web.health",
)
NEEDED_BY_NODES = (
    "retain.api.cli.commands.node",
    "retain.api.cli.with_nodes",
    "retain.api.nodes.join",
    "retain.journal.shared.postgres",
    "obstore.store",
)
OWN = ("RETAIN_", "PYTEST_")
"""Beginnings of the names in the environment that only Retain's modules read, when they run."""


class Forks:
    """The helper of this process, started when it is needed first, and ended with this process."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._socket: socket.socket | None = None
        self._environ: dict[str, str] = {}

    def suits(self, environ: Mapping[str, str]) -> bool:
        """Return whether the helper's interpreter has read this environment, too."""
        if sys.platform != "linux":
            return False
        with self._turn:
            if self._socket is None:
                self._environ = _of_interpreter(environ)
                self._socket = self._start()
        return _of_interpreter(environ) == self._environ

    def fork(self, arguments: Sequence[str], environ: Mapping[str, str], cwd: str, files: list[int]) -> int:
        """Run a module with its arguments in a new child of this process; return its number.

        Args:
            arguments: The module's name, and its arguments.
            environ: Its environment.
            cwd: Its working directory.
            files: What it has as standard input, output and error.

        """
        request = json.dumps([arguments, dict(environ), cwd]).encode()
        assert self._socket is not None, "`suits` decides whether to ask for this"
        with self._turn:
            _adopt(True)
            try:
                socket.send_fds(self._socket, [request], files)
                answer = self._socket.recv(64)
            finally:
                _adopt(False)
        if not answer:
            raise OSError("the helper that forks processes has ended; its reason is on standard error")
        return int(answer)

    def _start(self) -> socket.socket:
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.kit.forks", str(its.fileno())],
                pass_fds=[its.fileno()],
                cwd=ROOT,
                env=self._environ | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
            )
        atexit.register(_end, own, process)
        return own


def _of_interpreter(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(OWN) and name != "PYTHONUNBUFFERED"
    }


def _adopt(whether: bool) -> None:
    """Let processes whose parent ends become children of this process, or of the machine's first one."""
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, int(whether), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl: this process cannot adopt others")


def _end(own: socket.socket, process: subprocess.Popen[bytes]) -> None:
    own.close()
    process.wait()


FORKS = Forks()


class Forked(subprocess.Popen[str]):
    """A process that is forked, not executed: `args` is the name of a module, and its arguments."""

    def _execute_child(self, *given: Any) -> None:
        """Take the place of the method of `Popen` that makes the process once there are pipes."""
        args, _, _, _, _, cwd, env, _, _, _, *pipes = given[:16]
        stdin, _, _, stdout, _, stderr = pipes
        files = [number if file == -1 else file for number, file in enumerate((stdin, stdout, stderr))]
        try:
            self.pid = FORKS.fork(args, os.environ if env is None else env, str(cwd), files)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def retain(*arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of Retain until it ends, and return what it printed."""
    module = ["retain", *arguments]
    if not FORKS.suits(environ):
        command = [sys.executable, "-m", *module]
        return subprocess.run(
            command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    pipe = subprocess.PIPE
    with Forked(module, env=environ, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            output, errors = process.communicate(timeout=LIMIT_S)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(module, process.returncode, output, errors)


def _wait_for_requests(requests: socket.socket) -> tuple[list[str], dict[str, str], str]:
    """Fork for each request; return in the process that it is for. Ends this process with the caller."""
    while True:
        request, files, _, _ = socket.recv_fds(requests, LONGEST, 3)
        if not request:
            os._exit(0)
        reads, writes = os.pipe()
        if parent := os.fork():
            os.close(writes)
            os.waitpid(parent, 0)
            requests.send(os.read(reads, 64))
            for file in (reads, *files):
                os.close(file)
        elif child := os.fork():
            os.write(writes, str(child).encode())
            os._exit(0)
        else:
            for own, file in enumerate(files):
                os.dup2(file, own)
            for file in (reads, writes, *files):
                os.close(file)
            requests.close()
            arguments, environ, cwd = json.loads(request)
            return arguments, environ, cwd


def _prepare() -> None:
    """Import what a server imports until it is ready, and compile the templates of its pages."""
    for name in NEEDED:
        import_module(name)
    with suppress(ImportError):  # the extra `cluster` is not installed
        for name in NEEDED_BY_NODES:
            import_module(name)
    from retain.api.html.rendering import environment

    templates = environment("retain.api.console")
    for name in templates.list_templates():
        templates.get_template(name)


def main() -> None:
    """Be the helper, until its caller ends; then be what was asked for."""
    _prepare()
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads cannot be forked safely"
    gc.freeze()
    arguments, environ, cwd = _wait_for_requests(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd)
    module, *sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
