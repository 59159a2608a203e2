"""The interface on a real server: curl as users type it, many clients with files, cut uploads, a restart."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kit.areas import STORAGE, FilePart, multipart, multipart_type
from tests.kit.crash import SCALE
from tests.kit.server import Server, running

CLIENTS = 16
AREAS = 2_000 * SCALE
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("areas")) as started:
        yield started


def curl(*arguments: str) -> bytes:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    return subprocess.run([program, "-sS", *arguments], capture_output=True, check=True, timeout=60).stdout


def resident(server: Server) -> int:
    """Bytes of memory the server's process holds."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("needs /proc")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def test_a_session_with_curl(server: Server, tmp_path: Path):
    base = server.url + STORAGE
    picture = tmp_path / "MyPic.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3000)
    form = ["-F", "Key1=Value1", "-F", f"FileKey=@{picture};type=image/png"]
    name = json.loads(curl(*form, f"{base}/3600"))["id"]
    assert curl("-d", "Key1=Value6", "--data-urlencode", "Key2=a&b ü", f"{base}/{name}/3600") == b"{}"
    listing = json.loads(curl(f"{base}/{name}"))
    assert listing == {"Key1": "Value6", "Key2": "a&b ü", "FileKey": f"{base}/binary/{name}/FileKey"}
    assert curl(f"{base}/{name}/Key1") == b"Value6"
    assert curl(listing["FileKey"]) == picture.read_bytes()
    assert curl("-r", "0-7", listing["FileKey"]) == b"\x89PNG\r\n\x1a\n"
    assert curl("-C", "1000", listing["FileKey"]) == picture.read_bytes()[1000:]
    head = curl("-I", listing["FileKey"]).decode()
    assert "Content-Type: image/png\r\n" in head
    assert "Cache-Control: no-cache, no-store\r\n" in head
    assert curl("-X", "DELETE", f"{base}//{name}") == b"{}"
    assert json.loads(curl(f"{base}/{name}"))["message"]
    user = ["-H", "gms_user: ann"]
    assert json.loads(curl(*user, "-d", "k=v", f"{base}/custom/basket/60")) == {"id": "basket"}
    assert curl(*user, f"{base}/basket/k") == b"v"
    assert b"NotFound" in curl(f"{base}/basket/k")
    assert curl("-H", "Transfer-Encoding: chunked", *form, f"{base}/60").startswith(b'{"id"')
    assert curl(f"{server.url}/genesys/1/admin/node/status") == b"ONLINE"
    assert b"<!doctype html>" in curl(f"{server.url}/genesys/resources/storagetest.html")
    path = "/genesys/1/storage/%2e%2e%2f%2e%2e%2fetc%2fpasswd"
    assert b"NotFound" in curl("--path-as-is", server.url + path)
    assert b"NotFound" in curl("--path-as-is", f"{base}/../../../etc/passwd")


@pytest.mark.slow
def test_thousands_of_areas_with_files_from_sixteen_clients(server: Server):
    def body(number: int) -> bytes:
        return hashlib.sha256(str(number).encode()).digest() * (1 + number % 60)

    def post(client: int) -> list[tuple[int, str]]:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=120)
        headers = dict([multipart_type()])
        made = []
        for number in range(client, AREAS, CLIENTS):
            form = multipart([("n", str(number)), ("f", FilePart(body(number), "f.bin", "image/png"))])
            connection.request("POST", f"{STORAGE}/3600", form, headers)
            answer = connection.getresponse()
            assert answer.status == 200
            made.append((number, json.loads(answer.read())["id"]))
        connection.close()
        return made

    def read(made: list[tuple[int, str]]) -> int:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=120)
        for number, name in made:
            connection.request("GET", f"{STORAGE}/binary/{name}/f")
            answer = connection.getresponse()
            assert answer.read() == body(number)
        connection.close()
        return len(made)

    with ThreadPoolExecutor(CLIENTS) as clients:
        made = list(clients.map(post, range(CLIENTS)))
        assert len({name for part in made for _, name in part}) == AREAS
        assert sum(clients.map(read, [*made[1:], made[0]])) == AREAS


