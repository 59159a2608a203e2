"""Traces of requests for OpenTelemetry: one span each, sent to a collector in batches. Off by default.

Nothing of OpenTelemetry is imported unless `operations.traces_url` is set. A span has the interface,
operation, duration and status; it contains no path, query, name or address.
Sources: *Semantic conventions for HTTP spans*; W3C Trace Context, whose `traceparent` is continued.
"""

from __future__ import annotations

from importlib import metadata, util
from typing import Any, Final

from retain.api.config.load import OperationsConfig
from retain.api.http.message import Request

PACKAGES: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
TIMEOUT_S: Final = 5.0
"""Longest wait for the collector, also at a stop for unsent spans."""
_SERVER_ERROR: Final = 500


def missing() -> bool:
    """Return whether the packages of the extra are not installed."""
    try:
        return any(util.find_spec(name) is None for name in PACKAGES)
    except ModuleNotFoundError:
        return True


def traces_of(config: OperationsConfig) -> Traces | None:
    """Return the sender of traces; None if the configuration has none, at no cost."""
    return None if config.traces_url is None else Traces(config.traces_url)


class Traces:
    """Sends a span for each request, from the library's thread; a full queue drops spans.

    Args:
        url: Where the collector takes OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`.
    """

    def __init__(self, url: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        version = metadata.version("retain")
        resource = Resource.create({"service.name": "retain", "service.version": version})
        self._provider = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=url, timeout=TIMEOUT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("retain", version)
        self._kind = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)
        self._context = TraceContextTextMapPropagator().extract

    def answered(self, interface: str, request: Request, status: int, *, start: int, end: int) -> None:
        """Note an answered request.

        Args:
            interface: The interface's name.
            request: The request.
            status: The answer's; 0 if the client left before there was one.
            start: When its head was read, nanoseconds since the epoch.
            end: When the answer was out.
        """
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "network.protocol.version": request.http_version,
            "retain.interface": interface,
        }
        if request.operation:
            attributes["retain.operation"] = request.operation
        if request.id:
            attributes["retain.request_id"] = request.id
        if status:
            attributes["http.response.status_code"] = status
        parent = request.header("traceparent")
        span = self._tracer.start_span(
            f"{interface} {request.operation or request.method}",
            context=self._context({"traceparent": parent}) if parent else None,
            kind=self._kind,
            attributes=attributes,
            start_time=start,
        )
        if status >= _SERVER_ERROR:
            span.set_status(self._failed)
        span.end(end_time=end)

    def close(self) -> None:
        """Send the remaining spans, and stop. Blocking, `TIMEOUT_S` at most."""
        self._provider.shutdown()
