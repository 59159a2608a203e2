"""Areas in the engine: ids and customers, deadlines per key, quotas, and what each command comes to."""

from collections.abc import Mapping
from uuid import UUID

import pytest

from engine import Conflict, Inline, Invalid, NotFound, OnDisk, QuotaExceeded, Stamp, TooLarge
from engine.areas import (
    MAX_TTL,
    CreateArea,
    DeleteArea,
    File,
    NewFile,
    NewValue,
    Policy,
    UpdateArea,
    Value,
    queries,
)
from engine.areas.events import AreaCreated, AreaDeleted, AreaUpdated, FileStored, KeysExpired
from engine.clock import SECOND
from engine.command import Command
from engine.commands import ExpireDue
from engine.deadlines import Kind
from engine.event import Cause, Event
from engine.state import State
from journal import Payload

START = 1_800_000_000 * SECOND
A, B, C = (str(UUID(int=number, version=4)) for number in (1, 2, 3))


class Harness:
    """A state driven without an engine: decide, apply, tell the time."""

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

    def create(
        self,
        name: str,
        values: Mapping[str, NewValue],
        ttl: int = 60,
        *,
        user: str | None = None,
        policy: Policy | None = None,
    ) -> object:
        return self.do(
            CreateArea(
                actor="anonymous",
                name=name,
                user=user,
                resource=self.resource(),
                values=values,
                ttl=ttl,
                policy=policy or Policy(),
            )
        )

    def update(
        self,
        name: str,
        values: Mapping[str, NewValue],
        ttl: int = 60,
        *,
        user: str | None = None,
        policy: Policy | None = None,
    ) -> object:
        return self.do(
            UpdateArea(
                actor="anonymous",
                name=name,
                user=user,
                resource=self.resource(),
                values=values,
                ttl=ttl,
                policy=policy or Policy(),
            )
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


@pytest.fixture
def areas() -> Harness:
    return Harness()


def payload(name: str, size: int = 100_000) -> Payload:
    return Payload(name=name, key=b"k" * 32, size=size, md5=b"m" * 16, sha256=b"s" * 32)


def test_a_created_area_lists_its_keys(areas):
    assert areas.create(A, {"Key1": "Value1", "Key2": ""}) == A
    assert areas.listing(A) == {"Key1": "Value1", "Key2": ""}
    assert areas.value(A, "Key2") == ""
    (event,) = areas.events
    assert isinstance(event, AreaCreated)
    assert event.cause is Cause.REQUEST


def test_an_area_is_gone_at_its_deadline_to_the_nanosecond(areas):
    areas.create(A, {"k": "v"}, ttl=60)
    areas.now = START + 60 * SECOND - 1
    assert areas.listing(A) == {"k": "v"}
    areas.now += 1
    assert areas.is_gone(A)
    with pytest.raises(NotFound):
        areas.value(A, "k")
    with pytest.raises(NotFound):
        areas.update(A, {"k": "w"})
    with pytest.raises(NotFound):
        areas.delete(A)


def test_an_update_re_arms_only_the_keys_it_carries(areas):
    areas.create(A, {"old": "1", "both": "1"}, ttl=10)
    areas.update(A, {"both": "2", "new": "2"}, ttl=100)
    areas.pass_time(10)
    assert areas.listing(A) == {"both": "2", "new": "2"}
    areas.pass_time(90)
    assert areas.is_gone(A)


def test_an_update_can_shorten_a_key(areas):
    areas.create(A, {"short": "1", "long": "1"}, ttl=100)
    areas.update(A, {"short": "2"}, ttl=1)
    areas.pass_time(1)
    assert areas.listing(A) == {"long": "1"}
    with pytest.raises(NotFound, match="key"):
        areas.value(A, "short")


def test_with_the_scope_of_the_area_an_update_re_arms_all_keys_and_revives_none(areas):
    whole = Policy(whole_area=True)
    areas.create(A, {"a": "1", "b": "1"}, ttl=10)
    areas.update(A, {"b": "2"}, ttl=20)
    areas.pass_time(10)
    areas.update(A, {"c": "3"}, ttl=50, policy=whole)
    assert areas.listing(A) == {"b": "2", "c": "3"}
    areas.pass_time(49)
    assert areas.listing(A) == {"b": "2", "c": "3"}
    areas.pass_time(1)
    assert areas.is_gone(A)


def test_with_the_scope_of_the_area_an_update_without_keys_re_arms_it(areas):
    areas.create(A, {"a": "1"}, ttl=10)
    areas.update(A, {}, ttl=100, policy=Policy(whole_area=True))
    areas.pass_time(50)
    assert areas.listing(A) == {"a": "1"}


def test_an_area_without_keys_lives_until_its_own_deadline(areas):
    areas.create(A, {}, ttl=60)
    assert areas.listing(A) == {}
    areas.update(A, {"k": "v"}, ttl=10)
    areas.pass_time(10)
    assert areas.listing(A) == {}
    areas.sweep()
    assert areas.listing(A) == {}
    areas.pass_time(50)
    assert areas.is_gone(A)
    areas.sweep()
    assert not areas.state.areas.areas


def test_an_empty_update_re_arms_an_area_without_keys_and_changes_no_other(areas):
    areas.create(A, {}, ttl=10)
    areas.update(A, {}, ttl=60)
    areas.pass_time(59)
    assert areas.listing(A) == {}
    areas.create(B, {"k": "v"}, ttl=10)
    before = len(areas.events)
    areas.update(B, {}, ttl=60)
    assert len(areas.events) == before


def test_the_sweeper_ends_keys_one_by_one_and_then_the_area(areas):
    areas.create(A, {"a": "1"}, ttl=10)
    areas.update(A, {"b": "2"}, ttl=20)
    areas.pass_time(10)
    areas.sweep()
    event = areas.events[-1]
    assert isinstance(event, KeysExpired)
    assert event.keys == ("a",)
    assert event.cause is Cause.EXPIRED
    areas.pass_time(10)
    areas.sweep()
    event = areas.events[-1]
    assert isinstance(event, AreaDeleted)
    assert event.cause is Cause.EXPIRED
    assert len(areas.state.deadlines) == 0
    assert areas.state.areas.size == 0


def test_a_command_before_the_sweeper_journals_the_expiry_itself(areas):
    areas.create(A, {"a": "1"}, ttl=10)
    areas.update(A, {"b": "2"}, ttl=20)
    areas.pass_time(15)
    areas.update(A, {"b": "3"}, ttl=20)
    assert [type(event) for event in areas.events[-2:]] == [KeysExpired, AreaUpdated]
    areas.create("x", {"a": "1"}, ttl=1, user="u")
    areas.pass_time(1)
    areas.create("x", {"b": "2"}, ttl=1, user="u")
    assert [type(event) for event in areas.events[-2:]] == [AreaDeleted, AreaCreated]
    assert areas.listing("x", user="u") == {"b": "2"}


def test_delete_removes_every_key_at_once(areas):
    areas.create(A, {"a": "1", "b": "2"})
    areas.delete(A)
    assert areas.is_gone(A)
    assert len(areas.state.deadlines) == 0
    with pytest.raises(NotFound):
        areas.delete(A)


def test_a_custom_area_is_its_customers_alone(areas):
    assert areas.create("x", {"k": "mine"}, user="ann") == "x"
    assert areas.listing("x", user="ann") == {"k": "mine"}
    for user in (None, "bob", "ANN"):
        assert areas.is_gone("x", user=user)
        with pytest.raises(NotFound):
            areas.delete("x", user=user)
    with pytest.raises(NotFound):
        areas.update("x", {"k": "stolen"})
    assert areas.create("x", {"k": "his"}, user="bob") == "x"
    assert areas.listing("x", user="ann") == {"k": "mine"}
    areas.delete("x", user="bob")
    assert areas.listing("x", user="ann") == {"k": "mine"}


def test_a_custom_id_created_twice_is_written_over_as_by_an_update(areas):
    areas.create("x", {"a": "1", "b": "1"}, ttl=10, user="u")
    areas.create("x", {"b": "2"}, ttl=20, user="u")
    assert areas.listing("x", user="u") == {"a": "1", "b": "2"}
    areas.pass_time(10)
    assert areas.listing("x", user="u") == {"b": "2"}


def test_an_update_with_a_user_creates_what_is_unknown_unless_switched_off(areas):
    assert areas.update("session", {"k": "v"}, user="service") is True
    assert areas.listing("session", user="service") == {"k": "v"}
    assert areas.update("session", {"k": "w"}, user="service") is False
    with pytest.raises(NotFound):
        areas.update("other", {"k": "v"}, user="service", policy=Policy(upsert=False))
    with pytest.raises(NotFound):
        areas.update("other", {"k": "v"})


def test_a_plain_area_is_not_bound_to_a_user(areas):
    areas.create(A, {"k": "v"})
    assert areas.listing(A, user="anyone") == {"k": "v"}
    assert areas.update(A, {"k": "w"}, user="anyone") is False
    assert areas.listing(A) == {"k": "w"}
    areas.delete(A, user="someone")
    assert areas.is_gone(A)


def test_the_customers_own_area_hides_a_plain_one_of_the_same_name(areas):
    areas.create(A, {"k": "plain"})
    areas.create(A, {"k": "custom"}, user="u")
    assert areas.listing(A, user="u") == {"k": "custom"}
    assert areas.listing(A) == {"k": "plain"}
    with pytest.raises(NotFound):
        areas.listing(A, user=None, custom=True)
    areas.delete(A, user="u", custom=True)
    with pytest.raises(NotFound):
        areas.delete(A, user="u", custom=True)
    assert areas.listing(A, user="u") == {"k": "plain"}


def test_a_customers_area_cannot_be_named_as_a_plain_one(areas):
    areas.create("x", {"k": "v"}, user="u")
    assert areas.is_gone("\0u\0x")


def test_a_taken_plain_id_is_refused(areas):
    areas.create(A, {"k": "v"})
    with pytest.raises(Conflict):
        areas.create(A, {"k": "w"})


@pytest.mark.parametrize("name", ["custom", "binary"])
def test_reserved_words_are_no_custom_ids(areas, name):
    with pytest.raises(Invalid):
        areas.create(name, {}, user="u")
    with pytest.raises(Invalid):
        areas.update(name, {}, user="u")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"": "v"}, Invalid),
        ({"_k": "v"}, Invalid),
        ({"_": "v"}, Invalid),
        ({"a\0b": "v"}, Invalid),
        ({"k" * 256: "v"}, TooLarge),
        ({"é" * 128: "v"}, TooLarge),
        ({str(number): "v" for number in range(1001)}, TooLarge),
    ],
)
def test_a_bad_key_refuses_the_whole_command(areas, values, error):
    areas.create(A, {"kept": "1"})
    for command in (
        lambda: areas.create(B, {"good": "1", **values}),
        lambda: areas.update(A, {"good": "1", **values}),
    ):
        with pytest.raises(error):
            command()
    assert areas.listing(A) == {"kept": "1"}
    assert areas.is_gone(B)


