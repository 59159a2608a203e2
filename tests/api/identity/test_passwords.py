"""HTTP Basic: who gets in, at what cost, and how failures are slowed."""

from __future__ import annotations

import base64
import threading
from itertools import pairwise

import pytest
import trio
import trio.testing

from retain.api.identity import (
    Caller,
    Identity,
    IdentityOptions,
    Method,
    ThrottleOptions,
    TooManyAttempts,
    Unauthenticated,
    User,
    hash_password,
)
from retain.api.identity.memory import Memory
from retain.api.identity.passwords import (
    WAITING_MAX,
    Passwords,
    RecognizedHeaders,
    parse_basic,
    verify_hash,
)
from retain.api.identity.throttle import Throttle
from tests.kit.requests import make_request

ANN = User("ann", "$argon2id$ann", frozenset({"Role1"}))
BOB = User("bob", "$argon2id$bob")
SECRETS = {ANN.password_hash: "sesame", BOB.password_hash: "open: up"}


class Verifier:
    """Counts the costly checks, and can be held."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, stored: str, password: str) -> bool:
        self.threads.add(threading.get_ident())
        assert threading.current_thread() is not threading.main_thread(), "the event loop would stand still"
        self.gate.wait()
        self.calls.append((stored, password))
        return SECRETS.get(stored) == password


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def request(credentials: str | None, *, peer: str = "192.0.2.1", **headers: str):
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if credentials is not None:
        pairs.append(("Authorization", credentials))
    return make_request(headers=pairs, peer=peer)


def make(verifier: Verifier, **options: object) -> Identity:
    return Identity(
        IdentityOptions(**{"users": (ANN, BOB), **options}),  # type: ignore[arg-type]
        now=lambda: 0,
        verify=verifier,
    )


async def refused(identity: Identity, credentials: str | None, **more: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await identity.authenticate(request(credentials, **more))
    return caught.value


async def test_a_configured_user_gets_in_with_roles() -> None:
    caller = await make(Verifier()).authenticate(request(basic("ann", "sesame")))
    assert caller == Caller("ann", frozenset({"Role1"}), Method.BASIC)
    assert caller.actor == "user:ann"


async def test_a_password_may_hold_a_colon_and_the_scheme_any_case() -> None:
    caller = await make(Verifier()).authenticate(request(basic("bob", "open: up").replace("Basic", "bAsIc")))
    assert caller.name == "bob"


async def test_a_real_hash_is_verified() -> None:
    stored = hash_password("pässword")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert verify_hash(stored, "pässword")
    assert not verify_hash(stored, "password")
    assert not verify_hash("$argon2id$damaged", "password")


async def test_wrong_name_and_wrong_password_are_told_apart_by_nothing(autojump_clock: object) -> None:
    verifier = Verifier()
    identity = make(verifier)
    stranger = await refused(identity, basic("eve", "sesame"))
    wrong = await refused(identity, basic("ann", "Sesame"))
    assert (stranger.message, stranger.headers, stranger.status) == (wrong.message, wrong.headers, 401)
    assert len(verifier.calls) == 2


async def test_a_failed_login_is_logged_as_facts_and_a_name_only_if_it_is_a_users(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    identity = make(Verifier())
    await refused(identity, basic("ann", "sesame\u2003s"))
    await refused(identity, basic("sesame s", "ann"))
    known, stranger = [record for record in caplog.records if record.name == "retain.identity"]
    assert known.getMessage() == stranger.getMessage() == "failed login"
    assert known.__dict__["facts"] == {"user": "ann", "address": "192.0.2.1"}
    assert stranger.__dict__["facts"] == {"user": None, "address": "192.0.2.1"}
    assert "sesame" not in caplog.text


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"ann").decode(),
        "Basic " + base64.b64encode(b"ann:\x07").decode(),
        "Basic " + base64.b64encode(b"ann:" + b"x" * 5000).decode(),
        "Basic \xff",
        "Digest username=ann",
        "Bearer a.b.c",
        "Negotiate",
    ],
)
async def test_malformed_or_missing_credentials_are_challenged(credentials: str | None) -> None:
    verifier = Verifier()
    refusal = await refused(make(verifier), credentials)
    assert refusal.headers == [("WWW-Authenticate", 'Basic realm="Retain", charset="UTF-8"')]
    assert verifier.calls == []


async def test_two_authorization_headers_are_refused() -> None:
    doubled = make_request(headers=[("Authorization", basic("ann", "sesame"))] * 2)
    with pytest.raises(Unauthenticated):
        await make(Verifier()).authenticate(doubled)


def test_parse_basic_splits_at_the_first_colon() -> None:
    assert parse_basic(base64.b64encode(b"a::b").decode()) == ("a", ":b")
    assert parse_basic(base64.b64encode("ä:€".encode()).decode()) == ("ä", "€")


def test_parse_basic_refuses_each_control_character_and_no_other() -> None:
    for code in range(0x110):
        given = base64.b64encode(f"a:{chr(code)}".encode()).decode()
        control = code < 0x20 or 0x7F <= code < 0xA0
        assert parse_basic(given) == (None if control else ("a", chr(code))), code


def test_parse_basic_takes_one_spelling_of_base64() -> None:
    """What else is skipped or mended would let two headers mean one password."""
    whole = base64.b64encode(b"ann:\xff\xfe?~secret").decode()
    assert "/" in whole
    assert whole.endswith("=")
    assert parse_basic(whole) is not None
    for changed in (
        f"{whole[:4]}!{whole[4:]}", f"{whole[:4]}\n{whole[4:]}", f"{whole[:4]} {whole[4:]}", f"{whole}~",
        whole.rstrip("="), whole.replace("/", "_"), f"{whole}é", f"={whole}",
    ):  # fmt: skip
        assert parse_basic(changed) is None, changed


@pytest.mark.parametrize(("length", "taken"), [(4096, True), (4097, False)])
def test_parse_basic_takes_credentials_of_4096_bytes(length: int, taken: bool) -> None:
    given = b"ann:" + b"x" * (length - 4)
    assert (parse_basic(base64.b64encode(given).decode()) is not None) == taken


def test_parse_basic_falls_back_to_latin_1_as_form_texts_do() -> None:
    """What clients send that do not heed the challenge's charset (RFC 7617 section 3)."""
    assert parse_basic(base64.b64encode(b"J\xfcrgen:p\xe4ss").decode()) == ("Jürgen", "päss")
    assert parse_basic(base64.b64encode(b"\xc3\xa9:\xe9").decode()) == ("Ã©", "é")
    assert parse_basic(base64.b64encode(b"a:\x9f").decode()) is None
    assert parse_basic(base64.b64encode("a:\x9f".encode()).decode()) is None
    assert parse_basic(base64.b64encode(b"a:\xa0").decode()) == ("a", "\xa0")


