"""The blob interface: find a request's operation, authenticate it, call its handler, and answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Final, NamedTuple

from retain.api.blobs.request import cors
from retain.api.blobs.request.authentication import KeysOf, Origin, authenticate, request_version
from retain.api.blobs.request.call import Call, Site
from retain.api.blobs.request.operations import resolve
from retain.api.blobs.request.parameters import check_request
from retain.api.blobs.routes import TABLE
from retain.api.blobs.routes.listing import included
from retain.api.blobs.sas.fields import ALL as SAS_PARAMETERS
from retain.api.blobs.sas.permissions import Operation, authorize
from retain.api.blobs.wire.address import (
    Address,
    host_account,
    parse_address,
    parse_in_batch,
    split_location,
)
from retain.api.blobs.wire.engine_errors import from_engine, from_request
from retain.api.blobs.wire.errors import AzureError, invalid_header, invalid_parameter, render
from retain.api.blobs.wire.names import check_blob, check_container
from retain.api.blobs.wire.query import Query, parse_query
from retain.api.blobs.xml.service_properties import CorsRule, ServiceProperties
from retain.api.config.load import Config
from retain.api.http.external import ExternalUrl
from retain.api.http.message import Mounted, Request, RequestError, Response
from retain.api.http.request_ids import RequestIds
from retain.engine import EngineAccess, EngineError
from retain.engine.blobs import queries

FALLBACK_VERSION: Final = "2021-12-02"
"""The version named in answers to requests that were refused before their own was known."""

_MAX_CLIENT_ID: Final = 1024
_ID: Final = "x-ms-request-id"
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")

_MAY_BE_IN_A_BATCH: Final = frozenset({Operation.DELETE_BLOB, Operation.SET_BLOB_TIER})

_READS: Final = frozenset({"GET", "HEAD"})

_WRITES_TAGS: Final = frozenset(
    {Operation.PUT_BLOB, Operation.PUT_BLOB_FROM_URL, Operation.PUT_BLOCK_LIST, Operation.COPY_BLOB}
)


class _Place(NamedTuple):
    """The parts of a request's URL."""

    address: Address
    query: Query
    headers: Mapping[str, str]


def blobs_interface(engine: EngineAccess, config: Config, keys_of: KeysOf) -> Mounted:
    """Return the interface over `engine`, ready to be mounted; `keys_of` knows the accounts."""
    return BlobInterface(engine, config, keys_of).mount()


