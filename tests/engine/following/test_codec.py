"""Every command, result and refusal comes out of the codec as it went in; nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine import Conflict, EngineError, NotFound, StorageFull, TooLarge
from retain.engine.areas import CreateArea, NewFile
from retain.engine.blobs.commands import BlockSource, CommitBlocks, DeleteBlob
from retain.engine.blobs.conditions import Conditions, ETags
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.blobs.tag_condition import AllOf, AnyOf, Comparison
from retain.engine.core.body import Inline
from retain.engine.core.command import Command
from retain.engine.core.typed import wrong_field
from retain.engine.following.codec import BadMessage, Codec, _commands
from retain.engine.following.messages import KINDS, Decided, Submit
from retain.engine.settings import PutValue
from retain.engine.settings.json_patch import Step
from retain.engine.settings.model import MISSING
from retain.engine.writing.threads import NoThread
from retain.journal import Payload

CODEC = Codec(KINDS)


def there_and_back(value: Any) -> Any:
    return CODEC.unpack(CODEC.pack(value))


def test_commands_keep_every_type() -> None:
    payload = Payload("0" * 32, b"k" * 32, 5, b"m" * 16, b"s" * 32)
    area = CreateArea(
        actor="a",
        name="n",
        resource=b"r" * 16,
        values={"k": "v", "f": NewFile("x", None, payload), "g": NewFile("y", "a/b", Inline(b"d", b"m"))},
        ttl=3,
    )
    blocks = CommitBlocks(
        actor="a",
        account="b",
        container="c",
        name="d",
        resource=b"r" * 16,
        headers=ContentHeaders(),
        md5=None,
        blocks=((BlockSource.LATEST, b"1"), (BlockSource.COMMITTED, b"2")),
    )
    for command in (area, blocks):
        back = there_and_back(Submit(command)).command
        assert back == command
        assert wrong_field(back) is None
    assert type(there_and_back(blocks).blocks[0][0]) is BlockSource


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text()
        | st.binary()
        | st.just(MISSING)
        | st.builds(Step, op=st.text(), path=st.tuples(st.text()), value=st.integers()),
        lambda inner: (
            st.lists(inner)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(), inner)
            | st.frozensets(st.text(), max_size=1)
        ),
        max_leaves=20,
    )
)
def test_values_of_any_shape_keep_their_types(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    "error",
    [
        NotFound("gone", reason="container", name="x"),
        Conflict("taken", reason="blob-exists"),
        TooLarge("big", reason="batch", limit=5),
        StorageFull("full"),
    ],
)
def test_refusals_come_out_as_themselves(error: EngineError) -> None:
    back = there_and_back(Decided(7, None, error)).refusal

    assert type(back) is type(error)
    assert (back.message, back.reason, back.data) == (error.message, error.reason, error.data)


def test_a_refusal_of_a_private_class_comes_out_as_the_public_one_above_it() -> None:
    back = there_and_back(NoThread("none", reason="threads"))

    assert type(back).__name__ == "Exhausted"
    assert back.reason == "threads"


def test_all_commands_are_known_with_what_their_fields_and_results_hold() -> None:
    commands = [kind for kind in _commands(Command) if not kind.__subclasses__()]

    assert len(commands) > 30
    assert PutValue in commands
    assert set(commands) <= set(CODEC._kinds)


def test_conditions_of_every_kind_reach_the_other_process() -> None:
    condition = AnyOf(
        (AllOf((Comparison("k", "=", "v"), Comparison("l", "<>", "w"))), Comparison("m", ">", ""))
    )
    command = DeleteBlob(
        actor="a",
        account="b",
        container="c",
        name="d",
        conditions=Conditions(if_match=ETags(False, frozenset((1, 2))), tags=condition, lease="e"),
    )
    back = there_and_back(Submit(command)).command
    assert back == command
    assert wrong_field(back) is None


def test_no_field_that_travels_is_a_function() -> None:
    for kind in CODEC._kinds:
        if not issubclass(kind, Enum):
            for name, hint in get_type_hints(kind).items():
                assert Callable not in _origins(hint), f"{kind.__name__}.{name} cannot be sent"


def _origins(hint: Any) -> set[Any]:
    """What a hint is made of."""
    return {get_origin(hint)}.union(*(_origins(one) for one in get_args(hint)))


class Stranger:
    pass


@pytest.mark.parametrize("value", [Stranger(), {"a": [Stranger()]}, ValueError("x"), object])
def test_what_is_not_registered_cannot_be_sent(value: Any) -> None:
    with pytest.raises(BadMessage):
        CODEC.pack(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgpack.packb(msgpack.ExtType(99, b"")),
        msgpack.packb(msgpack.ExtType(1, msgpack.packb([100_000]))),
        msgpack.packb(msgpack.ExtType(1, msgpack.packb([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))),
        msgpack.packb(msgpack.ExtType(7, msgpack.packb(["SystemExit", "", "", {}]))),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        CODEC.unpack(data)


def test_releases_that_differ_in_a_class_have_different_digests() -> None:
    assert Codec(KINDS).digest == CODEC.digest
    assert Codec().digest != CODEC.digest