async def test_a_user_is_let_in_by_either_encoding() -> None:
    user = User("jürgen", ANN.password_hash)
    for encoding in ("utf-8", "latin-1"):
        verifier = Verifier()
        header = base64.b64encode("jürgen:sesame".encode(encoding)).decode()
        caller = await make(verifier, users=(user,)).authenticate(request(f"Basic {header}"))
        assert caller.name == "jürgen"


async def test_a_right_credential_is_remembered_for_a_while(autojump_clock: object) -> None:
    verifier = Verifier()
    identity = make(verifier, remember_s=300.0)
    for _ in range(5):
        await identity.authenticate(request(basic("ann", "sesame")))
    assert len(verifier.calls) == 1
    await trio.sleep(301)
    await identity.authenticate(request(basic("ann", "sesame")))
    assert len(verifier.calls) == 2


async def test_remembering_one_credential_lets_no_other_in(autojump_clock: object) -> None:
    identity = make(Verifier())
    await identity.authenticate(request(basic("ann", "sesame")))
    await refused(identity, basic("ann", "sesam"))
    await refused(identity, basic("bob", "sesame"))
    assert (await identity.authenticate(request(basic("ann", "sesame")))).name == "ann"


class TestRecognizedHeaders:
    """A header that was verified is neither decoded nor verified again, while the user is the same."""

    @staticmethod
    def identity(users: dict[str, User], verifier: Verifier) -> Identity:
        options = IdentityOptions(users=tuple(users.values()), remember_s=60.0)
        return Identity(options, now=lambda: 0, users=users, verify=verifier)

    async def test_it_is_parsed_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        parsed: list[str] = []

        def counting(encoded: str) -> tuple[str, str] | None:
            parsed.append(encoded)
            return parse_basic(encoded)

        monkeypatch.setattr("retain.api.identity.identity.parse_basic", counting)
        verifier = Verifier()
        identity = self.identity({"ann": ANN}, verifier)
        first = await identity.authenticate(request(basic("ann", "sesame")))
        for scheme in ("Basic", "basic", "BASIC "):
            again = await identity.authenticate(
                request(basic("ann", "sesame").replace("Basic", scheme), peer="192.0.2.9")
            )
            assert again == first
        assert len(parsed) == len(verifier.calls) == 1

    async def test_it_ends_with_the_time_of_the_credential(self, autojump_clock: object) -> None:
        verifier = Verifier()
        identity = self.identity({"ann": ANN}, verifier)
        await identity.authenticate(request(basic("ann", "sesame")))
        await trio.sleep(59)
        await identity.authenticate(request(basic("ann", "sesame")))
        assert len(verifier.calls) == 1, "using it does not prolong it, and it has not ended yet"
        await trio.sleep(1)
        await identity.authenticate(request(basic("ann", "sesame")))
        assert len(verifier.calls) == 2

    async def test_a_removed_user_is_refused_at_once(self, autojump_clock: object) -> None:
        users = {"ann": ANN}
        identity = self.identity(users, Verifier())
        for _ in range(2):
            await identity.authenticate(request(basic("ann", "sesame")))
        del users["ann"]
        with pytest.raises(Unauthenticated):
            await identity.authenticate(request(basic("ann", "sesame")))

    async def test_a_changed_password_is_verified_anew(self, autojump_clock: object) -> None:
        users = {"ann": ANN}
        identity = self.identity(users, Verifier())
        for _ in range(2):
            await identity.authenticate(request(basic("ann", "sesame")))
        users["ann"] = User("ann", BOB.password_hash, ANN.roles)
        with pytest.raises(Unauthenticated):
            await identity.authenticate(request(basic("ann", "sesame")))
        assert (await identity.authenticate(request(basic("ann", "open: up")))).name == "ann"

    async def test_changed_roles_count_from_the_next_request(self) -> None:
        """Also where the user was removed and added again with the same hash."""
        users = {"ann": ANN}
        identity = self.identity(users, Verifier())
        for _ in range(2):
            assert (await identity.authenticate(request(basic("ann", "sesame")))).roles == {"Role1"}
        users["ann"] = User("ann", ANN.password_hash, frozenset({"Role2"}))
        assert (await identity.authenticate(request(basic("ann", "sesame")))).roles == {"Role2"}
        identity_of_form = await identity.login("ann", "sesame", request(None))
        assert identity_of_form is not None
        assert identity_of_form.roles == {"Role2"}

    async def test_a_wrong_password_is_never_recognized(self, autojump_clock: object) -> None:
        verifier = Verifier()
        identity = self.identity({"ann": ANN}, verifier)
        await identity.authenticate(request(basic("ann", "sesame")))
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await identity.authenticate(request(basic("ann", "wrong")))
        assert [password for _, password in verifier.calls] == ["sesame", *["wrong"] * 3]

    def test_their_number_is_bounded_and_no_dead_one_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("retain.api.identity.passwords.RECOGNIZED_MAX", 2)

        async def main() -> None:
            memory = Memory(60.0, bytes)
            users = {"ann": ANN}
            recognized = RecognizedHeaders(users, memory, bytes(32))
            memory.remember(b"digest", Caller("ann", ANN.roles, Method.BASIC))
            for form in ("one", "two", "three"):
                recognized.add(form, ANN, b"digest")
            assert len(recognized) == 2
            assert recognized.find("one") is None
            assert recognized.find("two") is not None
            users.clear()
            assert recognized.find("two") is None
            assert len(recognized) == 1

        trio.run(main)

    async def test_nothing_of_it_can_be_read_from_what_is_kept(self) -> None:
        identity = self.identity({"ann": ANN}, Verifier())
        credentials = basic("ann", "sesame")
        await identity.authenticate(request(credentials))
        kept = identity._passwords._recognized._entries
        assert [len(form) for form in kept] == [16]
        assert credentials.partition(" ")[2].encode() not in b"".join(kept)


