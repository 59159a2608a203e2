"""Arguments that an action does not take are refused by their name, whatever they are."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from retain.api.admin.actions import Administration
from retain.api.admin.control import _run
from retain.api.config.load import Config
from retain.engine.core.typed import wrong_argument
from retain.engine.testing import open_memory_engine
from tests.kit.engines import LightOptions

TARGET = {"kind": "blob", "resource": "00" * 16, "names": ["a", "b", "c"], "subject": ""}
NONSENSE: list[Any] = [
    None, True, -1, 1 << 80, 0.5, "", "x", "\ud800", "\0", [], [[]], ["x"], [{}], [None], {}, {"x": []},
    {**TARGET, "names": ["a", [], "c"]}, {**TARGET, "kind": []}, [{**TARGET, "names": [1, 2, 3]}],
    [{**TARGET, "kind": "document", "names": ["a", "x", "", ""]}],
    [{**TARGET, "kind": "area", "names": [[], "x"]}],
    [{"level": [], "value": {}}], [{"level": "device", "device": [], "user": 1, "value": {}}],
]  # fmt: skip
FITTING: dict[str, Any] = {
    **dict.fromkeys(("dry_run", "now", "names", "more", "bodies", "with_keys", "revoke_existing"), False),
    **{name: [] for name in ("documents", "ended", "records", "resources", "roles", "containers")},
    "targets": [TARGET],
    "target": TARGET,
    "key": 1,
    "days": 1,
    "timezone": "UTC",
    "expiry": "2060-01-01",
    "ids": None,
    "base": None,
    "start": None,
    "folder": "/",
    "ordered_by": None,
}
"""What an action takes where it takes no text."""


async def asked(actions: Mapping[str, Any], action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    line = json.dumps({"action": action, "arguments": arguments}).encode()
    answer: dict[str, Any] = json.loads(await _run(actions, line))
    return answer


async def test_no_argument_of_any_action_makes_an_error_of_the_servers(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.ERROR, "retain.control")
    async with open_memory_engine(options=LightOptions()) as engine:
        actions = (await Administration.open(engine, Config())).actions()
        for action, function in actions.items():
            names = set(inspect.signature(function).parameters)
            fitting = {name: FITTING.get(name, "x") for name in names}
            for name in names:
                assert wrong_argument(function, fitting) is None
                for value in NONSENSE:
                    answer = await asked(actions, action, {**fitting, name: value})
                    assert answer.get("refused", {}).get("code") != "fault", (
                        action,
                        name,
                        value,
                        caplog.text,
                    )


async def test_an_argument_is_refused_by_its_name() -> None:
    async with open_memory_engine(options=LightOptions()) as engine:
        actions = (await Administration.open(engine, Config())).actions()
        for arguments, words in (
            ({"actor": "a", "name": "x", "colour": 1}, "has no argument 'colour'"),
            ({"actor": "a"}, "needs the argument 'name'"),
            ({"actor": "a", "name": 3}, "takes no such value for its argument 'name': it must be str"),
        ):
            refused = (await asked(actions, "tenant show", arguments))["refused"]
            assert refused["message"] == f"the action 'tenant show' {words}"
            assert (refused["reason"], refused["code"]) == ("argument", "invalid")


def test_a_default_may_be_left_out() -> None:
    def action(*, name: str, days: int | None = None) -> None: ...

    assert wrong_argument(action, {"name": "x"}) is None
    assert wrong_argument(action, {"name": "x", "days": None}) is None
    assert wrong_argument(action, {"name": "x", "days": True}) is not None
