"""Every limit of a write at exactly its size: that much is taken, and one more is not."""

from __future__ import annotations

import json

import pytest

from tests.kit.settings import ROOT, settings_client


@pytest.mark.parametrize(("more", "status"), [(0, 201), (1, 413)])
async def test_a_body_of_exactly_its_limit(more: int, status: int) -> None:
    async with settings_client(max_body_bytes=100) as client:
        body = json.dumps({"x": "y" * (90 + more)}, separators=(",", ":")).encode() + b" " * 2
        assert len(body) == 100 + more
        headers = [("Content-Type", "application/json")]
        answer = await client.send("POST", f"{ROOT}/app/currentuser/c", headers, body)
        assert answer.status == status


@pytest.mark.parametrize(("more", "status"), [(0, 201), (1, 507)])
async def test_a_document_of_exactly_its_limit(more: int, status: int) -> None:
    async with settings_client(max_document_bytes=64) as client:
        value = "y" * (64 - len('{"c":{"x":""}}') + more)
        answer = await client.call("POST", "currentuser/c", {"x": value})
        assert answer.status == status


@pytest.mark.parametrize(("more", "status"), [(0, 201), (1, 400)])
async def test_a_depth_of_exactly_its_limit(more: int, status: int) -> None:
    async with settings_client(max_depth=5) as client:
        value: object = 1
        for _ in range(4 + more):
            value = {"d": value}
        assert (await client.call("POST", "currentuser/c", value)).status == status


@pytest.mark.parametrize("path", ["currentuser", "currentuser/c", "currentuser/c/x"])
@pytest.mark.parametrize(("more", "status"), [(0, 204), (1, 400)])
async def test_no_step_of_a_patch_goes_deeper_than_the_limit(path: str, more: int, status: int) -> None:
    """Not even where a later step takes it back; the path of the patch counts."""
    async with settings_client(max_depth=6) as client:
        assert (await client.call("POST", "currentuser/c", {"x": {}})).status == 201
        deepest = 5 - path.count("/") + more
        steps = [{"op": "add", "path": "/d" * depth, "value": {}} for depth in range(1, deepest + 1)]
        steps.append({"op": "remove", "path": "/d"})
        answer = await client.call(
            "PATCH", path, steps, headers=[("Content-Type", "application/json-patch+json")]
        )
        assert answer.status == status


@pytest.mark.parametrize(("more", "status"), [(0, 201), (1, 413)])
async def test_a_name_of_exactly_its_limit(more: int, status: int) -> None:
    async with settings_client(max_name_bytes=32) as client:
        assert (await client.call("POST", f"currentuser/{'n' * (32 + more)}", {})).status == status
