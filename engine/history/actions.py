"""Operators' actions that change no data: users added or removed, data exported, a node forgotten.

For the audit log only. The codes are in `engine/wire.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from retain.engine.core.command import Command, Decision
from retain.engine.core.domain import Decide
from retain.engine.core.event import Cause, Event, Interface, fact
from retain.engine.core.role import Data, OnHold, RecordRole
from retain.journal import Verb


@fact
class UserAdded(Event):
    """A user was added who can log in; `resource` is the random number of this action.

    Attributes:
        name: The user's name.
        roles: The user's roles.
    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.ENGINE
    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    name: str
    roles: tuple[str, ...]

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return who was added."""
        return f"user:{details['name']}"


@fact
class UserRemoved(Event):
    """A user was removed, who cannot log in any more; `resource` is the random number of this action.

    Attributes:
        name: The user's name.
    """

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.ENGINE
    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    name: str

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return who was removed."""
        return f"user:{details['name']}"


@fact
class DataExported(Event):
    """Everything stored of some resources was exported; `resource` is the random number of this action.

    Attributes:
        things: How many resources were exported.
        numbers: Their numbers, joined.
    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.ENGINE
    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    things: int
    numbers: bytes

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return how much was exported."""
        return f"export of {details['things']}"


@fact
class NodeForgotten(Event):
    """A node left the cluster for good; `resource` is the random number of this action.

    What was erased after record `overwritten_to` may still be on its disk.

    Attributes:
        name: The node.
        overwritten_to: The last record up to which it reported all erased bytes as overwritten.
    """

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.ENGINE
    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    name: str
    overwritten_to: int

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return which node was forgotten."""
        return f"node:{details['name']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUserAdded(Command[None]):
    """Record that a user is added, before they can log in.

    Attributes:
        resource: The number of this action.
        name: The user's name.
        roles: The user's roles.
    """

    resource: bytes
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUserRemoved(Command[None]):
    """Record that a user was removed.

    Attributes:
        resource: The number of this action.
        name: The user's name.
    """

    FREES_SPACE: ClassVar[bool] = True

    resource: bytes
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordExport(Command[None]):
    """Record an export of everything stored of some resources, before it is made.

    Attributes:
        resource: The number of this action.
        numbers: The exported resources.
    """

    resource: bytes
    numbers: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNodeForgotten(Command[None]):
    """Record that a node leaves the cluster for good, before it is removed from the list.

    Attributes:
        resource: The number of this action.
        name: The node.
        overwritten_to: See `NodeForgotten`.
    """

    FREES_SPACE: ClassVar[bool] = True

    resource: bytes
    name: str
    overwritten_to: int


def deciders() -> Mapping[type[Command[Any]], Decide]:
    """Return the deciders: each action becomes one event, and none is refused."""
    return {
        RecordUserAdded: _user_added,
        RecordUserRemoved: _user_removed,
        RecordExport: _exported,
        RecordNodeForgotten: _node_forgotten,
    }


def _user_added(command: RecordUserAdded, _now: int) -> Decision[None]:
    event = UserAdded(
        resource=command.resource,
        actor=command.actor,
        cause=Cause.REQUEST,
        name=command.name,
        roles=command.roles,
    )
    return Decision((event,), None)


def _user_removed(command: RecordUserRemoved, _now: int) -> Decision[None]:
    event = UserRemoved(
        resource=command.resource, actor=command.actor, cause=Cause.REQUEST, name=command.name
    )
    return Decision((event,), None)


def _exported(command: RecordExport, _now: int) -> Decision[None]:
    event = DataExported(
        resource=command.resource,
        actor=command.actor,
        cause=Cause.REQUEST,
        things=len(command.numbers),
        numbers=b"".join(command.numbers),
    )
    return Decision((event,), None)


def _node_forgotten(command: RecordNodeForgotten, _now: int) -> Decision[None]:
    event = NodeForgotten(
        resource=command.resource,
        actor=command.actor,
        cause=Cause.REQUEST,
        name=command.name,
        overwritten_to=command.overwritten_to,
    )
    return Decision((event,), None)
