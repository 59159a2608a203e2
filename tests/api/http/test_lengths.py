"""Lengths that a client declares: of up to 19 digits a number, of more none."""

from __future__ import annotations

import pytest

from retain.api.http.message import BadRequest
from tests.kit.requests import make_request


@pytest.mark.parametrize("text", ["0", "1", "9" * 18, "9" * 19, "0" * 18 + "7"])
def test_a_length_of_up_to_19_digits_is_a_number(text: str) -> None:
    assert make_request("POST", headers=[("Content-Length", text)]).body.declared == int(text)


@pytest.mark.parametrize("text", ["9" * 20, "1" * 400, "", "-1", "+1", "1e3", "1 1", "1,1", "\xb2", "0x10"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        make_request("POST", headers=[("Content-Length", text)])