async def test_the_same_new_credential_at_once_is_verified_once() -> None:
    verifier = Verifier()
    verifier.gate.clear()
    identity = make(verifier)
    callers: list[Caller] = []

    async def call() -> None:
        callers.append(await identity.authenticate(request(basic("ann", "sesame"))))

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        verifier.gate.set()
    assert len(callers) == 16
    assert len(verifier.calls) == 1


async def test_verification_does_not_hold_up_the_event_loop() -> None:
    verifier = Verifier()
    verifier.gate.clear()
    identity = make(verifier)
    turns = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(identity.authenticate, request(basic("ann", "sesame")))
        for _ in range(100):
            await trio.lowlevel.checkpoint()
            turns += not verifier.calls
        verifier.gate.set()
    assert turns == 100, "others went on while the password was looked at"
    assert verifier.calls == [(ANN.password_hash, "sesame")]
    assert threading.get_ident() not in verifier.threads


async def test_a_flood_of_logins_is_sent_away_instead_of_queued() -> None:
    verifier = Verifier()
    verifier.gate.clear()
    identity = make(verifier, throttle=ThrottleOptions(free=10**6))
    outcomes: list[type[Exception]] = []
    waits: set[int | None] = set()

    async def call(number: int) -> None:
        try:
            await identity.authenticate(
                request(basic("ann", str(number)), peer=f"198.51.{number // 250}.{number % 250}")
            )
        except (Unauthenticated, TooManyAttempts) as refusal:
            outcomes.append(type(refusal))
            waits.add(getattr(refusal, "retry_after", None))

    async with trio.open_nursery() as nursery:
        for number in range(WAITING_MAX + 12):
            nursery.start_soon(call, number)
        await trio.testing.wait_all_tasks_blocked()
        assert outcomes == [TooManyAttempts] * 10
        assert waits == {1}
        verifier.gate.set()
    assert len(outcomes) == WAITING_MAX + 12


