"""One request to a webhook: to a checked address, without redirects or proxies, with time limits.

The address that was checked is the one that is connected to, so that no second look-up of the name can lead
elsewhere (server-side request forgery).
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from retain.engine.core.clock import SystemClock
from retain.engine.core.time import SECOND

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CLOCK: Final = SystemClock()

STEP_S: Final = 10.0
"""Longest wait for any one step: connecting, encrypting, sending, receiving."""
REQUEST_S: Final = 25.0
"""Longest time of one request, and most bytes received of its answer: a receiver that trickles its answer, or
never ends its head, must not keep the thread."""
MOST_ANSWER_BYTES: Final = 1 << 18
MOST_PAUSE_S: Final = 3600.0
"""Longest pause that an answer may ask for by Retry-After."""
NOT_PUBLIC: Final = "its address is not public; allow_private = true allows private networks and this machine"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a request.

    Attributes:
        status: The answer's; 0 if there was none.
        reason: Why there was no answer, one of a few constant texts; empty if there was one.
        pause_s: How long the answer asks to wait before the next request; None if it does not ask.
        body: The beginning of the answer's body, if it was asked for.
    """

    status: int
    reason: str = ""
    pause_s: float | None = None
    body: bytes = b""

    @property
    def accepted(self) -> bool:
        """Whether the event was accepted."""
        return 200 <= self.status < 300

    @property
    def word(self) -> str:
        """The outcome, for operators."""
        return self.reason or f"answered {self.status}"


class _Bounded(io.RawIOBase):
    """What is received from `sock`, until `ends` and up to `MOST_ANSWER_BYTES`.

    `ends` is in nanoseconds of the monotonic clock.
    """

    def __init__(self, sock: socket.socket, ends: int) -> None:
        self._sock = sock
        self._received = sock.makefile("rb", buffering=0)
        self._ends = ends
        self._left = MOST_ANSWER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """See `io.RawIOBase`. Raises `TimeoutError`, `OSError`."""
        if self._left <= 0:
            raise OSError(f"its answer is longer than {MOST_ANSWER_BYTES} bytes")
        self._sock.settimeout(_left_until(self._ends))
        count = self._received.readinto(memoryview(buffer)[: self._left])
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._received.close()
        super().close()


class _Ending:
    """A socket, as far as `http.client` uses it, all of whose work ends at `ends`."""

    def __init__(self, sock: socket.socket, ends: int) -> None:
        self._sock = sock
        self._ends = ends

    def sendall(self, data: bytes) -> None:
        """See `socket.socket`."""
        self._sock.settimeout(_left_until(self._ends))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """See `socket.socket`."""
        return io.BufferedReader(_Bounded(self._sock, self._ends))

    def close(self) -> None:
        """See `socket.socket`."""
        self._sock.close()


def _left_until(ends: int) -> float:
    left = min(STEP_S, (ends - CLOCK.monotonic()) / SECOND)
    if left <= 0:
        raise TimeoutError("the request took too long")
    return left


class _Connection(http.client.HTTPConnection):
    """Connects to the checked address, whatever the name resolves to by then."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=STEP_S)
        self._address = address
        self._context = context

    def connect(self) -> None:
        """See `http.client.HTTPConnection`."""
        ends = CLOCK.monotonic() + round(REQUEST_S * SECOND)
        sock = socket.create_connection((self._address, self.port), STEP_S)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_hostname=self.host)
        self.sock = _Ending(sock, ends)


def post(
    url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool, answer_bytes: int = 0
) -> Outcome:
    """Post `body` and return the outcome, with as many bytes of the answer's body as asked for.

    Blocking; errors of the other side are outcomes, not exceptions.
    """
    parts = urlsplit(url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    try:
        addresses = checked_addresses(host, port, allow_private=allow_private)
    except OSError:
        return Outcome(0, "its name cannot be resolved")
    if addresses is None:
        return Outcome(0, NOT_PUBLIC)
    target = parts.path or "/"
    target = f"{target}?{parts.query}" if parts.query else target
    connection = _Connection(host, port, addresses[0], ssl.create_default_context() if tls else None)
    try:
        connection.request("POST", target, body, {**headers, "Connection": "close", "User-Agent": "retain"})
        with connection.getresponse() as response:
            pause = _pause(response.headers.get("Retry-After"))
            return Outcome(response.status, "", pause, response.read(answer_bytes) if answer_bytes else b"")
    except ssl.SSLError:
        return Outcome(0, "its certificate is not trusted, or it does not use TLS")
    except TimeoutError:
        return Outcome(0, "it does not answer in time")
    except (OSError, http.client.HTTPException, ValueError):
        return Outcome(0, "it cannot be reached, or does not answer with HTTP")
    finally:
        connection.close()


def checked_addresses(host: str, port: int, *, allow_private: bool) -> list[str] | None:
    """Return the addresses of `host`; None if one of them must not be connected to. Raises `OSError`."""
    found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    allowed = all(is_allowed(address, allow_private=allow_private) for address in found)
    return found if found and allowed else None


def is_allowed(text: str, *, allow_private: bool) -> bool:
    """Return whether a webhook may be at this address."""
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or allow_private


def _pause(value: str | None) -> float | None:
    return min(float(value), MOST_PAUSE_S) if value is not None and value.isdecimal() else None
