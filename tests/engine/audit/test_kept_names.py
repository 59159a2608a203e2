"""What names somebody and stays after an erasure: with the reason and the date it goes."""

from __future__ import annotations

from dataclasses import replace

from retain.engine import Engine
from retain.engine.audit.kept_names import AUDIT, HISTORY, HOLD, KeptName, kept_names
from retain.engine.core.policy import RetentionPolicy
from retain.engine.core.time import DAY
from retain.engine.holds import HoldKind, SetHold
from retain.engine.settings.model import Level, Place
from retain.engine.testing import EPOCH, SteppedClock, open_memory_engine
from tests.engine.persons.test_find import ANN, QUIET, MergeValue, Store

ALL = Place("app", Level.GLOBAL, "", "")
POLICY = RetentionPolicy()


def kept(engine: Engine, erased: tuple[bytes, ...] = (), policy: RetentionPolicy = POLICY) -> list[KeptName]:
    return list(kept_names(engine.disk, engine.state, {"user:ann"}, erased, policy))


async def test_what_she_wrote_for_others_stays_for_the_audit_period() -> None:
    async with open_memory_engine(clock=SteppedClock(), options=QUIET) as engine:
        store = Store(engine)
        await store.document(ALL)
        await store.document(ANN)
        await store.area("cart", "bob", actor="user:bob")
        own = engine.state.settings.documents[ANN].resource
        assert [one.entry.subject for one in kept(engine)] == ["app", "app/user:ann"]
        [one] = kept(engine, (own,))
        assert (one.entry.subject, one.reason, one.until) == ("app", AUDIT, EPOCH + 365 * DAY)


async def test_an_overwritten_version_stays_as_long_as_history_does() -> None:
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine:
        store = Store(engine)
        await store.document(ALL)
        clock.advance(10)
        await store.document(ALL, actor="user:bob")
        policy = replace(POLICY, audit=90 * DAY)
        [one] = kept(engine, policy=policy)
        assert (one.reason, one.until) == (HISTORY, EPOCH + 10 * 10**9 + 90 * DAY)
        [one] = kept(engine)
        assert (one.reason, one.until) == (AUDIT, EPOCH + 365 * DAY)


async def test_what_a_hold_keeps_has_no_date() -> None:
    async with open_memory_engine(clock=SteppedClock(), options=QUIET) as engine:
        await Store(engine).document(ALL)
        await Store(engine).document(ALL, MergeValue, {"theme": {"dark": False}})
        await engine.submit(
            SetHold(actor="dpo", hold_id=bytes(16), kind=HoldKind.DOCUMENT, names=tuple(ALL), reason="case 7")
        )
        assert [(one.reason, one.until) for one in kept(engine)] == [(HOLD, None)] * 2
