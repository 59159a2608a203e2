"""azure-storage-blob checks content on its way, by MD5 and CRC-64, with both of its clients.

Whole and in parts, with several workers and a progress hook: the cases of the SDK's own tests of large blobs
and of content validation, which run against the service only.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from inspect import isawaitable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings

from tests.kit.site import AT_ONCE, Site

CONTENT = random.Random(11).randbytes(300_001)
PART = 1 << 16
LARGE = 64 << 20
CRC64 = ("crc64", "auto")
CONTAINER = "checked"


@pytest.fixture(params=[False, True], ids=["sync", "aio"])
def is_async(request: pytest.FixtureRequest) -> bool:
    if request.param:
        pytest.importorskip("aiohttp", reason="the asynchronous client's transport is not installed")
    return bool(request.param)


@pytest.fixture(params=[True, "crc64"], ids=["md5", "crc64"])
def validate(request: pytest.FixtureRequest) -> bool | str:
    if request.param in CRC64:
        pytest.importorskip("azure.storage.extensions", reason="the client's own checksums are not installed")
    chosen: bool | str = request.param
    return chosen


async def done(result: Any) -> Any:
    """What a call of either client returns."""
    return await result if isawaitable(result) else result


async def pieces(download: Any) -> bytes:
    """The chunks of a download by either client."""
    found = download.chunks()
    return b"".join([piece async for piece in found] if hasattr(found, "__aiter__") else list(found))


@asynccontextmanager
async def service(site: Site, is_async: bool, **options: Any) -> AsyncIterator[Any]:
    """The emulator's account for either client. `options`: sizes of parts."""
    if not is_async:
        with BlobServiceClient.from_connection_string(
            site.connection_string, **{**AT_ONCE, **options}
        ) as made:
            yield made
        return
    from azure.storage.blob import aio

    async with aio.BlobServiceClient.from_connection_string(
        site.connection_string, **{**AT_ONCE, **options}
    ) as other:
        yield other


def with_service(
    site: Site, is_async: bool, act: Callable[[Any], Coroutine[Any, Any, None]], **options: Any
) -> None:
    """Run `act` with the container of these tests, by either client."""
    site.container(CONTAINER)

    async def run() -> None:
        async with service(site, is_async, **options) as made:
            await act(made.get_container_client(CONTAINER))

    asyncio.run(run())


class Seen:
    """Requests as they were sent: how the content of each was checked."""

    def __init__(self) -> None:
        self.checked: list[str] = []

    def __call__(self, request: Any) -> None:
        sent = {name.lower() for name in request.http_request.headers}
        if request.http_request.method == "PUT" and "comp=blocklist" not in request.http_request.url:
            kinds = {"content-md5", "x-ms-content-crc64", "x-ms-structured-body"} & sent
            self.checked.append(",".join(sorted(kinds)))


class Progress:
    """What a progress hook was told, from whichever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.told: list[tuple[int, int | None]] = []

    def __call__(self, current: int, total: int | None) -> None:
        with self._lock:
            self.told.append((current, total))

    async def of_async(self, current: int, total: int | None) -> None:
        """The asynchronous client's form of it."""
        self(current, total)

    def hook(self, is_async: bool) -> Any:
        """The hook for either client."""
        return self.of_async if is_async else self


def sources(is_text: bool) -> list[tuple[str, Any, bytes]]:
    """Each form of data that a client takes, with the bytes it stands for."""
    text = "你好 Häfen " * 10_000
    return [
        ("bytes", CONTENT, CONTENT),
        ("stream", BytesIO(CONTENT), CONTENT),
        *([("text", text, text.encode())] if is_text else []),
    ]


