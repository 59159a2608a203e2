"""One authorized request: its names, its rights, and the response's common parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

from retain.api.blobs.request.authentication import KeysOf, Origin
from retain.api.blobs.request.conditions import parse_conditions
from retain.api.blobs.sas.verify import Grant
from retain.api.blobs.wire import etag
from retain.api.blobs.wire.address import Address
from retain.api.blobs.wire.errors import AzureError, invalid_parameter, out_of_range_parameter
from retain.api.blobs.wire.query import Query
from retain.api.blobs.wire.times import http_date
from retain.api.http.external import ExternalUrl
from retain.api.http.message import Request, Response
from retain.engine import EngineAccess
from retain.engine.blobs.conditions import Conditions

XML: Final = ("Content-Type", "application/xml")
MAX_RESULTS: Final = 5000
AT_ONCE: Final = 250
"""Items of a long answer that are processed before other requests run: 2 ms."""

Value = TypeVar("Value")

_NUMBER: Final = re.compile("-?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Site:
    """Shared by all requests: the accounts' keys, host suffixes, the server's URL, trusted proxies."""

    keys_of: KeysOf
    host_suffixes: tuple[str, ...]
    external: ExternalUrl
    origin: Origin


class PartServer(Protocol):
    """The part of the interface that Blob Batch uses."""

    async def serve_part(self, request: Request, batch: Call) -> Response:
        """Answer a request of a batch like a single request; a refusal is an answer."""

    def refuse(self, error: AzureError, batch: Call) -> Response:
        """Return a refusal as a complete answer."""


class Call(NamedTuple):
    """A request that was authorized.

    `headers` by lower-case names, repeated ones joined by commas. `version` is the one that executes. `actor`
    is named in the journal. `may_overwrite` is False for a token that creates only.
    """

    interface: PartServer

    request: Request
    engine: EngineAccess
    site: Site
    address: Address
    query: Query
    headers: Mapping[str, str]
    grant: Grant
    version: str
    actor: str
    may_overwrite: bool

    @property
    def account(self) -> str:
        """The account's name."""
        return self.address.account

    @property
    def container(self) -> str:
        """The container's name, at a container or blob."""
        assert self.address.container is not None
        return self.address.container

    @property
    def blob(self) -> str:
        """The blob's name, at a blob."""
        assert self.address.blob is not None
        return self.address.blob

    @property
    def endpoint(self) -> str:
        """The account's URL, with a slash at its end."""
        base = self.site.external.base(self.request)
        return f"{base}/{self.address.account}/" if self.address.path_style else f"{base}/"

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name; an empty one counts as absent (rclone sends such)."""
        return self.headers.get(name) or None

    def conditions(self, *, prefix: str = "", write: bool = False) -> Conditions:
        """Return the conditional headers. Raises AzureError as `parse_conditions` does."""
        return parse_conditions(self.headers.get, prefix=prefix, write=write)

    def flag(self, name: str) -> bool:
        """Return a header that is `true` or `false`."""
        return (self.headers.get(name) or "").lower() == "true"

    async def computed(self, work: Callable[[], Value], items: int) -> Value:
        """Return `work()`, which takes this many steps of some microseconds; in a thread if they are many."""
        return work() if items <= AT_ONCE else await self.engine.compute(work)

    def max_results(self) -> int | None:
        """Return the page size of a listing, at most 5,000; None if none is requested. Raises AzureError."""
        text = self.query.filled("maxresults")
        if text is None:
            return None
        if _NUMBER.fullmatch(text) is None:
            raise invalid_parameter("maxresults", text, "Not a number.")
        if text.startswith("-") or not text.strip("0"):
            raise out_of_range_parameter("maxresults", text, 1, MAX_RESULTS)
        return MAX_RESULTS if len(text) > 9 else min(int(text), MAX_RESULTS)

    def require_no_version(self) -> None:
        """Refuse a snapshot or version: none exists here. Raises AzureError BlobNotFound."""
        if self.query.filled("snapshot") or self.query.filled("versionid"):
            raise AzureError("BlobNotFound")


def written(tick: int, modified: int) -> list[tuple[str, str]]:
    """Return the headers in every write's response: the ETag from ticks, Last-Modified from nanoseconds."""
    return [("ETag", etag.quoted(tick)), ("Last-Modified", http_date(modified))]


def xml_response(body: bytes, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Return an XML response; Azure's clients refuse one without the XML content type."""
    return Response(200, [XML, *headers], body)
