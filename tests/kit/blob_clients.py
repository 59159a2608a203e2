"""Third-party clients of the blob interface, each behind the same few actions on one container."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import fromstring

import pytest
from azure.storage.blob import BlobSasPermissions, ResourceTypes, generate_account_sas, generate_blob_sas

from tests.kit.site import EMULATOR_ACCOUNT, EMULATOR_KEY, Site

BLOCK = 1 << 20
"""Clients that let a caller choose send blocks of this many bytes."""

HOST_SUFFIX = ".blob.core.example.org"
"""One that the server knows, so that it answers URLs with the account in their host as well."""

JS_FOLDER = Path(__file__).parents[1] / "clients" / "js"


class Client(ABC):
    """One client and what it does to the blobs of a container. Skips the test where it is not installed."""

    NAME: ClassVar[str]
    PRESIGNS: ClassVar[bool] = True
    PRESIGNS_ANY_NAME: ClassVar[bool] = True

    def __init__(self, site: Site, container: str) -> None:
        self.site = site
        self.container = container
        self.account_url = f"{site.server.url}/{EMULATOR_ACCOUNT}"
        self.connect()

    @abstractmethod
    def connect(self) -> None:
        """Create the client's objects."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a blob, whatever is there; in blocks if it is larger than one."""

    @abstractmethod
    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        """Read `count` bytes of a blob from `start` on, or all that follow."""

    @abstractmethod
    def list(self, folder: str) -> list[str]:
        """List the names below a folder."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy a blob on the server."""

    @abstractmethod
    def delete(self, names: Sequence[str]) -> None:
        """Delete many blobs in the client's best way."""

    def rename(self, source: str, target: str) -> None:
        """Rename a blob; by copy and deletion in clients without a rename."""
        self.copy(source, target)
        self.delete([source])

    def presign(self, name: str) -> str:
        """Return a URL with which anybody reads a blob for a while."""
        raise NotImplementedError


class Python(Client):
    """azure-storage-blob."""

    NAME = "python"

    def connect(self) -> None:
        self._container = self.site.container(self.container, max_single_put_size=BLOCK, max_block_size=BLOCK)

    def write(self, name: str, data: bytes) -> None:
        self._container.upload_blob(name, data, overwrite=True)

    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        return bytes(self._container.download_blob(name, offset=start, length=count).readall())

    def list(self, folder: str) -> list[str]:
        return [str(name) for name in self._container.list_blob_names(name_starts_with=f"{folder}/")]

    def copy(self, source: str, target: str) -> None:
        url = self._container.get_blob_client(source).url
        self._container.get_blob_client(target).start_copy_from_url(url)

    def delete(self, names: Sequence[str]) -> None:
        for at in range(0, len(names), 256):
            self._container.delete_blobs(*names[at : at + 256])

    def presign(self, name: str) -> str:
        token = generate_blob_sas(
            EMULATOR_ACCOUNT,
            self.container,
            name,
            account_key=EMULATOR_KEY,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(minutes=10),
        )
        return f"{self._container.get_blob_client(name).url}?{token}"


