"""Pages of blobs by name and by tags, compared with looking at everything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retain.engine.blobs import listing
from retain.engine.blobs.commands import StageBlock
from retain.engine.blobs.entries import Pairs, StagedBlocks
from retain.engine.blobs.listing import Listed, after_prefix, find_blobs, list_blobs
from retain.engine.blobs.tagindex import TagQuery, TagRange
from retain.engine.core.errors import NotFound
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import DAY, SECOND, inline
from tests.kit.work import steps


def pages(
    desk: BlobDesk, limit: int, container: str = "recordings", **query: str | bool
) -> Iterator[list[Listed]]:
    start: str | None = ""
    while start is not None:
        page = list_blobs(
            desk.state.blobs,
            ACCOUNT,
            container,
            desk.now,
            start=start,
            limit=limit,
            **query,  # type: ignore[arg-type]
        )
        assert len(page.items) <= limit
        yield list(page.items)
        start = page.next


def listed(desk: BlobDesk, limit: int = 5000, **query: str | bool) -> list[str]:
    return [item.name for page in pages(desk, limit, **query) for item in page]


def test_order_is_by_code_point(desk: BlobDesk) -> None:
    names = ["a", "B", "Z/x", "ä", "a b", "\U0001f600", "\ufffd", "a!"]
    for name in names:
        desk.put(name)
    assert listed(desk) == sorted(names) == ["B", "Z/x", "a", "a b", "a!", "ä", "\ufffd", "\U0001f600"]


def test_groups_and_blobs_interleave(desk: BlobDesk) -> None:
    for name in ("a/1", "a/2", "a", "b", "a0", "c/d/e", "c/d/f", "c/x"):
        desk.put(name)
    assert listed(desk, delimiter="/") == ["a", "a/", "a0", "b", "c/"]
    assert listed(desk, delimiter="/", prefix="c/") == ["c/d/", "c/x"]
    assert listed(desk, delimiter="/", prefix="c") == ["c/"]
    assert listed(desk, prefix="c/d") == ["c/d/e", "c/d/f"]


def test_a_group_costs_one_seek(desk: BlobDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1000):
        desk.put(f"big/{number:04}")
    desk.put("small")
    seen: list[str] = []
    original = listing._from

    def counting(*args: object) -> Iterator[tuple[str, object]]:
        for item in original(*args):  # type: ignore[arg-type]
            seen.append(item[0])
            yield item

    monkeypatch.setattr(listing, "_from", counting)
    assert listed(desk, delimiter="/") == ["big/", "small"]
    assert seen == ["big/0000", "small"]


@pytest.mark.parametrize(
    ("prefix", "after"),
    [("a", "b"), ("a/", "a0"), ("a\U0010ffff", "b"), ("\U0010ffff", None), ("", None), ("\ud7ff", "\ud800")],
)
def test_what_comes_after_a_prefix(prefix: str, after: str | None) -> None:
    assert after_prefix(prefix) == after


def test_a_group_at_the_end_of_all_names_ends_the_list(desk: BlobDesk) -> None:
    top = "\U0010ffff"
    for name in ("a", f"{top}1", f"{top}2"):
        desk.put(name)
    assert listed(desk, delimiter=top) == ["a", top]
    assert listed(desk, limit=1, delimiter=top) == ["a", top]


def test_what_is_not_committed_stands_between_and_behind_the_others(desk: BlobDesk) -> None:
    for name in ("a", "c", "d", "z", "zz"):
        desk.do(StageBlock(**desk.where(), name=name, resource=desk.fresh(), block_id=b"1", body=inline(b"")))
    for name in ("b", "e"):
        desk.put(name)
    for limit in (1, 2, 3, 100):
        assert listed(desk, limit, uncommitted=True) == ["a", "b", "c", "d", "e", "z", "zz"]


def test_what_has_ended_is_in_no_page(desk: BlobDesk) -> None:
    desk.put("old/1", tags=(("k", "v"),))
    desk.now += 20 * DAY
    desk.put("new/1", tags=(("k", "v"),))
    desk.now += 10 * DAY + SECOND
    assert listed(desk) == ["new/1"]
    assert listed(desk, delimiter="/") == ["new/"]
    assert found(desk, {"k": TagRange.between("v", "v")}) == [("recordings", "new/1")]


def test_uncommitted_blobs_are_listed_on_request(desk: BlobDesk) -> None:
    for name in ("b", "a", "committed"):
        desk.do(StageBlock(**desk.where(), name=name, resource=desk.fresh(), block_id=b"1", body=inline(b"")))
    desk.put("aa")
    desk.put("committed")
    desk.do(
        StageBlock(**desk.where(), name="committed", resource=desk.fresh(), block_id=b"1", body=inline(b""))
    )
    assert listed(desk) == ["aa", "committed"]
    (page,) = pages(desk, 10, uncommitted=True)
    assert [item.name for item in page] == ["a", "aa", "b", "committed"]
    assert [isinstance(item.entry, StagedBlocks) for item in page] == [True, False, True, False]
    desk.now += 7 * DAY
    assert listed(desk, uncommitted=True) == ["aa", "committed"]


def test_listing_a_missing_container_is_refused(desk: BlobDesk) -> None:
    with pytest.raises(NotFound):
        list(pages(desk, 1, container="nowhere"))


NAMES = st.lists(st.text("ab/\U0010ffff", min_size=1, max_size=6), unique=True, max_size=20)


def _holds(wanted: TagRange, value: str) -> bool:
    return wanted.low <= value and (wanted.high is None or value < wanted.high)


@settings(max_examples=150, deadline=None)
@given(
    names=NAMES,
    prefix=st.text("ab/", max_size=3),
    delimiter=st.sampled_from(["", "/", "a/", "b"]),
    limit=st.integers(1, 6),
)
def test_pages_together_are_the_naive_listing(
    names: list[str], prefix: str, delimiter: str, limit: int
) -> None:
    desk = BlobDesk()
    desk.create("recordings")
    for name in names:
        desk.put(name)
    expected: list[str] = []
    for name in sorted(names):
        if name.startswith(prefix):
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            item = name if cut < 0 else name[: cut + len(delimiter)]
            if item not in expected:
                expected.append(item)
    assert listed(desk, limit, prefix=prefix, delimiter=delimiter) == expected


def found(
    desk: BlobDesk,
    ranges: dict[str, TagRange],
    limit: int = 5000,
    container: str | None = None,
    only: str | None = None,
) -> list[tuple[str, str]]:
    start: tuple[str, str] | None = ("", "")
    names: list[tuple[str, str]] = []
    while start is not None:
        page = find_blobs(
            desk.state.blobs,
            ACCOUNT,
            TagQuery(ranges, only),
            desk.now,
            container=container,
            start=start,
            limit=limit,
        )
        assert len(page.items) <= limit
        names += [(item.container, item.name) for item in page.items]
        start = page.next
    return names


class TestFindingByTags:
    @pytest.fixture
    def tagged(self, desk: BlobDesk) -> BlobDesk:
        for number in range(20):
            kind = "CALL" if number % 2 else "CHAT"
            tags: Pairs = (("RecordingType", kind), ("StoredTime", f"2022-01-{number + 1:02}T00:00:00Z"))
            desk.put(f"{97 - number}", tags=tags)
        desk.put("x", container="gim-export", tags=(("RecordingType", "CALL"),))
        desk.put("untagged")
        return desk

    def test_the_seeds_query(self, tagged: BlobDesk) -> None:
        ranges = {
            "RecordingType": TagRange.between("CALL", "CALL"),
            "StoredTime": TagRange.between("2022-01-09T00:00:00Z", "2022-01-12T00:00:00Z", with_upper=False),
        }
        assert found(tagged, ranges, only="recordings") == [("recordings", "88")]

    def test_results_are_by_container_then_name(self, tagged: BlobDesk) -> None:
        names = found(tagged, {"RecordingType": TagRange.between("CALL", "CALL")}, limit=3)
        assert names == sorted(names)
        assert len(names) == 11
        assert names[0] == ("gim-export", "x")

    def test_a_range_of_values_comes_in_pages_by_name(self, desk: BlobDesk) -> None:
        for number in range(10):
            desk.put(f"b{9 - number}", tags=(("n", f"{number}"),))
        wanted = [("recordings", f"b{number}") for number in range(8)]
        for limit in (1, 3, 8, 100):
            assert found(desk, {"n": TagRange.between("2")}, limit) == wanted

    def test_a_container_may_be_named_by_request_or_query(self, tagged: BlobDesk) -> None:
        ranges = {"RecordingType": TagRange.between("CALL", "CALL")}
        assert found(tagged, ranges, container="gim-export") == [("gim-export", "x")]
        assert found(tagged, ranges, only="gim-export") == [("gim-export", "x")]
        assert found(tagged, ranges, only="nowhere") == []
        with pytest.raises(NotFound):
            found(tagged, ranges, container="nowhere")

    def test_without_ranges_all_tagged_blobs_are_found(self, tagged: BlobDesk) -> None:
        names = found(tagged, {}, only="recordings", limit=7)
        assert len(names) == 20
        assert ("recordings", "untagged") not in names

    def test_values_compare_as_strings(self, desk: BlobDesk) -> None:
        for value in ("10", "9", "a", "A", ""):
            desk.put(f"v{value}", tags=(("k", value),))

        def values(wanted: TagRange) -> list[str]:
            return [name[1:] for _container, name in found(desk, {"k": wanted})]

        assert values(TagRange.between("10", with_lower=False)) == ["9", "A", "a"]
        assert values(TagRange.between(None, "9")) == ["", "10", "9"]
        assert values(TagRange.between(None, "9", with_upper=False)) == ["", "10"]
        assert values(TagRange.between("", "")) == [""]

    def test_a_page_looks_at_a_bounded_number(
        self, tagged: BlobDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "LOOK_AT", 3)
        ranges = {
            "RecordingType": TagRange.between("CALL", "CALL"),
            "StoredTime": TagRange.between("2022-01-01", "2022-01-06"),
        }
        assert [name for _, name in found(tagged, ranges)] == ["94", "96"]
        page = find_blobs(tagged.state.blobs, ACCOUNT, TagQuery(ranges), tagged.now, limit=10)
        assert page.items == ()
        assert page.next is not None


TAGS = st.dictionaries(st.sampled_from("kl"), st.text("ab", max_size=2), max_size=2)
RANGES = st.dictionaries(
    st.sampled_from("klm"),
    st.builds(
        lambda bounds, lower, upper: TagRange.between(*bounds, with_lower=lower, with_upper=upper),
        st.tuples(st.none() | st.text("ab", max_size=2), st.none() | st.text("ab", max_size=2)),
        st.booleans(),
        st.booleans(),
    )
    | st.text("ab", max_size=2).map(lambda value: TagRange.between(value, value)),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(
    blobs=st.dictionaries(st.text("xyz", min_size=1, max_size=3), TAGS, max_size=15),
    ranges=RANGES,
    limit=st.integers(1, 5),
    look_at=st.integers(1, 20),
)
def test_pages_together_are_the_naive_find(
    blobs: dict[str, dict[str, str]], ranges: dict[str, TagRange], limit: int, look_at: int
) -> None:
    desk = BlobDesk()
    desk.create("recordings")
    for name, tags in blobs.items():
        desk.put(name, tags=tuple(tags.items()))
    expected = [
        ("recordings", name)
        for name, tags in sorted(blobs.items())
        if tags and all(key in tags and _holds(wanted, tags[key]) for key, wanted in ranges.items())
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "LOOK_AT", look_at)
        assert found(desk, ranges, limit) == expected


@pytest.mark.slow
def test_a_page_costs_what_it_holds_however_much_there_is(desk: BlobDesk) -> None:
    query = TagQuery({"n": TagRange.between("0500", "0500")})

    def page(limit: int) -> None:
        list_blobs(desk.state.blobs, ACCOUNT, "recordings", desk.now, start="mytenant/000300", limit=limit)

    costs = []
    for first, last in ((0, 1500), (1500, 9000)):
        for number in range(first, last):
            desk.put(f"mytenant/{number:06}", b"x", tags=(("n", f"{number * 500 // last:04}"),))
        desk.put("tagged", b"x", tags=(("n", "0500"),))
        found = find_blobs(desk.state.blobs, ACCOUNT, query, desk.now, limit=5000)
        assert len(found.items) == 1
        costs.append(
            (
                lines_run(lambda: page(100)),
                lines_run(lambda: page(1000)),
                lines_run(lambda: find_blobs(desk.state.blobs, ACCOUNT, query, desk.now, limit=5000)),
            )
        )
    few, many = costs
    assert few[1] < 12 * few[0]
    for before, after in zip(few, many, strict=True):
        assert after < 1.2 * before + 100


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python `work` takes: its cost on a machine of whatever speed."""
    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> Callable[..., object]:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


