"""Administrative actions for the rights of persons: erasure on request, and legal holds.

Written once, for a running server and for the command line alone. Every action takes and returns plain JSON
values, as in `api.admin.actions`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import trio

from retain.engine import Cause, Engine, Invalid, State, Unavailable
from retain.engine.core.time import timestamp
from retain.engine.history.actions import RecordExport
from retain.engine.history.slice import OrderErasure
from retain.engine.holds import NAMES, Hold, HoldKind, HoldTarget, LiftHold, SetHold
from retain.engine.holds.decide import would_set
from retain.engine.persons.end import HELD, LIVING, Ended, EndSubjects, status_of
from retain.engine.persons.find import remains
from retain.engine.settings.model import Level

BATCH: Final = 100
"""Resources ended in one command, so that other requests run between two."""
MOST_ORDERER: Final = 200
"""Most characters of the name of the person who ordered an erasure."""
PARTS: Final = 256
"""Parts of records erased at a time, for the same reason."""
MOST_TARGETS: Final = 1000
"""Targets of one action: a request on the control socket is a line of bounded length."""
NUMBER_BYTES: Final = 16
"""Bytes of a resource's number."""


def packed(target: HoldTarget) -> dict[str, Any]:
    """Return a target as JSON."""
    return {
        "kind": str(target.kind),
        "resource": target.resource.hex(),
        "names": list(target.names),
        "subject": target.subject,
    }


def unpacked(value: Mapping[str, Any]) -> HoldTarget:
    """Return the target that `packed` made JSON of. Raises Invalid."""
    try:
        kind = HoldKind(value["kind"])
        target = HoldTarget(kind, bytes.fromhex(value["resource"]), tuple(value["names"]))
    except (ValueError, TypeError, KeyError):
        raise Invalid(
            "the target is not the name of an area, document, container or blob", reason="target"
        ) from None
    if len(target.resource) != 16 or len(target.names) != len(NAMES[kind]):
        raise Invalid("the target is not the name of an area, document, container or blob", reason="target")
    if not all(_fits(kind, name, value) for name, value in target.named().items()):
        raise Invalid("the target is not the name of an area, document, container or blob", reason="target")
    return target


def _fits(kind: HoldKind, name: str, value: object) -> bool:
    """Return whether `value` can be the part called `name` (see `NAMES`) of a resource's name."""
    if name == "level":
        return type(value) is int and value in tuple(Level)
    return type(value) is str or (value is None and (kind, name) == (HoldKind.AREA, "user"))


