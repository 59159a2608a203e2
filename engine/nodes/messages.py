"""The messages between nodes.

Each message is msgpack, `[name, field, …]`, with plain values only, so nodes of two releases understand every
message that both know. Commands and their results inside are packed by
`retain.engine.following.codec`, which nodes of one release share.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import msgpack

from retain.engine.core.errors import EngineError
from retain.engine.following.codec import REFUSALS, BadMessage, refusal_name


@dataclass(frozen=True, slots=True)
class NodeHello:
    """A follower's first message to the leader, answered with `NodeWelcome`.

    Attributes:
        identity: The identity of the journal.
        name: The name of the node.
        release: The release of Retain.
        digest: The digest of the codec for commands.
        seq: The last record that it has applied.

    """

    identity: bytes
    name: str
    release: str
    digest: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class NodeWelcome:
    """The leader's answer.

    Attributes:
        epoch: The epoch of the leader's term.
        holder: The holder of this term.
        sent: The last committed record. Later ones come over the link, earlier ones from the shared log.
        release: The release of Retain.
        forwards: Whether commands are accepted over this link: both nodes are of one release.
        before: The last record that was committed when the term began; see `Succeeded`. -1 from a leader of
            an earlier release, which does not tell.
        batch: See `Succeeded`.

    """

    epoch: int
    holder: bytes
    sent: int
    release: str
    forwards: bool
    before: int = -1
    batch: bytes = b""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A later term has begun: from its leader, or a node that follows it, to the leader of an earlier term.

    Answered with whether that was news.

    Attributes:
        identity: The identity of the journal.
        epoch: The epoch of the later term.
        holder: The holder of this term.
        seq: The last record that was committed when it began.
        batch: The 16 bytes passed to the last append before.

    """

    identity: bytes
    epoch: int
    holder: bytes
    seq: int
    batch: bytes


@dataclass(frozen=True, slots=True)
class Applied:
    """A follower's report of what it has done so far. The leader does not answer it.

    Attributes:
        applied: The last record that it has applied.
        files: The version of the small files that it has loaded.
        overwritten: The last record up to which all erased parts are overwritten in its folder.

    """

    applied: int
    files: int
    overwritten: int


@dataclass(frozen=True, slots=True)
class GrantRequest(Applied):
    """A follower's request for a grant, with what it has done so far; answered with `Granted`."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The leader's answer.

    Attributes:
        length: For how long the follower may answer, nanoseconds from when it asked; 0: not at all.
        settled: The last record that every node which may answer has applied.
        present: As the leader judges it, nanoseconds since the epoch.
        files: The version of the small files that all nodes must have.
        vouched: The present without a jump of the leader's clock that is in doubt: the time up to which it
            deletes. 0 from a leader of an earlier release, which does not tell.

    """

    length: int
    settled: int
    present: int
    files: int
    vouched: int = 0


@dataclass(frozen=True, slots=True)
class SentFrame:
    """A committed frame, from the leader; see `retain.journal.log.Committed`."""

    segment: int
    offset: int
    last: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """Every node that may answer has applied a record, from the leader."""

    seq: int


@dataclass(frozen=True, slots=True)
class FilesChanged:
    """The small files that all nodes have were changed: a follower's request, or the leader's news.

    Attributes:
        version: From the leader, the version to be loaded.

    """

    version: int = 0


@dataclass(frozen=True, slots=True)
class Leave:
    """A grant ends: a follower that stops returns it, or a leader that stops withdraws it."""


@dataclass(frozen=True, slots=True)
class Forward:
    """A command to be decided, packed. Answered with `ForwardResult`."""

    command: bytes


@dataclass(frozen=True, slots=True)
class ForwardResult:
    """The outcome of a command: the packed `Decided`, see `retain.engine.following.messages`."""

    decided: bytes


_KINDS: Final = {
    kind.__name__: kind
    for kind in (
        NodeHello,
        NodeWelcome,
        Succeeded,
        GrantRequest,
        Granted,
        Applied,
        SentFrame,
        Settled,
        FilesChanged,
        Leave,
        Forward,
        ForwardResult,
    )
}
_PLAIN: Final = ""
_REFUSAL: Final = "!"


class NodeCodec:
    """Packs and unpacks the messages of a link between nodes."""

    def pack(self, value: Any) -> bytes:
        """Return the bytes of a message, a refusal or a plain value."""
        if isinstance(value, EngineError):
            parts: list[Any] = [_REFUSAL, refusal_name(value), value.message, value.reason]
        elif type(value).__name__ in _KINDS:
            parts = [type(value).__name__, *(getattr(value, one.name) for one in fields(value))]
        else:
            parts = [_PLAIN, value]
        packed: bytes = msgpack.packb(parts)
        return packed

    def unpack(self, data: bytes) -> Any:
        """Return the message, refusal or plain value in these bytes.

        Raises:
            BadMessage: They are not a message, or one that this release does not know.

        """
        try:
            name, *values = msgpack.unpackb(data)
            if name == _PLAIN:
                return values[0]
            if name == _REFUSAL:
                kind, message, reason = values
                return REFUSALS[kind](message, reason=reason)
            kind = _KINDS[name]
            return kind(*values[: len(fields(kind))])  # a later release may tell more
        except (ValueError, TypeError, KeyError, IndexError, msgpack.UnpackException) as error:
            raise BadMessage(f"this release does not know the message: {error}") from error
