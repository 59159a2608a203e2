"""The control socket, by which the command line reaches a running server.

Only the server may change its data folder.

A Unix socket `control` in the data folder, whose mode (0700) admits only its owner. Each connection carries
one request and one answer, each a line of JSON: `{"action": …, "arguments": {…}}`, then `{"result": …}` or
`{"refused": {"message", "reason", "code"}}`. None of it is logged: answers may contain tokens.
"""

from __future__ import annotations

import errno
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from retain.api.admin.control_client import NAME, SECONDS, socket_path
from retain.engine import EngineError
from retain.engine.core.typed import wrong_argument
from retain.journal import Disk

LOG = logging.getLogger("retain.control")
LINE_BYTES: Final = 64 << 20
"""Longest request: an import brings whole documents."""
HELD_BYTES: Final = 128 << 20
"""Most bytes of all requests that are not complete, together."""
AT_ONCE: Final = 32
"""Most connections; each costs a descriptor, and the journal needs them, too."""
BUSY_S: Final = 1.0
"""Seconds in which a connection beyond `AT_ONCE` may send its request, which is then refused."""

Actions = Mapping[str, Callable[..., Awaitable[Any]]]


async def serve_control(
    disk: Disk,
    folder: Path,
    actions: Actions,
    *,
    task_status: trio.TaskStatus[bool] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the control socket of `folder` until cancelled.

    Reports through `task_status` whether there is a socket: where its path is too long and the system offers
    no short name for it, a warning is logged and the server runs without one.

    Args:
        disk: The data folder, locked by this process: a socket left in it belongs to a dead process.
        folder: The path of the data folder.
        actions: The actions that can be called.
        task_status: Receives whether there is a socket, once connections are accepted.
    """
    if disk.exists(NAME):
        disk.unlink(NAME)
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        try:
            with socket_path(folder) as path:
                await listening.bind(path)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            LOG.warning(
                "commands cannot reach this server: the data folder's path is too long for a control socket; "
                "use a shorter path",
                extra={"facts": {"folder": str(folder)}},
            )
            task_status.started(False)
            return
        listening.listen(16)
        try:
            listener = trio.SocketListener(listening)
            async with trio.open_nursery() as nursery:
                await nursery.start(trio.serve_listeners, partial(_answer, actions, _Held()), [listener])
                task_status.started(True)
        finally:
            if disk.exists(NAME):
                disk.unlink(NAME)


@dataclass(slots=True)
class _Held:
    """What all connections hold together."""

    connections: int = 0
    bytes: int = 0


async def _answer(actions: Actions, held: _Held, stream: trio.SocketStream) -> None:
    held.connections += 1
    try:
        async with stream:
            if held.connections > AT_ONCE:
                with trio.move_on_after(
                    BUSY_S
                ):  # closed before its request is read, it would miss the answer
                    await stream.receive_some()
                answer = _refusal("too many commands at once; run it again in a moment", "busy", "invalid")
            else:
                with trio.fail_after(SECONDS):
                    line = await _line(stream, held)
                answer = await _run(actions, line)
            with trio.fail_after(SECONDS):
                await stream.send_all(answer)
    except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, ValueError):
        return  # the client disconnected or sent nothing in time: no answer is possible
    finally:
        held.connections -= 1


async def _run(actions: Actions, line: bytes) -> bytes:
    try:
        request = json.loads(line)
        action, arguments = actions[request["action"]], dict(request["arguments"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return _refusal(
            "the server does not have this action; restart it if it runs another version", "action", "invalid"
        )
    if (fault := wrong_argument(action, arguments)) is not None:
        return _refusal(f"the action {request['action']!r} {fault}", "argument", "invalid")
    try:
        return _packed({"result": await action(**arguments)})
    except EngineError as error:
        return _refusal(error.message, error.reason, error.code)
    except OSError as error:
        return _refusal(error.strerror or "the data folder cannot be written to", "", "storage-failed")
    except Exception as error:
        LOG.error("unhandled exception in an administrative action", exc_info=error)
        return _refusal("internal error in the server; see its log", "", "fault")


def _refusal(message: str, reason: str, code: str) -> bytes:
    return _packed({"refused": {"message": message, "reason": reason, "code": code}})


def _packed(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode() + b"\n"


async def _line(stream: trio.SocketStream, held: _Held) -> bytes:
    """Return everything up to the first newline. Raises ValueError if there is none within bounds."""
    data = bytearray()
    try:
        while True:
            chunk = await stream.receive_some()
            held.bytes += len(chunk)
            if not chunk or len(data) + len(chunk) > LINE_BYTES or held.bytes > HELD_BYTES:
                held.bytes -= len(chunk)
                raise ValueError("no line")
            data += chunk
            if b"\n" in chunk:
                return bytes(data.partition(b"\n")[0])
    finally:
        held.bytes -= len(data)