async def test_login_serves_a_form() -> None:
    identity = make(Verifier())
    form = request(None)
    assert await identity.login("ann", "wrong", form) is None
    caller = await identity.login("ann", "sesame", form)
    assert caller is not None
    assert caller.name == "ann"


async def test_an_interface_of_basic_only_takes_nothing_else() -> None:
    identity = make(Verifier(), anonymous=True)
    with pytest.raises(Unauthenticated) as caught:
        await identity.basic(request(None))
    assert caught.value.headers == [("WWW-Authenticate", 'Basic realm="Retain", charset="UTF-8"')]
    assert (await identity.basic(request(basic("ann", "sesame")))).name == "ann"


async def test_anonymous_callers_get_in_only_where_allowed() -> None:
    caller = await make(Verifier(), anonymous=True).authenticate(request(None))
    assert caller == Caller("anonymous", frozenset(), Method.ANONYMOUS)
    assert caller.actor == "anonymous"
    await refused(make(Verifier(), anonymous=True), basic("ann", "wrong"))


def test_users_that_cannot_be_are_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="colon"):
        User("a:b", "$argon2id$x")
    with pytest.raises(ValueError, match="retain user hash"):
        User("ann", "sesame")
    with pytest.raises(ValueError, match="same name"):
        IdentityOptions(users=(ANN, ANN))
    with pytest.raises(ValueError, match="realm"):
        IdentityOptions(realm='a"b')
    for realm in ("é", "a\nb", "a\\b", "\x7f", '"'):
        with pytest.raises(ValueError, match="realm"):
            IdentityOptions(realm=realm)
    assert IdentityOptions(realm="All of it!").realm == "All of it!"


