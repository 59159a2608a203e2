"""Every described operation is asked of a running server, and answers as described."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from retain.api.openapi import NAMES, document_of
from tests.kit.server import Server, running

pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install -e '.[openapi]'")

from tests.kit.described import Exercise, described, exercised, without_success

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("described")
    with running(folder, described(folder)) as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_succeeds_as_its_examples_say_and_answers_as_described(
    server: Server, name: str
) -> None:
    exercise = exercised(server, name, examples=1, number=14)
    paths = document_of(name, server.url)["paths"]
    described = {found["operationId"] for methods in paths.values() for found in methods.values()}
    assert {asked for asked, _ in exercise.statuses} == described
    assert list(without_success(exercise)) == []
    assert "unhandled exception" not in server.log()


def listing(server: Server, change: Callable[[dict[str, Any]], None]) -> None:
    """Ask for an area's keys, after a description that was changed."""
    made = deepcopy(document_of("areas", server.url))
    change(made)
    exercise = Exercise(server, "areas", made)
    try:
        (operation,) = (one for one in exercise.operations if one.definition.raw["operationId"] == "listArea")
        exercise.prepare(operation)
        exercise.hold(
            operation, exercise.sensible(operation), operation.Case(path_parameters={"idOrTtl": "x"})
        )
    finally:
        exercise.close()


def answers(made: dict[str, Any]) -> dict[str, Any]:
    """The answers of the listing in a description."""
    found: dict[str, Any] = made["paths"]["/genesys/1/storage/{idOrTtl}"]["get"]["responses"]
    return found


def test_the_description_as_it_is_holds(server: Server) -> None:
    listing(server, lambda made: None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda made: answers(made).pop("200"), "is not described"),
        (lambda made: answers(made)["200"]["headers"].pop("Pragma"), "the header Pragma"),
        (lambda made: answers(made)["200"].pop("content"), "a body is not described"),
        (lambda made: answers(made)["200"].update(content={"text/html": {}}), "Content-Type"),
        (
            lambda made: made["components"]["schemas"]["AreaListing"].update(required=["Other"]),
            "Other",
        ),
    ],
    ids=["status", "header", "body", "type", "shape"],
)
def test_what_is_not_described_is_noticed(
    server: Server, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    with pytest.raises(BaseException, match=words):
        listing(server, change)
