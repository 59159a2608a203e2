"""What the server and systemd tell each other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from retain.api.config.load import ServerConfig
from retain.api.server.serve import CannotListen, taken_over
from retain.api.server.systemd import Supervisor, passed_sockets
from tests.kit.server import Server
from tests.kit.supervisor import notifications

Launch = Callable[..., Server]


@pytest.mark.parametrize("abstract", [False, True])
def test_messages_arrive_by_path_and_by_abstract_name(tmp_path: Path, abstract: bool) -> None:
    with notifications(None if abstract else str(tmp_path / "notify")) as heard:
        Supervisor({"NOTIFY_SOCKET": heard.place}, 1).notify("READY=1", "STATUS=ok")
        assert heard.next() == {"READY": "1", "STATUS": "ok"}


def test_nobody_listening_is_logged_and_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}, 1).notify("READY=1")
    assert [record.getMessage() for record in caplog.records] == ["the supervisor cannot be notified"]
    Supervisor({}, 1).notify("READY=1")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_for_this_process_only(variables: dict[str, str], seconds: float | None) -> None:
    assert Supervisor({"NOTIFY_SOCKET": "@x", **variables}, 7).watchdog_s == seconds


async def test_signs_of_life_come_at_twice_the_rate(autojump_clock: MockClock) -> None:
    with notifications() as heard:
        supervisor = Supervisor({"NOTIFY_SOCKET": heard.place, "WATCHDOG_USEC": "10000000"}, 1)
        with trio.move_on_after(12):
            await supervisor.show_life()
        assert [heard.next() for _ in range(3)] == [{"WATCHDOG": "1"}] * 3
        supervisor.notify("END=1")
        assert heard.next() == {"END": "1"}


def test_sockets_for_another_process_are_left_alone() -> None:
    assert passed_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, 2) == []
    assert passed_sockets({}, 2) == []


def test_what_is_no_listening_tcp_socket_is_refused(tmp_path: Path) -> None:
    """In a process of its own: descriptor 3 of this one is pytest's."""
    program = (
        "import os, socket, sys\n"
        "from retain.api.server.systemd import BadSocket, passed_sockets\n"
        "kind = sys.argv[1]\n"
        "os.closerange(3, 20)\n"
        "if kind == 'udp': made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "if kind == 'idle': made = socket.socket()\n"
        "if kind == 'file': made = open(os.devnull)\n"
        "environ = {'LISTEN_FDS': '1', 'LISTEN_PID': str(os.getpid()), 'LISTEN_FDNAMES': 'x'}\n"
        "try: passed_sockets(environ, os.getpid())\n"
        "except BadSocket as error: print(error)\n"
        "assert not environ\n"
        "os._exit(0)\n"
    )
    for kind, word in (
        ("udp", "not a listening TCP"),
        ("idle", "not a listening TCP"),
        ("file", "is not a socket"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, kind], capture_output=True, text=True, timeout=60, check=True
        )
        assert word in done.stdout, kind


def test_a_passed_socket_that_others_reach_needs_tls() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as passed,
        pytest.raises(CannotListen, match="without encryption"),
    ):
        taken_over(ServerConfig(), [passed])


@pytest.mark.slow
def test_a_service_tells_when_it_is_ready_and_when_it_stops(launch: Launch, tmp_path: Path) -> None:
    """As a unit of type notify, with its socket opened by the supervisor."""
    with socket.create_server(("127.0.0.1", 0)) as listening, notifications() as heard:
        descriptor = listening.fileno()
        passing = (
            f"import os, sys; os.dup2({descriptor}, 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
            "os.execv(sys.argv[1], sys.argv[1:])"
        )
        os.set_inheritable(descriptor, True)
        server = launch(
            prefix=(sys.executable, "-c", passing),
            environ={"NOTIFY_SOCKET": heard.place, "WATCHDOG_USEC": "60000000", "LISTEN_FDS": "1"},
            close_fds=False,
        )
        assert heard.until("WATCHDOG") == {"WATCHDOG": "1"}
        assert heard.until("READY") == {"READY": "1", "STATUS": "ok"}
        assert server.port == listening.getsockname()[1]
        assert server.stop() == 0
        assert heard.until("STOPPING")["STOPPING"] == "1"
    started = [line for line in server.log().splitlines() if '"started"' in line]
    assert len(started) == 1
    for fact in ('"version"', server.url, str(server.data), '"records"', '"seconds"'):
        assert fact in started[0]
    assert '"stopped"' in server.log()