def large_form(size: int) -> tuple[bytes, bytes]:
    """What stands before and after a file of ``size`` bytes."""
    form = multipart([("f", FilePart(b"|", "big.bin", "video/mp4"))])
    before, _, after = form.rpartition(b"|")
    head = (
        f"POST {STORAGE}/3600 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
        f"{': '.join(multipart_type())}\r\nContent-Length: {len(before) + size + len(after)}\r\n\r\n"
    )
    return head.encode() + before, after


@pytest.mark.slow
def test_a_large_file_costs_no_memory_and_comes_back_whole(server: Server):
    size = 256 * MEBIBYTE
    before, after = large_form(size)
    chunk = hashlib.sha512(b"seed").digest() * (MEBIBYTE // 64)
    start = resident(server)
    with socket.create_connection((server.host, server.port), timeout=60) as connection:
        connection.sendall(before)
        peak = start
        for _ in range(size // MEBIBYTE):
            connection.sendall(chunk)
            peak = max(peak, resident(server))
        connection.sendall(after)
        answer = connection.makefile("rb").read()
    name = json.loads(answer.partition(b"\r\n\r\n")[2])["id"]
    assert peak - start < 64 * MEBIBYTE
    digest, expected = hashlib.sha256(), hashlib.sha256()
    reading = http.client.HTTPConnection(server.host, server.port, timeout=60)
    reading.request("GET", f"{STORAGE}/binary/{name}/f")
    download = reading.getresponse()
    assert download.headers["Content-Length"] == str(size)
    while data := download.read(MEBIBYTE):
        digest.update(data)
        expected.update(chunk[: len(data)])
        peak = max(peak, resident(server))
    reading.close()
    assert digest.digest() == expected.digest()
    assert peak - start < 64 * MEBIBYTE


def test_a_folded_content_type_of_an_old_client(server: Server):
    form = multipart([("k", "v")])
    kind = multipart_type()[1].replace("; ", ";\r\n ")
    head = (
        f"POST {STORAGE}/60 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(form)}\r\n\r\n"
    )
    with socket.create_connection((server.host, server.port), timeout=120) as connection:
        connection.sendall(head.encode() + form)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200")


def payload_files(server: Server) -> set[str]:
    return {path.name for path in (server.data / "payloads").rglob("*") if path.is_file()}


def test_an_upload_cut_off_leaves_no_file(server: Server):
    known = payload_files(server)
    before, _ = large_form(64 * MEBIBYTE)
    with socket.create_connection((server.host, server.port), timeout=120) as connection:
        connection.sendall(before + bytes(4 * MEBIBYTE))
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert not answer.startswith(b"HTTP/1.1 2")
    deadline = time.monotonic() + 60
    while not payload_files(server) <= known:
        assert time.monotonic() < deadline, "the stage of the cut upload is still there"
        curl(f"{server.url}/healthz")


def test_a_body_over_the_limit_is_refused_before_it_is_sent(server: Server):
    before, _ = large_form(20 << 40)
    with socket.create_connection((server.host, server.port), timeout=120) as connection:
        connection.sendall(before)
        answer = connection.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413")
    assert set(json.loads(body)) == {"exception", "message"}


def test_what_was_stored_survives_a_stop_and_a_kill(tmp_path: Path):
    with running(tmp_path) as first:
        name = json.loads(curl("-F", "k=v", "-F", "f=@-", f"{first.url}{STORAGE}/3600"))["id"]
        assert first.stop() == 0
    with running(tmp_path) as second:
        assert curl(f"{second.url}{STORAGE}/{name}/k") == b"v"
        custom = f"{second.url}{STORAGE}/custom/x/60"
        assert curl("-H", "gms_user: u", "-d", "k=w", custom) == b'{"id":"x"}'
        second.kill()
    with running(tmp_path) as third:
        assert curl("-H", "gms_user: u", f"{third.url}{STORAGE}/x/k") == b"w"
        assert curl(f"{third.url}{STORAGE}/{name}/k") == b"v"
