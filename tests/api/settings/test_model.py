"""The running engine against a model of plain dicts: three levels × users × devices × roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retain.journal.testing.memory import MemoryDisk
from tests.kit.crash import SCALE
from tests.kit.settings import Client, User, path, settings_client
from tests.kit.settings_model import META, Model, Who

USERS = [Who("ann", frozenset({"R"})), Who("bob", frozenset({"W"})), Who("root", frozenset({"admin"}))]
LEVELS = [("global", ""), ("currentuser", ""), ("device", "d1"), ("device", "d2")]
METHODS = ["POST", "POST", "PUT", "PUT", "PATCH", "PATCH", "DELETE"]

LEAVES = st.sampled_from([1, "x", None, True, [], [1, 2], 2.5])
VALUES = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=5
)
LISTS = st.fixed_dictionaries(
    {},
    optional={
        "readRoles": st.sampled_from([[], ["R"], ["W"]]),
        "writeRoles": st.sampled_from([[], ["R"], ["W"]]),
    },
)
CONFIGURATIONS = st.builds(
    lambda value, lists: {**value, **({} if lists is None else {META: lists})},
    st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3),
    st.none() | LISTS,
)
PATHS = st.one_of(
    st.just([]),
    st.lists(st.sampled_from("ab"), min_size=1, max_size=1),
    st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from("xyz"), min_size=1, max_size=3)).map(
        lambda parts: [parts[0], *parts[1]]
    ),
)


@dataclass
class Call:
    who: Who
    method: str
    level: str
    device: str
    path: list[str]
    body: Any


@st.composite
def calls(draw: st.DrawFn) -> Call:
    level, device = draw(st.sampled_from(LEVELS))
    where = draw(PATHS)
    body = draw(
        {
            0: st.dictionaries(st.sampled_from("ab"), CONFIGURATIONS, max_size=2) | st.just(5),
            1: CONFIGURATIONS | VALUES,
        }.get(len(where), VALUES)
    )
    return Call(draw(st.sampled_from(USERS)), draw(st.sampled_from(METHODS)), level, device, where, body)


def tail(level: str, device: str, where: list[str]) -> str:
    return "/".join(part for part in [level, device, path(*where)] if part)


def as_user(who: Who) -> User:
    return User(who.name, tuple(sorted(who.roles)))


async def compare(client: Client, model: Model) -> None:
    """Every user reads every level, whole and by path, merged and alone."""
    for who in USERS:
        for level, device in LEVELS:
            for where in [[], ["a"], ["b"], ["a", "x"], ["a", "x", "y"]]:
                for merged in (True, False):
                    target = f"{tail(level, device, where)}?overwrite={'true' if merged else 'false'}"
                    answer = await client.call("GET", target, user=as_user(who))
                    status, value = model.read(who, level, device, where, merged)
                    assert answer.status == status, (who, target, answer.body)
                    if status == 200:
                        assert repr(normal(answer.json())) == repr(normal(value)), (who, target)


def normal(value: Any) -> Any:
    """Order of members does not count; 1 and True are told apart by `repr`."""
    if isinstance(value, dict):
        return {name: normal(value[name]) for name in sorted(value)}
    return [normal(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=20 * SCALE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(calls(), min_size=5, max_size=30))
async def test_the_interface_does_what_the_model_does(sequence: list[Call]) -> None:
    disk, model = MemoryDisk(), Model()
    async with settings_client(disk) as client:
        for call in sequence:
            before = client.digest()
            body = ... if call.method == "DELETE" else call.body
            target = tail(call.level, call.device, call.path)
            answer = await client.call(call.method, target, body, user=as_user(call.who))
            status = model.write(call.who, call.method, call.level, call.device, call.path, call.body)
            assert answer.status == status, (call, answer.body)
            if status >= 400:
                assert client.digest() == before
        await compare(client, model)
    async with settings_client(disk) as client:
        await compare(client, model)
