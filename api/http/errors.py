"""Errors of a request that no interface has of its own: typed, each with its status."""

from __future__ import annotations


class RequestError(Exception):
    """The request cannot be served as it is; every interface words `status` in its own form.

    ::

        RequestError
        ├── BadRequest       400  the bytes are not a valid request
        ├── NoRoute          404  there is nothing at this address
        ├── MethodNotAllowed 405  the address takes other methods
        ├── BodyTooSlow      408  the body came slower than the minimum rate
        ├── BodyTooLarge     413  the body is longer than its limit
        ├── HeadersTooLarge  431  too many headers, or too many bytes of them
        └── Overloaded       503  the memory for requests is used up; it passes
    """

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(RequestError):
    """Bad escape, bad UTF-8, NUL in a name, contradicting or unparsable headers."""


class BodyTooSlow(RequestError):
    """Fewer bytes a second than the minimum rate, counted over the time spent waiting for them."""

    status = 408


class BodyTooLarge(RequestError):
    """The body is longer than `limit` bytes; raised from the declared length where there is one."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is longer than {limit} bytes")
        self.limit = limit


class HeadersTooLarge(RequestError):
    """More header fields, or more bytes of them, than the server takes."""

    status = 431


class Overloaded(RequestError):
    """The memory for requests of this address, or of all, is used up, and this request was the slowest."""

    status = 503

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers = [("Retry-After", "1")]


class NoRoute(RequestError):
    """No route has this path, or none has it for this method."""

    status = 404

    def __init__(self) -> None:
        super().__init__("there is nothing at this address")


class MethodNotAllowed(RequestError):
    """The path takes other methods: `allowed`, as the header `Allow` lists them."""

    status = 405

    def __init__(self, allowed: str) -> None:
        super().__init__("this address does not support this method")
        self.headers = [("Allow", allowed)]


class ClientGone(Exception):
    """The client closed the connection before its body was complete: no response can be sent."""


class UnexpectedError(Exception):
    """An internal error, already logged under `log_id`; the response is a 500 with only the id."""

    status = 500

    def __init__(self, log_id: str) -> None:
        self.log_id = log_id
        self.message = f"internal error {log_id}"
        super().__init__(self.message)