class BlobInterface:
    """Azure Blob Storage for the accounts that `keys_of` knows."""

    def __init__(self, engine: EngineAccess, config: Config, keys_of: KeysOf) -> None:
        self._engine = engine
        suffixes = tuple(suffix.lower() for suffix in config.blobs.host_suffixes)
        self._ids = RequestIds(engine.entropy)
        proxies = tuple(ip_network(entry) for entry in config.server.trusted_proxies)
        self._site = Site(keys_of, suffixes, ExternalUrl(config.server), Origin.of(config, proxies))

    def mount(self) -> Mounted:
        """Return the interface to be mounted: path style by account name, virtual hosts by suffix."""
        return Mounted(
            name="blobs",
            handle=self.handle,
            error=self.error,
            claims=lambda segment: self._site.keys_of(split_location(segment)[0]) is not None,
            host_suffixes=self._site.host_suffixes,
            id_header=_ID,
            about="Recordings and exports in containers, for clients of Azure Blob Storage. "
            "Its tokens come from: retain token create ACCOUNT.",
            root="/ACCOUNT",
            example=lambda base: f'curl "{base}/ACCOUNT/recordings?restype=container&comp=list&TOKEN"',
        )

    async def handle(self, request: Request) -> Response:
        """Answer a request; refusals are answers too."""
        headers = request.joined_headers()
        version = request_version(headers, FALLBACK_VERSION)
        rules: tuple[CorsRule, ...] = ()
        try:
            place = self._place(request, headers)
            if "origin" in headers:
                rules = await self._cors_rules(place.address.account)
            if request.method == "OPTIONS":
                response = Response(200, cors.preflight_headers(rules, headers))
            else:
                version, response = await self._serve(request, place)
        except (AzureError, EngineError, RequestError) as error:
            response = self._worded(request, error, request.id)
        if rules and request.method != "OPTIONS":
            response.headers += cors.response_headers(rules, request.method, headers)
        return self._finished(response, headers, version)

    def error(self, request: Request, error: Exception) -> Response:
        """Return the response to an error around `handle`.

        Either a broken request, or an internal error, which is already logged.
        """
        headers = request.joined_headers()
        response = self._worded(request, error, request.id)
        return self._finished(response, headers, request_version(headers, FALLBACK_VERSION))

    async def serve_part(self, request: Request, batch: Call) -> Response:
        """Answer a request of a batch like a single one, with its own id; a refusal is an answer."""
        headers = request.joined_headers()
        version = batch.version
        part_id = self._ids.next()
        try:
            version, response = await self._serve(request, self._place(request, headers, batch), batch)
        except (AzureError, EngineError, RequestError) as error:
            response = self._worded(request, error, part_id)
        response.headers.append((_ID, part_id))
        return self._finished(response, headers, version)

    def refuse(self, error: AzureError, batch: Call) -> Response:
        """Return a refusal as a complete answer."""
        part_id = self._ids.next()
        response = self._refused(error, part_id)
        response.headers.append((_ID, part_id))
        return self._finished(response, {}, batch.version)

    def _worded(self, request: Request, error: Exception, request_id: str) -> Response:
        if isinstance(error, AzureError):
            return self._refused(error, request_id)
        if isinstance(error, EngineError):
            at_container = b"restype=container" in request.raw_query.lower()
            return self._refused(from_engine(error, at_container=at_container), request_id)
        refusal = from_request(error) if isinstance(error, RequestError) else AzureError("InternalError")
        return self._refused(refusal, request_id)

    def _place(self, request: Request, headers: Mapping[str, str], batch: Call | None = None) -> _Place:
        """Parse the URL; refuse characters that no header may contain (HTTP/2 admits them)."""
        if _CONTROL.search("".join(headers.values())) is not None:
            raise invalid_header(*next(pair for pair in headers.items() if _CONTROL.search(pair[1])))
        query = parse_query(request.raw_query)
        segments = request.segments()
        restype, comp = query.get("restype"), query.get("comp")
        if batch is not None:
            return _Place(parse_in_batch(segments, batch.address, restype, comp), query, headers)
        suffixes = self._site.host_suffixes
        account = host_account(_host(request, headers), suffixes) if suffixes else None
        return _Place(parse_address(segments, account, restype, comp), query, headers)

    async def _serve(
        self, request: Request, place: _Place, batch: Call | None = None
    ) -> tuple[str, Response]:
        """Authenticate, then authorize, then read the resource.

        Without the right to a resource, a response does not reveal whether it exists.
        """
        address, query, headers = place.address, place.query, place.headers
        keys = self._site.keys_of(address.account)
        if keys is None:
            raise AzureError("ResourceNotFound")
        known = await authenticate(
            request,
            headers,
            address,
            query,
            engine=self._engine,
            origin=self._site.origin,
            keys=keys,
            inherited=None if batch is None else batch.version,
        )
        if query.doubled and (doubled := query.doubled - SAS_PARAMETERS):
            name = min(doubled)
            raise invalid_parameter(name, query.get(name) or "", "Given more than once.")
        if address.secondary and request.method not in _READS:
            raise AzureError("InsufficientAccountPermissions")
        restype, comp = query.get("restype") or "", query.get("comp") or ""
        operation = resolve(address, request.method, restype, comp, headers)
        request.operation = operation.value
        if batch is not None:
            _check_part(operation, address, batch)
        may_overwrite = authorize(known.grant, operation, with_tags=_with_tags(operation, query, headers))
        if address.container is not None:
            check_container(address.container)
        if address.blob is not None:
            check_blob(address.blob)
        check_request(operation, headers, query)
        if batch is not None:
            await self._check_meaning(request, address, batch)
        call = Call(
            interface=self,
            request=request,
            engine=self._engine,
            site=self._site,
            address=address,
            query=query,
            headers=headers,
            grant=known.grant,
            version=known.version,
            actor=known.actor,
            may_overwrite=may_overwrite,
        )
        return known.version, await TABLE[operation](call)

    async def _check_meaning(self, request: Request, address: Address, batch: Call) -> None:
        """Refuse a path inside a batch that names two blobs. Raises AzureError InvalidInput.

        Some clients write the account, or its secondary location, in front of these paths and some do not.
        Where the account has a container of that name, `/name/rest` is a blob with or without it, and a
        deletion cannot be taken back.
        """
        account, first = address.account, request.segments()[0]
        if not batch.address.path_style or split_location(first)[0] != account:
            return
        if batch.address.container not in (None, first):
            return  # it could only be the container's with the account in front
        own = await self._engine.read(lambda state, _: state.blobs.find(account, first))
        if own is not None:
            raise AzureError(
                "InvalidInput",
                message=f"The account has a container that is also called {first}, so this path names two "
                "blobs: with the account in front, or without. Send this request alone, not in a batch.",
            )

    async def _cors_rules(self, account: str) -> tuple[CorsRule, ...]:
        document = await self._engine.read(lambda state, _: queries.service_properties(state.blobs, account))
        return ServiceProperties.stored(document).cors

    def _refused(self, error: AzureError, request_id: str) -> Response:
        headers, body = render(error, request_id, self._engine.now())
        return Response(error.status, headers, body)

    def _finished(self, response: Response, headers: Mapping[str, str], version: str) -> Response:
        """Add the headers of every answer but its id, which the application adds."""
        response.headers.append(("x-ms-version", version))
        client_id = headers.get("x-ms-client-request-id")
        if client_id and len(client_id) <= _MAX_CLIENT_ID and client_id.isascii() and client_id.isprintable():
            response.headers.append(("x-ms-client-request-id", client_id))
        return response


def _check_part(operation: Operation, address: Address, batch: Call) -> None:
    """Refuse operations that a batch may not contain. Raises AzureError InvalidInput."""
    if operation not in _MAY_BE_IN_A_BATCH:
        raise AzureError("InvalidInput", message="A batch holds Delete Blob and Set Blob Tier only.")
    if batch.address.container not in (None, address.container):
        raise AzureError(
            "InvalidInput", message="A batch for a container holds blobs of this container only."
        )


def _host(request: Request, headers: Mapping[str, str]) -> str:
    """Return the host name without its port."""
    host = request.authority.decode("latin-1") if request.authority is not None else headers.get("host", "")
    name, _, port = host.rpartition(":")
    return name if port.isdigit() else host


def _with_tags(operation: Operation, query: Query, headers: Mapping[str, str]) -> bool:
    """Return whether an operation also reads or writes tags, which needs a separate permission."""
    if operation is Operation.LIST_BLOBS:
        return "tags" in included(query)
    if operation not in _WRITES_TAGS:
        return False
    return bool(headers.get("x-ms-tags")) or headers.get("x-ms-copy-source-tag-option", "").upper() == "COPY"
