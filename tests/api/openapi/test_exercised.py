"""Every described operation is asked of a running server, and answers as described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from retain.api.openapi import NAMES
from tests.kit.server import Server, running

pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install -e '.[openapi]'")

from tests.kit.described import described, exercised, without_success

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
    assert list(without_success(exercise)) == []
    assert "unhandled exception" not in server.log()