class Obstore(Client):
    """obstore: object_store of Rust, so also what Polars, DataFusion and delta-rs send.

    It signs the name as the URL has it, with its escapes, where Azure documents the decoded one.
    """

    NAME = "obstore"
    PRESIGNS_ANY_NAME = False

    def connect(self) -> None:
        self._module: Any = pytest.importorskip("obstore")
        self._store = self._module.store.AzureStore(
            self.container,
            account_name=EMULATOR_ACCOUNT,
            account_key=EMULATOR_KEY,
            endpoint=self.account_url,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def write(self, name: str, data: bytes) -> None:
        self._module.put(self._store, name, data, use_multipart=len(data) > BLOCK, chunk_size=BLOCK)

    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        if count is None:
            return bytes(self._module.get(self._store, name).bytes())[start:]
        return bytes(self._module.get_range(self._store, name, start=start, length=count))

    def list(self, folder: str) -> list[str]:
        return [str(item["path"]) for page in self._module.list(self._store, folder) for item in page]

    def copy(self, source: str, target: str) -> None:
        self._module.copy(self._store, source, target)

    def rename(self, source: str, target: str) -> None:
        self._module.rename(self._store, source, target)

    def delete(self, names: Sequence[str]) -> None:
        self._module.delete(self._store, [*names])

    def presign(self, name: str) -> str:
        return str(self._module.sign(self._store, "GET", name, timedelta(minutes=10)))


class Opendal(Client):
    """Apache OpenDAL's azblob service. It signs for URLs that have the account in their host only."""

    NAME = "opendal"

    def connect(self) -> None:
        self._module: Any = pytest.importorskip("opendal")
        self._options = {
            "container": self.container,
            "endpoint": self.account_url,
            "account_name": EMULATOR_ACCOUNT,
            "account_key": EMULATOR_KEY,
            "root": "/",
        }
        self._operator = self._module.Operator("azblob", **self._options)

    def write(self, name: str, data: bytes) -> None:
        if len(data) <= BLOCK:
            self._operator.write(name, data)
            return
        with self._operator.open(name, "wb", chunk=BLOCK) as file:
            file.write(data)

    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        with self._operator.open(name, "rb") as file:
            file.seek(start)
            if count is None:
                return bytes(file.read())
            data = b""
            while len(data) < count and (more := bytes(file.read(count - len(data)))):
                data += more
            return data

    def list(self, folder: str) -> list[str]:
        found = (entry.path for entry in self._operator.list(f"{folder}/", recursive=True))
        return [path for path in found if not path.endswith("/")]

    def copy(self, source: str, target: str) -> None:
        self._operator.copy(source, target)

    def delete(self, names: Sequence[str]) -> None:
        if len(names) == 1:
            self._operator.delete(names[0])
            return
        (folder,) = {name.rpartition("/")[0] for name in names}
        self._operator.remove_all(f"{folder}/")

    def presign(self, name: str) -> str:
        async def sign() -> str:
            options = {**self._options, "endpoint": f"http://{EMULATOR_ACCOUNT}{HOST_SUFFIX}"}
            operator = self._module.AsyncOperator("azblob", **options)
            return str((await operator.presign_read(name, 600)).url)

        return asyncio.run(sign())


class Arrow(Client):
    """pyarrow's AzureFileSystem: Arrow's C++ client.

    It signs no URLs, moves nothing in a flat account, and leaves a blob `dir/` where a folder became empty.
    """

    NAME = "pyarrow"
    PRESIGNS = False

    def connect(self) -> None:
        self._fs: Any = pytest.importorskip("pyarrow.fs")
        if not hasattr(self._fs, "AzureFileSystem"):
            pytest.skip("this pyarrow has no AzureFileSystem")
        authority = urlsplit(self.account_url).netloc
        self._system = self._fs.AzureFileSystem(
            account_name=EMULATOR_ACCOUNT,
            account_key=EMULATOR_KEY,
            blob_storage_authority=authority,
            dfs_storage_authority=authority,
            blob_storage_scheme="http",
            dfs_storage_scheme="http",
        )

    def write(self, name: str, data: bytes) -> None:
        with self._system.open_output_stream(f"{self.container}/{name}") as stream:
            stream.write(data)

    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        with self._system.open_input_file(f"{self.container}/{name}") as file:
            return bytes(file.read_at(file.size() - start if count is None else count, start))

    def list(self, folder: str) -> list[str]:
        selector = self._fs.FileSelector(f"{self.container}/{folder}", recursive=True)
        infos = [info for info in self._system.get_file_info(selector) if info.is_file]
        return [str(info.path).removeprefix(f"{self.container}/") for info in infos]

    def copy(self, source: str, target: str) -> None:
        self._system.copy_file(f"{self.container}/{source}", f"{self.container}/{target}")

    def delete(self, names: Sequence[str]) -> None:
        if len(names) == 1:
            self._system.delete_file(f"{self.container}/{names[0]}")
            return
        (folder,) = {name.rpartition("/")[0] for name in names}
        self._system.delete_dir_contents(f"{self.container}/{folder}")


class Adlfs(Client):
    """adlfs, what fsspec, pandas and Dask use."""

    NAME = "adlfs"

    def connect(self) -> None:
        module: Any = pytest.importorskip("adlfs")
        self._system = module.AzureBlobFileSystem(
            connection_string=self.site.connection_string,
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def write(self, name: str, data: bytes) -> None:
        with self._system.open(f"{self.container}/{name}", "wb", block_size=BLOCK) as file:
            file.write(data)

    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        end = None if count is None else start + count
        return bytes(self._system.cat_file(f"{self.container}/{name}", start=start or None, end=end))

    def list(self, folder: str) -> list[str]:
        return [
            path.removeprefix(f"{self.container}/")
            for path in self._system.find(f"{self.container}/{folder}")
        ]

    def copy(self, source: str, target: str) -> None:
        self._system.cp_file(f"{self.container}/{source}", f"{self.container}/{target}")

    def rename(self, source: str, target: str) -> None:
        self._system.mv(f"{self.container}/{source}", f"{self.container}/{target}")

    def delete(self, names: Sequence[str]) -> None:
        self._system.rm([f"{self.container}/{name}" for name in names])

    def presign(self, name: str) -> str:
        return str(self._system.url(f"{self.container}/{name}", expires=600))


class Command(Client):
    """A program that is started for each action."""

    PROGRAM: ClassVar[str]

    def connect(self) -> None:
        if shutil.which(self.PROGRAM) is None:
            pytest.skip(f"{self.PROGRAM} is not installed")

    def run(self, *arguments: str, data: bytes = b"", environment: dict[str, str] | None = None) -> bytes:
        """Run the program; return what it prints. Raises AssertionError with its errors if it fails."""
        done = subprocess.run(
            [self.PROGRAM, *arguments],
            input=data,
            env=environment,
            capture_output=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout


class WithToken(Command):
    """A program that is given a token for the account."""

    def connect(self) -> None:
        super().connect()
        self._token = generate_account_sas(
            EMULATOR_ACCOUNT,
            EMULATOR_KEY,
            resource_types=ResourceTypes(service=True, container=True, object=True),
            permission="rwdlac",
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )


class Rclone(WithToken):
    """rclone's azureblob. Debian's signs no URLs."""

    NAME = PROGRAM = "rclone"
    PRESIGNS = False

    def _run(self, *arguments: str, data: bytes = b"") -> bytes:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_OURS_TYPE": "azureblob",
            "RCLONE_CONFIG_OURS_SAS_URL": f"{self.account_url}?{self._token}",
            "RCLONE_CONFIG_OURS_CHUNK_SIZE": f"{BLOCK}B",
        }
        once = ("--retries", "1", "--low-level-retries", "1", "--streaming-upload-cutoff", "0")
        return self.run(*once, *arguments, data=data, environment=environment)

    def _at(self, name: str) -> str:
        return f"ours:{self.container}/{name}"

    def write(self, name: str, data: bytes) -> None:
        self._run("rcat", self._at(name), data=data)

    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        return self._run(
            "cat", self._at(name), "--offset", str(start), "--count", str(-1 if count is None else count)
        )

    def list(self, folder: str) -> list[str]:
        found = self._run("lsf", "-R", "--files-only", self._at(folder)).decode().splitlines()
        return [f"{folder}/{name}" for name in found]

    def copy(self, source: str, target: str) -> None:
        self._run("copyto", self._at(source), self._at(target))

    def rename(self, source: str, target: str) -> None:
        self._run("moveto", self._at(source), self._at(target))

    def delete(self, names: Sequence[str]) -> None:
        (folder,) = {name.rpartition("/")[0] for name in names}
        lines = "\n".join(name.removeprefix(f"{folder}/") for name in names).encode()
        self._run("delete", self._at(folder), "--files-from-raw", "-", data=lines)


class JavaScript(Command):
    """@azure/storage-blob under Node."""

    NAME, PROGRAM = "javascript", "node"

    def connect(self) -> None:
        super().connect()
        if not (JS_FOLDER / "node_modules" / "@azure" / "storage-blob").exists():
            pytest.skip("npm install --prefix tests/clients/js has not been run")

    def _run(self, *arguments: str, data: bytes = b"") -> bytes:
        script = str(JS_FOLDER / "client.mjs")
        return self.run(script, self.site.connection_string, self.container, *arguments, data=data)

    def write(self, name: str, data: bytes) -> None:
        self._run("write", name, data=data)

    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        return self._run("read", name, str(start), *([] if count is None else [str(count)]))

    def list(self, folder: str) -> list[str]:
        names: list[str] = json.loads(self._run("list", f"{folder}/"))
        return names

    def copy(self, source: str, target: str) -> None:
        self._run("copy", source, target)

    def rename(self, source: str, target: str) -> None:
        self._run("rename", source, target)

    def delete(self, names: Sequence[str]) -> None:
        self._run("delete", data=json.dumps([*names]).encode())

    def presign(self, name: str) -> str:
        return self._run("presign", name).decode()


class Curl(WithToken):
    """curl, as a script uses it. A token is no signed URL for one blob: the test makes one with the SDK."""

    NAME = PROGRAM = "curl"

    def _url(self, name: str, query: str = "") -> str:
        return f"{self.account_url}/{self.container}/{quote(name)}?{query}{'&' if query else ''}{self._token}"

    def _curl(self, *arguments: str, data: bytes = b"") -> bytes:
        return self.run("--silent", "--show-error", "--fail-with-body", *arguments, data=data)

    def _put(self, url: str, data: bytes, *headers: str) -> None:
        sent = [part for header in headers for part in ("-H", header)]
        self._curl("-X", "PUT", "--data-binary", "@-", "-H", "Content-Type:", *sent, url, data=data)

    def write(self, name: str, data: bytes) -> None:
        if len(data) <= BLOCK:
            self._put(self._url(name), data, "x-ms-blob-type: BlockBlob")
            return
        ids = []
        for at in range(0, len(data), BLOCK):
            ids.append(base64.b64encode(b"%020d" % at).decode())
            self._put(self._url(name, f"comp=block&blockid={quote(ids[-1], safe='')}"), data[at : at + BLOCK])
        blocks = "".join(f"<Latest>{block}</Latest>" for block in ids)
        self._put(self._url(name, "comp=blocklist"), f"<BlockList>{blocks}</BlockList>".encode())

    def read(self, name: str, start: int = 0, count: int | None = None) -> bytes:
        part = f"{start}-{'' if count is None else start + count - 1}"
        return self._curl(*([] if part == "0-" else ["--range", part]), self._url(name))

    def list(self, folder: str) -> list[str]:
        query = f"restype=container&comp=list&prefix={quote(folder, safe='')}/&{self._token}"
        page = fromstring(self._curl(f"{self.account_url}/{self.container}?{query}"))
        return [name.text or "" for name in page.iterfind("Blobs/Blob/Name")]

    def copy(self, source: str, target: str) -> None:
        self._put(self._url(target), b"", f"x-ms-copy-source: {self._url(source)}")

    def delete(self, names: Sequence[str]) -> None:
        urls = "".join(f'url = "{self._url(name)}"\n' for name in names)
        self._curl("-X", "DELETE", "--config", "-", data=urls.encode())

    def presign(self, name: str) -> str:
        return Python(self.site, self.container).presign(name)


CLIENTS: tuple[type[Client], ...] = (
    Python,
    Obstore,
    Opendal,
    Arrow,
    Adlfs,
    Rclone,
    JavaScript,
    Curl,
)
