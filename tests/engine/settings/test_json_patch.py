"""RFC 6902: its appendix, what goes wrong, and the `jsonpatch` library as a second opinion."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import jsonpointer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.core.errors import Conflict, EngineError, Invalid, PreconditionFailed, TooLarge
from retain.engine.settings.json_patch import STEPS_MAX, apply_steps, read_steps, work_for
from retain.engine.settings.value import same

APPENDIX_A: list[tuple[str, Any, Any, Any]] = [
    ("A.1", {"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ("A.2", {"foo": ["bar", "baz"]},
     [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ("A.3", {"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ("A.4", {"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    ("A.5", {"baz": "qux", "foo": "bar"},
     [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo", "foo": "bar"}),
    ("A.6", {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
     [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
     {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
    ("A.7", {"foo": ["all", "grass", "cows", "eat"]}, [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
     {"foo": ["all", "cows", "eat", "grass"]}),
    ("A.8", {"baz": "qux", "foo": ["a", 2, "c"]},
     [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
     {"baz": "qux", "foo": ["a", 2, "c"]}),
    ("A.9", {"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], PreconditionFailed),
    ("A.10", {"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
     {"foo": "bar", "child": {"grandchild": {}}}),
    ("A.11", {"foo": "bar"},
     [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    ("A.12", {"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], Conflict),
    ("A.14", {"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ("A.15", {"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], PreconditionFailed),
    ("A.16", {"foo": ["bar"]},
     [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}], {"foo": ["bar", ["abc", "def"]]}),
]  # fmt: skip


def run(
    document: Any, patch: Any, *, max_bytes: int = 10_000, max_depth: int = 64, work: int | None = None
) -> Any:
    work = work_for(len(json.dumps(patch))) if work is None else work
    return apply_steps(document, read_steps(patch), max_bytes=max_bytes, max_depth=max_depth, work=work)


@pytest.mark.parametrize(
    ("section", "document", "patch", "result"), APPENDIX_A, ids=lambda item: str(item)[:5]
)
def test_appendix_a(section: str, document: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy(document)
    if isinstance(result, type):
        with pytest.raises(result):
            run(document, patch)
    else:
        assert run(document, patch) == result
    assert document == before


@pytest.mark.parametrize(
    "patch",
    [
        {},
        "add",
        [1],
        [{}],
        [{"op": "spam", "path": "/a"}],
        [{"op": ["add"], "path": "/a"}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "value": 1}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": 1, "value": 1}],
        [{"op": "add", "path": "/~2", "value": 1}],
        [{"op": "add", "path": "/~", "value": 1}],
        [{"op": "move", "path": "/a"}],
        [{"op": "copy", "path": "/a", "from": 1}],
        [{"op": "test", "path": "/a", "value": 1}] * (STEPS_MAX + 1),
    ],
)
def test_what_is_no_patch(patch: Any) -> None:
    with pytest.raises(Invalid) as refused:
        run({"a": 1}, patch)
    assert refused.value.reason == "json-patch"


@pytest.mark.parametrize(
    "step",
    [
        {"op": "remove", "path": "/z"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "/z", "value": 1},
        {"op": "add", "path": "/l/4", "value": 1},
        {"op": "add", "path": "/l/01", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "add", "path": "/l/9999999999", "value": 1},
        {"op": "replace", "path": "/l/-", "value": 1},
        {"op": "remove", "path": "/l/-"},
        {"op": "add", "path": "/n/x", "value": 1},
        {"op": "move", "from": "/o", "path": "/o/p/q"},
        {"op": "copy", "from": "/z", "path": "/y"},
    ],
)
def test_a_target_that_does_not_exist(step: Any) -> None:
    with pytest.raises(Conflict) as refused:
        run({"l": [1, 2, 3], "n": 5, "o": {"p": {}}}, [step])
    assert refused.value.reason == "json-patch-target"


def test_values_in_arrays_are_changed() -> None:
    document = {"l": [1, {"x": 1}, 3]}
    steps = [
        {"op": "replace", "path": "/l/0", "value": 9},
        {"op": "add", "path": "/l/1/y", "value": 2},
        {"op": "remove", "path": "/l/2"},
    ]
    assert run(document, steps) == {"l": [9, {"x": 1, "y": 2}]}
    assert document == {"l": [1, {"x": 1}, 3]}


def test_a_test_tells_true_from_one() -> None:
    for stored, expected in [(1, True), (True, 1), (0, False), (None, False), ("1", 1)]:
        with pytest.raises(PreconditionFailed):
            run({"a": stored}, [{"op": "test", "path": "/a", "value": expected}])
    assert run({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}]) == {"a": 1}
    assert run({"a": {"x": 1, "y": 2}}, [{"op": "test", "path": "/a", "value": {"y": 2, "x": 1}}])


def test_copies_cannot_grow_without_bound() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(100)]
    with pytest.raises((TooLarge, Invalid)):
        run({"a": "x" * 100}, doubling)


def test_nesting_cannot_grow_without_bound() -> None:
    with pytest.raises(Invalid):
        run({"a": {}}, [{"op": "add", "path": "/a" * (n + 1), "value": {}} for n in range(80)])


@pytest.mark.parametrize("op", ["add", "replace"])
def test_a_value_may_nest_as_deep_as_the_limit(op: str) -> None:
    step = {"op": op, "path": "/a", "value": {"b": {"c": 1}}}
    assert run({"a": 1}, [step], max_depth=3) == {"a": {"b": {"c": 1}}}
    with pytest.raises(Invalid) as refused:
        run({"a": 1}, [step], max_depth=2)
    assert refused.value.reason == "depth"


@pytest.mark.parametrize("op", ["copy", "move"])
def test_what_is_copied_or_moved_counts_with_its_own_depth(op: str) -> None:
    """However deep the rest of the document is."""
    deep = "/a/b/c/d/x"
    document = {"a": {"b": {"c": {"d": {}}}}, "flat": 1, "object": {}}
    assert run(document, [{"op": op, "from": "/flat", "path": deep}], max_depth=5)["a"]["b"]["c"]["d"] == {
        "x": 1
    }
    with pytest.raises(Invalid) as refused:
        run(document, [{"op": op, "from": "/object", "path": deep}], max_depth=5)
    assert refused.value.reason == "depth"
    assert run(document, [{"op": op, "from": "/object", "path": deep}], max_depth=6)


def test_all_or_nothing() -> None:
    document = {"a": 1}
    with pytest.raises(PreconditionFailed):
        run(document, [{"op": "add", "path": "/b", "value": 2}, {"op": "test", "path": "/a", "value": 9}])
    assert document == {"a": 1}


def test_the_whole_document_may_be_replaced_and_moved_onto_itself() -> None:
    assert run({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}]) == {"b": 2}
    assert run({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}]) == {"a": 1}
    assert run({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": ""}]) == 1


TOKENS = st.sampled_from(["a", "b", "l", "0", "1", "2", "-", "~0", "~1"])
POINTERS = st.lists(TOKENS, max_size=3).map(lambda tokens: "".join(f"/{token}" for token in tokens))
SMALL = st.recursive(
    st.integers(0, 2) | st.text("xy", max_size=1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abl"), inner, max_size=3),
    max_leaves=6,
)
STEPS = st.one_of(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "replace", "test"]), "path": POINTERS, "value": SMALL}
    ),
    st.fixed_dictionaries({"op": st.just("remove"), "path": POINTERS}),
    st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "path": POINTERS, "from": POINTERS}),
)


@given(st.dictionaries(st.sampled_from("abl"), SMALL, max_size=3), st.lists(STEPS, max_size=8))
def test_the_library_agrees(document: Any, patch: Any) -> None:
    before = copy.deepcopy((document, patch))
    try:
        ours = run(document, patch)
    except EngineError:
        return
    finally:
        assert (document, patch) == before
    try:
        theirs = jsonpatch.apply_patch(document, copy.deepcopy(patch))
    except (
        jsonpatch.JsonPatchException,
        jsonpointer.JsonPointerException,
        TypeError,
        KeyError,
        AttributeError,
    ):
        # It refuses some patches of a whole document, or of indexes, that the RFC allows.
        return
    assert same(ours, theirs)


def test_shifting_a_list_costs_a_little_and_not_its_square() -> None:
    """Removing from the front moves all others: 32 of them are one unit of work."""
    document, step = {"l": list(range(3200))}, {"op": "remove", "path": "/l/0"}
    assert len(run(document, [step] * 20, max_bytes=10**6, work=20 * (3200 // 32) + 4_000)["l"]) == 3180
    with pytest.raises(TooLarge):
        run(document, [step] * 20, max_bytes=10**6, work=10 * (3180 // 32))


@pytest.mark.parametrize(("size", "copies"), [(100, 1), (100, 3), (2, 7)])
def test_all_copies_of_a_patch_together_hold_what_a_document_may(size: int, copies: int) -> None:
    """Also where each is overwritten by the next, so that the document itself never grows."""
    document = {"from": "x" * (size - 2)}  # its text has two quotation marks
    patch = [{"op": "copy", "from": "/from", "path": "/to"}] * copies
    assert run(document, patch, max_bytes=size * copies, work=10**6)["to"] == document["from"]
    with pytest.raises(TooLarge) as caught:
        run(document, patch, max_bytes=size * copies - 1, work=10**6)
    assert caught.value.data == {"limit": size * copies - 1}


WIDE = {f"k{n}": n for n in range(400)}
LONG = {"l": list(range(3200))}
TEXT = {"t": "x" * 1598}


@pytest.mark.parametrize(
    ("document", "step", "work"),
    [
        pytest.param(WIDE, {"op": "replace", "path": "/k0", "value": 1}, 1 + 400 // 4, id="an object"),
        pytest.param(LONG, {"op": "replace", "path": "/l/0", "value": 1}, 1 + 1 + 3200 // 32, id="a list"),
        pytest.param(LONG, {"op": "remove", "path": "/l/0"}, 1 + 1 + 2 * 3200 // 32, id="shifted back"),
        pytest.param(LONG, {"op": "add", "path": "/l/0", "value": 1}, 1 + 1 + 2 * 3200 // 32, id="onwards"),
        pytest.param(LONG, {"op": "remove", "path": "/l/3199"}, 1 + 1 + 3200 // 32, id="the last"),
        pytest.param(LONG, {"op": "add", "path": "/l/-", "value": 1}, 1 + 1 + 3200 // 32, id="behind it"),
        pytest.param(TEXT, {"op": "copy", "from": "/t", "path": "/u"}, 1 + 1600 // 16, id="a text"),
    ],
)
def test_each_step_costs_what_it_copies_and_shifts(document: Any, step: Any, work: int) -> None:
    """Members copied, elements copied or shifted, bytes measured: an exact amount, and not one less."""
    run(document, [step], work=work)
    with pytest.raises(TooLarge):
        run(document, [step], work=work - 1)