@given(
    tags=st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=60),
    limit=st.integers(1, 5),
    query=st.sampled_from(
        [
            TagQuery({"kind": TagRange.between("a", "a")}),
            TagQuery({"kind": TagRange.between("a", "b")}),
            TagQuery({"kind": TagRange.between("a", "a"), "all": TagRange.between("", None)}),
            TagQuery({}),
        ]
    ),
    look=st.sampled_from([2, 7, 5_000]),
)
@settings(max_examples=60)
def test_the_pages_of_a_search_are_found_backwards(
    tags: list[str], limit: int, query: TagQuery, look: int
) -> None:
    """From the end to the first page: nothing is left out, and the pages before do not depend on luck."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(listing, "LOOK_BACK", look)
        desk = BlobDesk()
        desk.create("recordings")
        for number, value in enumerate(tags):
            desk.put(f"n/{number:03}", tags=(("all", "1"), ("kind", value)) if value else ())
        every = find_blobs(desk.state.blobs, ACCOUNT, query, desk.now, container="recordings", limit=999)
        wanted = [one.name for one in every.items]
        at, seen, steps = "o", [], 0
        while True:
            before = listing.find_before(
                desk.state.blobs, ACCOUNT, query, desk.now,
                container="recordings", low="n", start=at, limit=limit,
            )  # fmt: skip
            if before is None:
                break
            page = find_blobs(
                desk.state.blobs, ACCOUNT, query, desk.now,
                container="recordings", start=("recordings", before), limit=limit,
            )  # fmt: skip
            names = [one.name for one in page.items if one.name < at]
            assert before < at
            assert look < 5_000 or len(names) == limit or before == "n"
            seen[:0] = names
            at, steps = before, steps + 1
            assert steps <= len(tags) + 1
        assert seen == wanted


@pytest.mark.parametrize("word", ["range", "value"])
def test_a_find_takes_few_instructions_for_each_tag(desk: BlobDesk, word: str) -> None:
    """A page examines thousands of blobs of ten tags each, in one step."""
    wanted = TagRange.between("1", "1" if word == "value" else "2")
    query = TagQuery({f"t{at}": wanted for at in range(10)})
    blobs, now = desk.state.blobs, desk.now
    cost: list[int] = []
    for count in (50, 100):
        for number in range(count - 50, count):
            desk.put(f"{number:03}", tags=tuple((f"t{at}", "1") for at in range(10)))
        cost.append(steps(lambda: lambda: find_blobs(blobs, ACCOUNT, query, now, limit=5_000)))
    assert (cost[1] - cost[0]) / (50 * 10) < 45, cost
