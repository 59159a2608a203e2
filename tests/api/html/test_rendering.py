"""The template environments."""

from __future__ import annotations

import jinja2
import pytest

from retain.api.html.rendering import environment


def test_a_second_application_compiles_no_template(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "retain.api.console"
    first = environment(name)
    names = [one for one in first.list_templates() if one.endswith(".html")]
    assert names
    for one in names:
        first.get_template(one)

    def compiled(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(jinja2.Environment, "compile", compiled)
    second = environment(name)
    for one in names:
        second.get_template(one)
