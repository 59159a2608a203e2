"""Areas without an engine: decide, apply and set the time by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from retain.engine import NotFound, Stamp
from retain.engine.areas import (
    AreasPolicy,
    CreateArea,
    DeleteArea,
    NewValue,
    UpdateArea,
    Value,
    queries,
)
from retain.engine.core.command import Command
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.event import Event
from retain.engine.core.time import SECOND
from retain.engine.state import State
from retain.journal import Payload

START = 1_800_000_000 * SECOND
A, B, C = (str(UUID(int=number, version=4)) for number in (1, 2, 3))


class Harness:
    """A state driven without an engine: decide, apply, set the time."""

    def __init__(self) -> None:
        self.state = State()
        self.now = START
        self.events: list[Event] = []
        self._resource = 0

    def do(self, command: Command[object]) -> object:
        decision = self.state.decide(command, self.now)
        for event in decision.events:
            self.apply(event)
        self.state.check()
        return decision.result

    def apply(self, event: Event) -> None:
        self.state.apply(event, Stamp(self.state.seq + 1, self.now, -1))
        self.events.append(event)

    def resource(self) -> bytes:
        self._resource += 1
        return self._resource.to_bytes(16, "big")

    def create(self, name: str, values: Mapping[str, NewValue], ttl: int = 60, **more: Any) -> object:
        return self.do(self._write(CreateArea, name, values, ttl, **more))

    def update(self, name: str, values: Mapping[str, NewValue], ttl: int = 60, **more: Any) -> object:
        return self.do(self._write(UpdateArea, name, values, ttl, **more))

    def _write(
        self,
        kind: type[CreateArea | UpdateArea],
        name: str,
        values: Mapping[str, NewValue],
        ttl: int,
        *,
        user: str | None = None,
        policy: AreasPolicy | None = None,
    ) -> CreateArea | UpdateArea:
        return kind(
            actor="anonymous",
            name=name,
            user=user,
            resource=self.resource(),
            values=values,
            ttl=ttl,
            policy=policy or AreasPolicy(),
        )

    def delete(self, name: str, *, user: str | None = None, custom: bool = False) -> None:
        self.do(DeleteArea(actor="anonymous", name=name, user=user, custom=custom))

    def pass_time(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)

    def sweep(self) -> None:
        self.do(ExpireDue(actor="retain", limit=1000))

    def listing(self, name: str, *, user: str | None = None, custom: bool = False) -> dict[str, Value]:
        return dict(queries.listing(self.state.areas, name, user, self.now, custom=custom))

    def value(self, name: str, key: str, *, user: str | None = None) -> Value:
        return queries.value(self.state.areas, name, user, key, self.now)

    def is_gone(self, name: str, *, user: str | None = None) -> bool:
        try:
            self.listing(name, user=user)
        except NotFound:
            return True
        return False


def payload(name: str, size: int = 100_000) -> Payload:
    return Payload(name=name, key=b"k" * 32, size=size, md5=b"m" * 16, sha256=b"s" * 32)