@pytest.mark.parametrize("ttl", [0, -1, MAX_TTL + 1])
def test_a_ttl_out_of_bounds_is_refused(areas, ttl):
    with pytest.raises(Invalid):
        areas.create(A, {"k": "v"}, ttl=ttl)


@pytest.mark.parametrize("name", ["", "a\0b", "n" * 256])
def test_a_bad_custom_id_is_refused(areas, name):
    with pytest.raises((Invalid, TooLarge)):
        areas.create(name, {}, user="u")


@pytest.mark.parametrize("user", ["", "a\0b", "u" * 256])
def test_a_bad_user_is_refused(areas, user):
    with pytest.raises(Invalid):
        areas.create("x", {}, user=user)


def test_the_number_of_keys_counts_living_ones_of_the_whole_area(areas):
    few = Policy(max_keys=2)
    areas.create(A, {"a": "1", "b": "1"}, ttl=10, policy=few)
    areas.update(A, {"a": "2"}, ttl=20, policy=few)
    with pytest.raises(TooLarge):
        areas.update(A, {"c": "1"}, policy=few)
    areas.pass_time(10)
    areas.update(A, {"c": "1"}, policy=few)
    assert areas.listing(A) == {"a": "2", "c": "1"}


def test_quota_of_bytes(areas):
    policy = Policy(quota_bytes=10)
    areas.create(A, {"k": "12345"}, policy=policy)
    with pytest.raises(QuotaExceeded):
        areas.create(B, {"k": "1234"}, policy=policy)
    areas.create(B, {"k": "123"}, policy=policy)
    with pytest.raises(QuotaExceeded):
        areas.update(A, {"k": "123456"}, policy=policy)
    areas.update(A, {"k": "54321"}, policy=policy)
    areas.delete(B)
    areas.update(A, {"é": NewFile("f", "t/t", Inline(b"12", b"m" * 16))}, policy=policy)
    assert areas.state.areas.size == 10