def test_secrets_stay_out_of_representations() -> None:
    assert ANN.password_hash not in repr(ANN)
    assert ANN.password_hash not in repr(IdentityOptions(users=(ANN,)))


async def test_the_longest_unused_credential_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retain.api.identity.memory.ENTRIES_MAX", 2)
    memory = Memory(60.0, bytes)
    callers = {name: Caller(name, frozenset(), Method.BASIC) for name in "abc"}
    memory.remember(b"a", callers["a"])
    memory.remember(b"b", callers["b"])
    assert memory.recall(b"a") == callers["a"]
    memory.remember(b"c", callers["c"])
    assert [memory.recall(key) for key in (b"a", b"b", b"c")] == [callers["a"], None, callers["c"]]


class TestSlowing:
    """Failed logins wait longer and longer; others do not wait with them."""

    OPTIONS = ThrottleOptions(free=3, base_s=1.0, max_s=4.0, queue_s=10.0, forget_s=100.0)

    async def times(self, identity: Identity, count: int, name: str, peers: list[str]) -> list[float]:
        moments = []
        for number in range(count):
            await refused(identity, basic(name, f"guess {number}"), peer=peers[number % len(peers)])
            moments.append(trio.current_time())
        return [after - before for before, after in pairwise(moments)]

    async def test_guesses_from_one_address_double_their_distance(self, autojump_clock: object) -> None:
        identity = make(Verifier(), throttle=self.OPTIONS)
        gaps = await self.times(identity, 7, "ann", ["192.0.2.1"])
        assert gaps == pytest.approx([0, 0, 1, 2, 4, 4])

    async def test_guesses_for_one_name_are_slowed_from_many_addresses(self, autojump_clock: object) -> None:
        identity = make(Verifier(), throttle=self.OPTIONS)
        gaps = await self.times(identity, 7, "ann", [f"192.0.2.{number}" for number in range(7)])
        assert gaps == pytest.approx([0, 0, 1, 2, 4, 4])

    async def test_guesses_for_many_names_from_one_address_are_slowed(self, autojump_clock: object) -> None:
        identity = make(Verifier(), throttle=self.OPTIONS)
        moments = []
        for number in range(5):
            await refused(identity, basic(f"user{number}", "x"))
            moments.append(trio.current_time())
        assert moments[4] - moments[0] == pytest.approx(3)

    async def test_one_ipv6_network_is_one_address(self, autojump_clock: object) -> None:
        identity = make(Verifier(), throttle=self.OPTIONS)
        start = trio.current_time()
        for number in range(5):
            await refused(identity, basic(f"user{number}", "x"), peer=f"2001:db8::{number + 1}")
        assert trio.current_time() - start == pytest.approx(3)

    async def test_an_ipv4_address_is_the_same_however_it_is_written(self, autojump_clock: object) -> None:
        identity = make(Verifier(), throttle=self.OPTIONS)
        start = trio.current_time()
        for number in range(5):
            peer = "::ffff:192.0.2.1" if number % 2 else "192.0.2.1"
            await refused(identity, basic(f"user{number}", "x"), peer=peer)
        assert trio.current_time() - start == pytest.approx(3)

    async def test_what_is_counted_is_bounded_and_who_is_slowed_stays(
        self, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("retain.api.identity.throttle.KEYS_MAX", 4)
        throttle = Throttle(self.OPTIONS)
        for _ in range(4):
            await throttle.turn("192.0.2.1", "ann")
        for number in range(20):
            await throttle.turn(f"198.51.100.{number}", f"made-up {number}")
            assert len(throttle._tracks) <= 4
        start = trio.current_time()
        await throttle.turn("192.0.2.1", "ann")
        assert trio.current_time() > start

    async def test_what_is_slowed_goes_when_it_is_forgotten_anyway(
        self, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("retain.api.identity.throttle.KEYS_MAX", 4)
        throttle = Throttle(self.OPTIONS)
        for _ in range(4):
            await throttle.turn("192.0.2.1", "ann")
        await trio.sleep(101)
        for number in range(2):
            await throttle.turn(f"198.51.100.{number}", f"new {number}")
        assert len(throttle._tracks) == 4
        await throttle.turn("198.51.100.9", "another")
        assert set(throttle._tracks._slowed) == set()

    async def test_a_refused_attempt_leaves_no_track(self, autojump_clock: object) -> None:
        throttle = Throttle(ThrottleOptions(free=1, base_s=60.0, max_s=60.0, queue_s=10.0))
        await throttle.turn("192.0.2.1", "ann")
        before = len(throttle._tracks)
        for number in range(100):
            with pytest.raises(TooManyAttempts):
                await throttle.turn("192.0.2.1", f"made-up {number}")
        assert len(throttle._tracks) == before

    async def test_known_addresses_are_bounded(
        self, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("retain.api.identity.throttle.KNOWN_MAX", 1)
        throttle = Throttle(self.OPTIONS)
        throttle.succeeded("192.0.2.1", "ann")
        throttle.succeeded("192.0.2.2", "bob")
        for place, name, waits in (("192.0.2.2", "bob", False), ("192.0.2.1", "ann", True)):
            for number in range(4):
                await throttle.turn(f"198.51.100.{number}", name)
            start = trio.current_time()
            await throttle.turn(place, name)
            assert (trio.current_time() > start) is waits

    async def test_who_logged_in_last_stays_known_longest(
        self, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("retain.api.identity.throttle.KNOWN_MAX", 2)
        throttle = Throttle(self.OPTIONS)
        for number, name in ((1, "ann"), (2, "bob"), (1, "ann"), (3, "carl")):
            throttle.succeeded(f"192.0.2.{number}", name)
        for place, name, waits in (("192.0.2.1", "ann", False), ("192.0.2.2", "bob", True)):
            for number in range(4):
                await throttle.turn(f"198.51.100.{number}", name)
            start = trio.current_time()
            await throttle.turn(place, name)
            assert (trio.current_time() > start) is waits

    async def test_all_who_bring_the_same_wrong_password_are_answered_by_one_verification(
        self, autojump_clock: object
    ) -> None:
        """They queued one behind the other, each for as long as the throttle said."""
        verifier = Verifier()
        identity = make(verifier, throttle=ThrottleOptions())
        statuses: list[int] = []

        async def attempt() -> None:
            with pytest.raises((Unauthenticated, TooManyAttempts)) as caught:
                await identity.authenticate(request(basic("ann", "wrong")))
            statuses.append(caught.value.status)

        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(1800):
                nursery.start_soon(attempt)
        assert len(statuses) == 1800
        assert trio.current_time() - start <= ThrottleOptions().queue_s
        assert len(verifier.calls) <= 2

    async def test_who_leaves_while_it_is_verified_leaves_the_others_a_verdict(
        self, autojump_clock: object
    ) -> None:
        verifier = Verifier()
        identity = make(verifier, throttle=ThrottleOptions(free=1, base_s=5.0, queue_s=30.0))
        await refused(identity, basic("ann", "other"))
        answered: list[Caller] = []

        async def attempt() -> None:
            answered.append(await identity.authenticate(request(basic("ann", "sesame"))))

        with trio.move_on_after(1):
            async with trio.open_nursery() as leaving:
                leaving.start_soon(attempt)
                await trio.sleep_forever()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(attempt)
        assert [caller.name for caller in answered] == ["ann"] * 3

    async def test_many_connections_guess_no_faster_than_one(self, autojump_clock: object) -> None:
        verifier = Verifier()
        identity = make(verifier, throttle=self.OPTIONS)
        outcomes: list[int] = []

        async def guess(number: int) -> None:
            try:
                await identity.authenticate(request(basic("ann", str(number))))
            except (Unauthenticated, TooManyAttempts) as refusal:
                outcomes.append(refusal.status)

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(guess, number)
        assert outcomes.count(401) == len(verifier.calls) == 6
        assert outcomes.count(429) == 44

    async def test_an_attempt_beyond_the_queue_is_told_when_to_come_back(
        self, autojump_clock: object
    ) -> None:
        identity = make(Verifier(), throttle=ThrottleOptions(free=1, base_s=60.0, max_s=60.0, queue_s=10.0))
        await refused(identity, basic("ann", "x"))
        with pytest.raises(TooManyAttempts) as caught:
            await identity.authenticate(request(basic("ann", "sesame")))
        assert caught.value.status == 429
        assert 59 <= int(dict(caught.value.headers)["Retry-After"]) <= 61

    async def test_other_callers_do_not_wait(self, autojump_clock: object) -> None:
        identity = make(Verifier(), throttle=self.OPTIONS)
        await self.times(identity, 6, "ann", ["192.0.2.1"])
        start = trio.current_time()
        await identity.authenticate(request(basic("bob", "open: up"), peer="192.0.2.9"))
        assert trio.current_time() == start

    async def test_who_has_logged_in_from_there_is_not_locked_out_by_strangers(
        self, autojump_clock: object
    ) -> None:
        identity = make(Verifier(), throttle=self.OPTIONS, remember_s=1.0)
        await identity.authenticate(request(basic("ann", "sesame"), peer="192.0.2.9"))
        await self.times(identity, 8, "ann", ["198.51.100.1"])
        start = trio.current_time()
        await identity.authenticate(request(basic("ann", "sesame"), peer="192.0.2.9"))
        assert trio.current_time() == start

    async def test_a_success_clears_the_name_and_time_clears_the_address(
        self, autojump_clock: object
    ) -> None:
        identity = make(Verifier(), throttle=self.OPTIONS, remember_s=0.0)
        await self.times(identity, 3, "ann", ["192.0.2.1"])
        await identity.authenticate(request(basic("ann", "sesame")))
        await trio.sleep(101)
        assert await self.times(identity, 3, "ann", ["192.0.2.1"]) == pytest.approx([0, 0])

    async def test_behind_a_trusted_proxy_the_caller_s_own_address_counts(
        self, autojump_clock: object
    ) -> None:
        from ipaddress import ip_network

        identity = make(Verifier(), throttle=self.OPTIONS, trusted_proxies=(ip_network("10.0.0.0/8"),))
        start = trio.current_time()
        for number in range(8):
            await refused(
                identity,
                basic(f"user{number}", "x"),
                peer="10.0.0.1",
                X_Forwarded_For=f"6.6.6.6, 198.51.100.{number}, 10.0.0.2",
            )
        assert trio.current_time() == start


def test_a_new_hash_costs_what_rfc_9106_recommends() -> None:
    assert hash_password("sesame").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_credentials_have_a_longest_size() -> None:
    def encoded(size: int) -> str:
        return base64.b64encode(b"ann:" + b"x" * (size - 4)).decode()

    assert parse_basic(encoded(4096)) == ("ann", "x" * 4092)
    assert parse_basic(encoded(4097)) is None


async def test_who_waits_for_a_check_that_is_refused_is_refused_with_it() -> None:
    """Otherwise each of them would wait for a turn of its own, one after the other."""
    turns: list[str] = []
    refuse = trio.Event()

    class Full:
        async def turn(self, address: str, name: str) -> None:
            turns.append(address)
            await refuse.wait()
            raise TooManyAttempts(7)

        def succeeded(self, address: str, name: str) -> None:
            raise AssertionError("nobody got in")

    passwords = Passwords({"ann": ANN}, Full(), Memory(60.0, bytes), verify=Verifier())
    waits: list[int] = []

    async def call() -> None:
        with pytest.raises(TooManyAttempts) as caught:
            await passwords.authenticate("ann", "sesame", "192.0.2.1")
        waits.append(caught.value.retry_after)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        refuse.set()
    assert waits == [7] * 5
    assert turns == ["192.0.2.1"]