class Rights:
    """The actions for the rights of persons.

    Args:
        engine: The engine to act on.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {
            "erase": self.erase,
            "erase due": self.erase_due,
            "export record": self.note_export,
            "hold add": self.add_hold,
            "hold list": self.list_holds,
            "hold lift": self.lift_hold,
        }

    async def erase(
        self,
        *,
        actor: str,
        targets: Sequence[Mapping[str, Any]],
        ordered_by: str | None = None,
        dry_run: bool = False,
        now: bool = False,
        names: bool = False,
        more: bool = False,
    ) -> dict[str, Any]:
        """Erase areas, settings documents and blobs on request, except what is under a legal hold.

        With `now`, everything that their records hold is erased before this returns; otherwise the eraser
        does it within `erase_within_hours`.

        Args:
            actor: The caller.
            ordered_by: The person who ordered it, if not the caller; recorded beside the actor.
            targets: Areas, documents and blobs in the form of `packed`, at most `MOST_TARGETS`.
            dry_run: Only report the state of each: `live`, `ended` or `held`.
            now: Erase before returning.
            names: Erase names and actors, too; requires `now`.
            more: Another such call follows, which handles files and snapshots.

        Returns:
            `results`: for each target, its state and the holds on it; `erased_parts`: their number.

        Raises:
            Invalid: `target`.
            Unavailable: Erasing at once is done at another node of the cluster, which leads.
        """
        check_orderer(ordered_by)
        asked = [unpacked(value) for value in targets]
        if len(asked) > MOST_TARGETS or any(
            one.kind not in (HoldKind.AREA, HoldKind.DOCUMENT, HoldKind.BLOB) for one in asked
        ):
            raise Invalid("the selected resources cannot be erased together", reason="target")
        if dry_run:
            return {"results": await self._planned(asked), "erased_parts": 0}
        if now or names:
            self._check_decides()
        await self._order(actor, ordered_by, asked, at_once=now or names, names=names)
        results: list[Ended] = []
        for start in range(0, len(asked), BATCH):
            command = EndSubjects(actor=actor, targets=asked[start : start + BATCH])
            ended = await self._engine.submit(command)
            results.extend(ended)
        parts = 0
        if now or names:
            free = [one.target.resource for one in results if one.status != HELD]
            parts = await self._erase(free, names=names)
            if not more:
                await self._engine.sweep()
                await self._engine.erase_due()
        rows = await self._engine.read(lambda state, _: _results(state, results))
        rows = [{**one, "status": "ended-now"} if one["status"] == LIVING else one for one in rows]
        return {"results": rows, "erased_parts": parts}

    async def _planned(self, asked: Sequence[HoldTarget]) -> list[dict[str, Any]]:
        """Return the state of each resource, and the holds on it."""
        return await self._engine.read(
            lambda state, _: _results(state, [Ended(one, status_of(state, one)) for one in asked])
        )

    async def erase_due(self, *, actor: str, ordered_by: str | None = None) -> dict[str, Any]:
        """End data past its deadline, and erase all due data, without waiting for the eraser."""
        check_orderer(ordered_by)
        self._check_decides()
        await self._order(actor, ordered_by, (), at_once=True, names=False)
        ended = await self._engine.sweep()
        return {"ended": ended, "erased_records": await self._engine.erase_due()}

    def _check_decides(self) -> None:
        if not self._engine.decides:
            raise Unavailable("only the node that leads erases at once; run it there: `retain node list`")

    async def _order(
        self, actor: str, ordered_by: str | None, asked: Sequence[HoldTarget], *, at_once: bool, names: bool
    ) -> None:
        """Record who ordered the erasure."""
        held = await self._engine.read(lambda state, _: sum(status_of(state, one) == HELD for one in asked))
        order = OrderErasure(
            actor=actor,
            resource=self._engine.entropy(16),
            ordered_by=ordered_by or "",
            numbers=[one.resource for one in asked],
            held=held,
            at_once=at_once,
            names=names,
        )
        await self._engine.submit(order)

    async def _erase(self, resources: Sequence[bytes], *, names: bool) -> int:
        """Erase the journal's content of these resources; return the number of erased parts."""
        engine = self._engine
        # A round of the eraser in between would erase the same, and write a second pair of records.
        async with engine.erasing:
            found = await trio.to_thread.run_sync(lambda: remains(engine.disk, resources, names=names))
            waiting = iter(found)
            while some := list(islice(waiting, PARTS)):
                await engine.erase(some, Cause.ERASURE_REQUEST)
        return sum(int(part).bit_count() for _, part in found)

    async def record_export(self, *, actor: str, numbers: Sequence[bytes]) -> None:
        """Record that `actor` exports everything stored of these resources, before the export."""
        for start in range(0, len(numbers), MOST_TARGETS):
            some = list(numbers[start : start + MOST_TARGETS])
            await self._engine.submit(
                RecordExport(actor=actor, resource=self._engine.entropy(16), numbers=some)
            )

    async def note_export(self, *, actor: str, resources: Sequence[str]) -> dict[str, Any]:
        """Record an export of these resources, given by their numbers; return how many there are.

        Raises:
            Invalid: `resources`.
        """
        try:
            numbers = [bytes.fromhex(one) for one in resources]
        except (TypeError, ValueError):
            numbers = [b""]
        if any(len(one) != NUMBER_BYTES for one in numbers):
            raise Invalid("resources must be numbers of 32 hexadecimal digits", reason="resources")
        await self.record_export(actor=actor, numbers=numbers)
        return {"recorded": len(numbers)}

    async def add_hold(
        self,
        *,
        actor: str,
        target: Mapping[str, Any],
        reason: str,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Set a legal hold.

        Args:
            actor: The caller.
            target: What, as `packed` makes it; a container's or tenant's number is zeros.
            reason: The reason.
            dry_run: Only return the hold that would be set, without a number.

        Raises:
            NotFound: `target`.
            Invalid: `target`, `reason`.

        """
        wanted = unpacked(target)
        command = SetHold(
            actor=actor,
            hold_id=self._engine.entropy(16),
            kind=wanted.kind,
            names=wanted.names,
            resource=wanted.resource if any(wanted.resource) else b"",
            reason=reason,
        )
        if not dry_run:
            return shown(await self._engine.submit(command))
        made = shown(await self._engine.read(lambda state, now: would_set(state.holds, command, now)))
        return {name: value for name, value in made.items() if name not in ("hold", "set")}

    async def list_holds(self, *, actor: str) -> list[dict[str, Any]]:
        """Return all holds in force, in the order in which they were set."""
        holds = await self._engine.read(lambda state, _: list(state.holds.holds.values()))
        return [shown(hold) for hold in sorted(holds, key=lambda hold: (hold.time, hold.hold_id))]

    async def lift_hold(self, *, actor: str, hold: str) -> dict[str, Any]:
        """Lift a hold; what became due meanwhile is deleted.

        Raises:
            NotFound: `hold`.
            Invalid: `hold`: not a hold's number.
        """
        try:
            hold_id = bytes.fromhex(hold)
        except ValueError:
            raise Invalid("the number of a hold must be 32 hexadecimal digits", reason="hold") from None
        return shown(await self._engine.submit(LiftHold(actor=actor, hold_id=hold_id)))


def check_orderer(ordered_by: str | None) -> None:
    """Check the name of the person who ordered an erasure. Raises Invalid."""
    if ordered_by is not None and not (ordered_by.isprintable() and 0 < len(ordered_by) <= MOST_ORDERER):
        reason = f"the name of who ordered the erasure must have 1 to {MOST_ORDERER} printable characters"
        raise Invalid(reason, reason="ordered-by")


def _results(state: State, results: Sequence[Ended]) -> list[dict[str, Any]]:
    """Return the results as JSON, each with the holds that are now on its resource."""
    holds = state.holds.on(one.target for one in results)
    return [
        {**packed(one.target), "status": one.status, "holds": [_brief(hold) for hold in on]}
        for one, on in zip(results, holds, strict=True)
    ]


def _brief(hold: Hold) -> dict[str, Any]:
    facts = shown(hold)
    return {name: facts[name] for name in ("hold", "kind", "reason", "actor", "set")}


def shown(hold: Hold) -> dict[str, Any]:
    """Return a hold as JSON."""
    return {
        "hold": hold.hold_id.hex(),
        **packed(hold.target),
        "reason": hold.reason,
        "actor": hold.actor,
        "set": timestamp(hold.time),
    }
