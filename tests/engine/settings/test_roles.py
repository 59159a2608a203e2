"""Role lists as data: who is permitted, which lists are none, and how a path finds either spelling."""

from __future__ import annotations

from typing import Any

import pytest

from retain.engine.core.errors import Invalid
from retain.engine.settings.model import METADATA, Asker
from retain.engine.settings.roles import (
    Right,
    as_stored,
    bare,
    check_metadata,
    permits,
    required,
    without_metadata,
)

R, NOBODY, ADMIN = Asker("r", frozenset({"R"})), Asker("n"), Asker("a", admin=True)


@pytest.mark.parametrize(
    ("metadata", "read", "write"),
    [
        ({}, None, None),
        ({"other": ["R"]}, None, None),
        ({"readRoles": []}, None, None),
        ({"readRoles": ["R"]}, {"R"}, None),
        ({"ReadRoles": ["R", "S"], "WRITEROLES": ["W"]}, {"R", "S"}, {"W"}),
        ({"readRoles": ["R"], "ReadRoles": ["S"]}, {"R", "S"}, None),
        ({"readRoles": [], "ReadRoles": ["S"]}, {"S"}, None),
        ({"readRoles": ["R", 1, None]}, {"R"}, None),
        ({"readRoles": [1]}, set(), None),
        ({"readRoles": "R", "writeRoles": ["W"]}, set(), {"W"}),
        ({"readRoles": "R", "ReadRoles": ["R"]}, set(), None),
        ({"readRoles": None}, set(), None),
        ([], set(), set()),
        (None, set(), set()),
        ("R", set(), set()),
    ],
)
def test_the_roles_of_which_one_is_needed(
    metadata: Any, read: set[str] | None, write: set[str] | None
) -> None:
    """What is no list of names grants nothing; an import may have brought it."""
    assert (required(metadata, Right.READ), required(metadata, Right.WRITE)) == (read, write)
    configuration = {METADATA: metadata}
    for right, roles in ((Right.READ, read), (Right.WRITE, write)):
        assert permits(configuration, right, R) == (roles is None or "R" in roles)
        assert permits(configuration, right, NOBODY) == (roles is None)
        assert permits(configuration, right, ADMIN)


@pytest.mark.parametrize("configuration", [{}, {"a": 1}, 5, None, [METADATA], METADATA])
def test_what_has_no_lists_is_open(configuration: Any) -> None:
    assert permits(configuration, Right.READ, NOBODY)
    assert permits(configuration, Right.WRITE, NOBODY)
    assert bare(configuration) is configuration


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"other": "anything"},
        {"readRoles": []},
        {"readRoles": ["x" * 255], "WriteRoles": ["w"]},
        {"readRoles": [f"r{number}" for number in range(1000)]},
    ],
)
def test_lists_that_may_be_set(metadata: Any) -> None:
    check_metadata(metadata)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        [],
        "R",
        {"readRoles": "R"},
        {"writeRoles": None},
        {"readRoles": ["x" * 256]},
        {"readRoles": [""]},
        {"WRITEROLES": [1]},
        {"readRoles": [f"r{number}" for number in range(1001)]},
        {"readRoles": [], "READROLES": []},
    ],
)
def test_lists_that_may_not(metadata: Any) -> None:
    with pytest.raises(Invalid) as caught:
        check_metadata(metadata)
    assert caught.value.reason == "metadata"


STORED = {"c": {METADATA: {"ReadRoles": ["R"], "other": 1}, "v": 1}, "d": 5, "e": {METADATA: 7}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("c", METADATA, "readroles"), ("c", METADATA, "ReadRoles")),
        (("c", METADATA, "READROLES", "0"), ("c", METADATA, "ReadRoles", "0")),
        (("c", METADATA, "ReadRoles"), ("c", METADATA, "ReadRoles")),
        (("c", METADATA, "writeroles"), ("c", METADATA, "writeroles")),
        (("c", METADATA, "OTHER"), ("c", METADATA, "OTHER")),
        (("c", "v", "readroles"), ("c", "v", "readroles")),
        (("c", METADATA), ("c", METADATA)),
        (("d", METADATA, "readroles"), ("d", METADATA, "readroles")),
        (("e", METADATA, "readroles"), ("e", METADATA, "readroles")),
        (("none", METADATA, "readroles"), ("none", METADATA, "readroles")),
    ],
)
def test_a_path_finds_a_list_as_it_is_spelled(path: tuple[str, ...], found: tuple[str, ...]) -> None:
    assert as_stored(STORED, path) == found
    assert as_stored(None, path) == path


def test_role_lists_are_left_out_of_what_is_merged() -> None:
    assert without_metadata(STORED) == {"c": {"v": 1}, "d": 5, "e": {}}