def test_quota_of_areas_per_user_counts_the_living(areas):
    policy = Policy(quota_areas_per_user=1)
    areas.create("a", {"k": "1"}, ttl=1, user="u", policy=policy)
    areas.create("a", {"k": "2"}, ttl=1, user="u", policy=policy)
    with pytest.raises(QuotaExceeded):
        areas.update("b", {"k": "1"}, user="u", policy=policy)
    areas.create("b", {"k": "1"}, user="other", policy=policy)
    areas.pass_time(1)
    areas.create("b", {"k": "1"}, ttl=1, user="u", policy=policy)


def test_files_are_events_of_their_own_and_a_small_one_moves_to_its_record(areas):
    inline = Inline(b"bytes", b"m" * 16)
    areas.create(A, {"t": "text", "f": NewFile("a.png", "image/png", inline)})
    created, stored = areas.events
    assert isinstance(created, AreaCreated)
    assert isinstance(stored, FileStored)
    assert created.base == 0
    assert areas.value(A, "f") == File("a.png", "image/png", inline)
    areas.state.place(areas.state.seq, 4711)
    assert areas.value(A, "f") == File("a.png", "image/png", OnDisk(4711, 5))
    areas.state.place(areas.state.seq, 4712)
    assert areas.value(A, "f") == File("a.png", "image/png", OnDisk(4711, 5))


