"""The interfaces described in OpenAPI 3.1, by hand, after docs/wire: for programs that learn an interface.

`areas`, `settings`, `blobs` and `console` hold the operations of one interface each; `document` puts them
together. Nothing here imports an interface: tests/api/openapi hold the description against the tables of the
code, and send requests made from it to a running server.
"""

from __future__ import annotations

from retain.api.openapi.document import NAMES, TITLES, document, whole

__all__ = ["NAMES", "TITLES", "document", "whole"]