@pytest.mark.parametrize("validate", [True, "md5", "crc64", "auto"], ids=str, indirect=True)
@pytest.mark.parametrize("in_parts", [False, True], ids=["whole", "parts"])
def test_what_is_sent_is_checked_in_each_form(
    site: Site, is_async: bool, validate: bool | str, in_parts: bool
) -> None:
    async def act(container: Any) -> None:
        for name, data, content in sources(is_text=True):
            seen, progress = Seen(), Progress()
            blob = container.get_blob_client(f"sent/{name}")
            await done(
                blob.upload_blob(
                    data,
                    overwrite=True,
                    validate_content=validate,
                    max_concurrency=3,
                    raw_request_hook=seen,
                    progress_hook=progress.hook(is_async),
                )
            )
            parts = -(-len(content) // PART) if in_parts else 1
            assert len(seen.checked) == parts, name
            assert all(("crc64" in how or "structured" in how) for how in seen.checked) == (validate in CRC64)
            assert all("md5" in how for how in seen.checked) == (validate not in CRC64)
            assert max(progress.told) == (len(content), len(content))
            assert len(progress.told) == parts
            assert await done((await done(blob.download_blob())).readall()) == content

    sizes = {"max_single_put_size": PART, "max_block_size": PART} if in_parts else {}
    with_service(site, is_async, act, **sizes)


def test_what_is_received_is_checked_in_each_form(site: Site, is_async: bool, validate: bool | str) -> None:
    """Ranges that end anywhere, by several workers; the hook is told of each part."""

    async def act(container: Any) -> None:
        blob = container.get_blob_client("received")
        await done(blob.upload_blob(CONTENT, overwrite=True))
        for offset, length in ((None, None), (0, PART), (1, 2 * PART), (PART - 1, 3), (len(CONTENT) - 1, 1)):
            wanted = CONTENT if offset is None else CONTENT[offset : offset + (length or 0)]
            progress = Progress()
            download = await done(
                blob.download_blob(
                    offset=offset,
                    length=length,
                    validate_content=validate,
                    max_concurrency=3,
                    progress_hook=progress.hook(is_async),
                )
            )
            assert await done(download.readall()) == wanted
            assert max(progress.told) == (len(wanted), len(wanted))
            again = await done(blob.download_blob(offset=offset, length=length, validate_content=validate))
            assert await pieces(again) == wanted
            into = BytesIO()
            third = await done(blob.download_blob(offset=offset, length=length, validate_content=validate))
            assert await done(third.readinto(into)) == len(wanted)
            assert into.getvalue() == wanted

    with_service(site, is_async, act, max_single_get_size=PART, max_chunk_get_size=PART)


def test_blocks_by_hand_are_checked(site: Site, is_async: bool, validate: bool | str) -> None:
    """The answer to a block names what the server computed."""

    async def act(container: Any) -> None:
        blob = container.get_blob_client("by-hand")
        for number, (name, data, content) in enumerate(sources(is_text=False)):
            seen = Seen()
            answer = await done(
                blob.stage_block(
                    f"{number}", data, len(content), validate_content=validate, raw_request_hook=seen
                )
            )
            assert len(seen.checked) == 1
            assert seen.checked[0], name
            assert answer["request_id"]
            if validate in CRC64:
                assert answer["content_crc64"]
            else:
                assert bytes(answer["content_md5"]) == hashlib.md5(content).digest()
        await done(blob.commit_block_list([BlobBlock("0"), BlobBlock("1")]))
        assert (
            await done((await done(blob.download_blob(validate_content=validate))).readall()) == 2 * CONTENT
        )

    with_service(site, is_async, act)


def test_content_that_changes_on_its_way_is_refused_in_each_part(
    site: Site, is_async: bool, validate: bool | str
) -> None:
    wrong = base64.b64encode(bytes(8 if validate in CRC64 else 16)).decode()
    name = "x-ms-content-crc64" if validate in CRC64 else "Content-MD5"
    code = "Crc64Mismatch" if validate in CRC64 else "Md5Mismatch"

    def spoil(request: Any) -> None:
        headers = request.http_request.headers
        if name in headers:
            headers[name] = wrong

    async def act(container: Any) -> None:
        blob = container.get_blob_client("spoilt")
        for send in (
            lambda: blob.upload_blob(
                CONTENT, overwrite=True, validate_content=validate, raw_request_hook=spoil
            ),
            lambda: blob.stage_block("0", CONTENT, validate_content=validate, raw_request_hook=spoil),
        ):
            with pytest.raises(HttpResponseError) as caught:
                await done(send())
            assert (caught.value.status_code, caught.value.error_code) == (400, code)
        assert not await done(blob.exists())

    with_service(site, is_async, act)


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # the SDK's own choice
def test_a_large_file_goes_up_and_comes_down_checked(
    site: Site, is_async: bool, validate: bool | str, tmp_path: Path
) -> None:
    """With a length of its own, properties, and blocks of 2 MiB by several workers."""
    data = random.Random(5).randbytes(1 << 20) * (LARGE >> 20)
    (tmp_path / "large").write_bytes(data)
    length = LARGE - 301
    settings = ContentSettings(content_type="image/png", content_language="spanish")

    async def act(container: Any) -> None:
        blob, progress = container.get_blob_client("large"), Progress()
        with (tmp_path / "large").open("rb") as stream:
            await done(
                blob.upload_blob(
                    stream,
                    length=length,
                    overwrite=True,
                    validate_content=validate,
                    content_settings=settings,
                    max_concurrency=2,
                    progress_hook=progress.hook(is_async),
                )
            )
        assert (len(progress.told), max(progress.told)) == (32, (length, length))
        found = await done(blob.get_blob_properties())
        assert (found.size, found.content_settings.content_type) == (length, "image/png")
        assert found.content_settings.content_language == "spanish"
        download = await done(blob.download_blob(validate_content=validate, max_concurrency=2))
        assert await done(download.readall()) == memoryview(data)[:length]

    with_service(site, is_async, act, max_single_put_size=2 << 20, max_block_size=2 << 20)