def test_a_file_replaced_or_gone_before_it_was_placed_stays_so(areas):
    for number, after in enumerate((lambda: areas.update(A, {"f": "text"}), lambda: areas.delete(A))):
        if number == 0:
            areas.create(A, {"f": NewFile("a", "t/t", Inline(b"x", b"m" * 16))})
        else:
            areas.update(A, {"f": NewFile("a", "t/t", Inline(b"x", b"m" * 16))})
        seq = areas.state.seq
        after()
        areas.state.place(seq, 99)
        areas.state.check()
    assert areas.is_gone(A)


def test_a_key_may_change_its_kind_and_payload_files_are_kept_and_released(areas):
    ground = areas.state.ground
    areas.create(A, {"f": NewFile("a", "t/t", payload("p1")), "g": NewFile("b", "t/t", payload("p2"))})
    assert ground.payloads == {"p1", "p2"}
    areas.update(A, {"f": "now a text"})
    assert ground.payloads == {"p2"}
    areas.update(A, {"f": NewFile("c", "t/t", payload("p3"))})
    areas.delete(A)
    assert ground.payloads == set()
    assert ground.take_released() == ["p1", "p2", "p3"]


def test_an_expired_key_releases_its_payload_file(areas):
    areas.create(A, {"f": NewFile("a", "t/t", payload("p1"))}, ttl=1)
    areas.update(A, {"k": "v"}, ttl=60)
    areas.pass_time(1)
    areas.sweep()
    assert areas.state.ground.take_released() == ["p1"]


def test_many_texts_are_split_over_events_that_fit_a_record(areas):
    values = {f"key{number}": "x" * 8000 for number in range(100)}
    areas.create(A, values)
    assert areas.listing(A) == values
    assert len(areas.events) > 2
    assert all(
        sum(map(len, event.content())) <= 256 * 1024 for event in areas.events if event.content() is not None
    )
    first, *others = areas.events
    assert isinstance(first, AreaCreated)
    assert all(isinstance(event, AreaUpdated) and not event.whole for event in others)


def test_events_about_areas_that_are_not_there_change_nothing(areas):
    common = {"actor": "retain", "cause": Cause.EXPIRED, "name": A, "user": None}
    areas.apply(AreaDeleted(resource=b"r" * 16, **common))
    areas.apply(KeysExpired(resource=b"r" * 16, keys=("k",), **common))
    areas.create(A, {"k": "v"})
    areas.apply(AreaDeleted(resource=b"r" * 16, **common))
    areas.apply(KeysExpired(resource=b"r" * 16, keys=("k",), **common))
    assert areas.listing(A) == {"k": "v"}


def test_what_was_written_after_an_erased_creation_lives_on(areas):
    areas.create(A, {"gone": "1"}, ttl=60)
    areas.update(A, {"kept": "2"}, ttl=60)
    update = areas.events[-1]
    fresh = Harness()
    fresh.apply(update)
    assert fresh.listing(A) == {"kept": "2"}
    assert next(iter(fresh.state.areas.areas.values()))[0] == update.resource


def test_rows_restore_the_state(areas):
    areas.create(A, {"t": "text", "f": NewFile("a", "t/t", payload("p1"))}, ttl=10)
    areas.update(A, {"u": "later"}, ttl=20)
    areas.create("x", {"s": NewFile("", None, Inline(b"long", b"m" * 16))}, user="ann")
    areas.create(B, {})
    before = areas.state.digest()
    frozen = areas.state.areas.freeze()
    areas.delete(B)
    other = State()
    other.load({"areas": list(frozen())})
    other.check()
    assert other.digest() == before
    assert other.deadlines.entries() == [
        (START + 10 * SECOND, Kind.AREA, A),
        (START + 60 * SECOND, Kind.AREA, "\0ann\0x"),
        (START + 60 * SECOND, Kind.AREA, B),
    ]
