"""Every change is one that compiles, where it says it is, and none touches what has no behaviour."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.__main__ import TOP, Harmless, described, modules, sample
from tests.mutants.points import points_of

SOURCE = b'''"""A docstring is prose."""

from __future__ import annotations

from typing import Final, TypeVar

__all__ = ["rule"]
Value = TypeVar("Value")
LIMIT: Final[int] = 7


@decorated(order=True)
def rule(size: int = 3, *, strict: "bool" = False) -> None:
    "Also prose, \xc3\xa4."
    if size <= LIMIT and not strict:
        raise ValueError(f"too {size} small")
    check(size)
    assert size != 9
    return min(size + 1, 5) if size is None else "word"
'''


def found(tmp_path: Path, source: bytes) -> set[tuple[int, str, str, str]]:
    path = tmp_path / "module.py"
    path.write_bytes(source)
    return {
        (point.line, point.kind, point.before(source), point.after) for point in points_of(path, tmp_path)
    }


def test_each_place_is_found_and_what_has_no_behaviour_is_not(tmp_path: Path) -> None:
    assert found(tmp_path, SOURCE) == {
        (9, "number moved", "7", "8"),
        (13, "number moved", "3", "4"),
        (13, "truth turned", "False", "True"),
        (15, "check dropped", "size <= LIMIT and not strict", "False"),
        (15, "comparison", "<=", "<"),
        (15, "and/or", "and", "or"),
        (15, "not dropped", "not strict", "bool(strict)"),
        (17, "call dropped", "check(size)", "None"),
        (19, "call swapped", "min", "max"),
        (19, "arithmetic", "+", "-"),
        (19, "number moved", "1", "2"),
        (19, "number moved", "5", "6"),
        (19, "choice turned", "size is None", "(not (size is None))"),
        (19, "comparison", "is", "is not"),
        (19, "text changed", '"word"', "'word~'"),
    }


def test_a_change_is_the_only_one(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_bytes(SOURCE)
    for point in points_of(path, tmp_path):
        assert point.compiles(SOURCE)
        changed = point.changed(SOURCE).splitlines()
        different = [
            at
            for at, lines in enumerate(zip(changed, SOURCE.splitlines(), strict=True), 1)
            if lines[0] != lines[1]
        ]
        assert different == [point.line]


def test_comparisons_of_two_words_and_over_lines(tmp_path: Path) -> None:
    source = b"x = (a\n     not  in b) is  not (c) < (d)\n"
    assert found(tmp_path, source) == {
        (2, "comparison", "not  in", "in"),
        (2, "comparison", "is  not", "is"),
        (2, "comparison", "<", "<="),
    }


def test_what_was_judged_stands_in_the_product() -> None:
    """A judgement about a line that has gone would hide nothing, and nobody would notice."""
    points = [point for path in modules() for point in points_of(path, TOP)]
    harmless = Harmless()
    assert harmless.changes - set(map(described, points)) == set()
    meant = {harmless.constant_of(point, described(point).line) for point in points if point in harmless}
    assert harmless.constants - meant == set()


def test_of_a_constant_that_was_judged_only_the_exact_value_is_left_alone(tmp_path: Path) -> None:
    harmless = Harmless()
    harmless.constants = {("module.py", "AT_ONCE"), ("other.py", "_MINE")}
    source = b"AT_ONCE = 250\nx = n <= AT_ONCE\nx = n == AT_ONCE\nx = n + AT_ONCE\nAT_ONCES = 7\n_MINE = 3\n"
    path = tmp_path / "module.py"
    path.write_bytes(source)
    assert {
        (point.line, point.before(source))
        for point in points_of(path, tmp_path)
        if harmless.constant_of(point, source.decode().splitlines()[point.line - 1])
    } == {(1, "250"), (2, "<=")}


def test_of_letters_one_is_dropped_since_one_more_would_not_show(tmp_path: Path) -> None:
    source = b'PermissionRule("", "o", kind="cw"), frozenset("bqtf"), f("bqtf"), frozenset(a), "x" in "xy"\n'
    assert found(tmp_path, source) == {
        (1, "letter dropped", '"o"', "''"),
        (1, "text changed", '"cw"', "'cw~'"),
        (1, "letter dropped", '"bqtf"', "'bqt'"),
        (1, "text changed", '"bqtf"', "'bqtf~'"),
        (1, "text changed", '"x"', "'x~'"),
        (1, "text changed", '"xy"', "'xy~'"),
        (1, "comparison", "in", "not in"),
    }


def test_a_sample_is_the_same_for_the_same_seed_and_a_fifth_of_it_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_bytes(b"\n".join(b"x = ('a', a < b, c + d)" for _ in range(100)))
    every = points_of(path, tmp_path)
    chosen = sample(every, 50, 1)
    assert chosen == sample(every, 50, 1) != sample(every, 50, 2)
    assert [point.kind for point in chosen].count("text changed") == 10
    assert len(chosen) == len(set(chosen)) == 50
    assert sorted(sample(every, 10**6, 1)) == every


def test_keywords_that_change_no_result_are_left_alone(tmp_path: Path) -> None:
    source = b"md5(a, usedforsecurity=False), zip(a, b, strict=True), open(a, closefd=True)\n"
    assert found(tmp_path, source) == {(1, "truth turned", "True", "False")}


def test_names_of_encodings_are_left_alone(tmp_path: Path) -> None:
    """`"ascii~"` is the same encoding."""
    assert found(tmp_path, b'"x".encode("ascii"), "x".encode("utf-8")\n') == {
        (1, "text changed", '"x"', "'x~'"),
    }
