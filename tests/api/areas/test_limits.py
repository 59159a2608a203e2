"""Every limit of a form at exactly its size: that much is taken, and one byte, key or digit more is not."""

from __future__ import annotations

import pytest

from tests.kit.areas import STORAGE, URLENCODED, FilePart, areas_client


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
@pytest.mark.parametrize("kind", ["text", "coded text", "file", "keys", "urlencoded keys", "key", "request"])
async def test_a_limit_at_exactly_its_size(kind: str, more: int, status: int) -> None:
    limits = {"max_text_bytes": 2000, "max_value_bytes": 3000, "max_keys": 5, "max_key_bytes": 40}
    async with areas_client(max_request_bytes=4096, **limits) as client:
        match kind:
            case "text":
                answer = await client.post_multipart("/60", [("k", "v" * (2000 + more))])
            case "coded text":
                body = b"k=" + b"v" * (2000 + more)
                answer = await client.send("POST", f"{STORAGE}/60", [URLENCODED], body)
            case "file":
                answer = await client.post_multipart("/60", [("f", FilePart(bytes(3000 + more)))])
            case "keys":
                answer = await client.post_multipart("/60", [(f"k{n}", "v") for n in range(5 + more)])
            case "coded keys":
                body = b"&".join(b"k%d=v" % n for n in range(5 + more))
                answer = await client.send("POST", f"{STORAGE}/60", [URLENCODED], body)
            case "key":
                answer = await client.post_multipart("/60", [("k" * (40 + more), "v")])
            case _:
                body = b"k=v&" + b"&" * 3 + b"l=" + b"%41" * 1362 + b"x" * (1 + more)
                assert len(body) == 4096 + more
                answer = await client.send("POST", f"{STORAGE}/60", [URLENCODED], body)
        assert answer.status == status, answer.text
