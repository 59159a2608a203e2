"""The interfaces described in OpenAPI 3.1, by hand, after docs/wire: for programs that read a description.

`areas`, `settings`, `blobs` and `console` have the operations of one interface each; `document` combines
them. This package imports no interface: tests/api/openapi compare the description with the tables of the
code, and send requests made from it to a running server.
"""

from __future__ import annotations

from retain.api.openapi.document import NAMES, TITLES, document_of, whole

__all__ = ["NAMES", "TITLES", "document_of", "whole"]
