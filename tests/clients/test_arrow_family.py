"""obstore (object_store), opendal and pyarrow: writing, reading, listing, copying, renaming, deleting many.

All three delete in batches. They come with the extra `clients`; without it the tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import ContainerClient, PartialBatchErrorException

from retain.journal.disk.objects import ObjectDisk, StoredObjects
from retain.journal.errors import Corrupt
from retain.journal.payloads.store import PayloadStore
from tests.kit.site import EMULATOR_ACCOUNT, EMULATOR_KEY, Site

MANY = [f"many/{number:03}" for number in range(300)]
LARGE = bytes(range(256)) * 4096 * 9
"""9 MiB: clients send it in blocks."""


@pytest.fixture
def container(site: Site, request: pytest.FixtureRequest) -> Iterator[ContainerClient]:
    """A container of the test's own."""
    with site.container(request.node.name.replace("_", "-")[:60].strip("-")) as found:
        yield found
        found.delete_container()


def filled(container: ContainerClient, names: list[str]) -> list[str]:
    for name in names:
        container.upload_blob(name, name.encode(), overwrite=True)
    return names


def test_python_deletes_and_tiers_in_batches(site: Site, container: ContainerClient) -> None:
    filled(container, ["a b/ü", "b", "c"])
    answers = list(container.set_standard_blob_tier_blobs("Cool", "b", "c"))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert container.get_blob_client("b").get_blob_properties().blob_tier == "Cool"
    answers = list(container.delete_blobs("a b/ü", "b"))
    assert [answer.status_code for answer in answers] == [202, 202]
    with pytest.raises(PartialBatchErrorException) as caught:
        container.delete_blobs("none", "c")
    assert [part.status_code for part in caught.value.parts] == [404, 202]
    assert list(container.list_blob_names()) == []


def test_python_deletes_below_a_host_with_a_name(site: Site, container: ContainerClient) -> None:
    """There the paths inside the batch leave the account out."""
    filled(container, ["a", "b"])
    container._is_localhost = False
    assert [answer.status_code for answer in container.delete_blobs("a", "b")] == [202, 202]


def test_obstore(site: Site, container: ContainerClient) -> None:
    obstore = pytest.importorskip("obstore")
    store = obstore.store.AzureStore(
        container.container_name,
        account_name=EMULATOR_ACCOUNT,
        account_key=EMULATOR_KEY,
        endpoint=f"{site.server.url}/{EMULATOR_ACCOUNT}",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    obstore.put(store, "dir/small", b"small")
    obstore.put(store, "dir/large", LARGE, chunk_size=5 << 20)
    assert bytes(obstore.get(store, "dir/large").bytes()) == LARGE
    assert bytes(obstore.get_range(store, "dir/large", start=100, end=400)) == LARGE[100:400]
    obstore.copy(store, "dir/small", "dir/copy")
    obstore.rename(store, "dir/copy", "dir/renamed")
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.copy(store, "dir/small", "dir/renamed", overwrite=False)
    listed = [item["path"] for page in obstore.list(store, "dir") for item in page]
    assert listed == ["dir/large", "dir/renamed", "dir/small"]
    first = next(iter(obstore.list(store, offset="dir/large")))
    assert [item["path"] for item in first] == ["dir/renamed", "dir/small"]
    obstore.delete(store, listed)
    filled(container, MANY)
    obstore.delete(store, MANY)
    assert list(container.list_blob_names()) == []


def test_opendal(site: Site, container: ContainerClient) -> None:
    opendal = pytest.importorskip("opendal")
    operator = opendal.Operator(
        "azblob",
        container=container.container_name,
        endpoint=f"{site.server.url}/{EMULATOR_ACCOUNT}",
        account_name=EMULATOR_ACCOUNT,
        account_key=EMULATOR_KEY,
        root="/",
    )
    operator.write("dir/small", b"small")
    with operator.open("dir/large", "wb") as file:
        file.write(LARGE)
    assert bytes(operator.read("dir/large")) == LARGE
    with operator.open("dir/large", "rb") as file:
        file.seek(100)
        assert bytes(file.read(300)) == LARGE[100:400]
    operator.copy("dir/small", "dir/copy")
    assert {entry.path for entry in operator.list("dir/")} >= {"dir/large", "dir/copy", "dir/small"}
    operator.delete("dir/copy")
    filled(container, MANY)
    operator.remove_all("many/")
    operator.remove_all("dir/")
    assert list(container.list_blob_names()) == []


def arrow(site: Site) -> Any:
    fs = pytest.importorskip("pyarrow.fs")
    if not hasattr(fs, "AzureFileSystem"):
        pytest.skip("this pyarrow has no AzureFileSystem")
    authority = urlsplit(site.server.url).netloc
    return fs, fs.AzureFileSystem(
        account_name=EMULATOR_ACCOUNT,
        account_key=EMULATOR_KEY,
        blob_storage_authority=authority,
        dfs_storage_authority=authority,
        blob_storage_scheme="http",
        dfs_storage_scheme="http",
    )


def test_pyarrow(site: Site, container: ContainerClient) -> None:
    fs, system = arrow(site)
    base = container.container_name
    assert system.get_file_info(f"{base}/none").type is fs.FileType.NotFound
    system.create_dir(f"{base}/dir")
    for name, data in (("small", b"small"), ("large", LARGE)):
        with system.open_output_stream(f"{base}/dir/{name}") as stream:
            stream.write(data)
    with system.open_input_file(f"{base}/dir/large") as file:
        assert file.read_at(300, 100) == LARGE[100:400]
        assert file.read() == LARGE
    system.copy_file(f"{base}/dir/small", f"{base}/dir/copy")
    infos = system.get_file_info(fs.FileSelector(f"{base}/dir"))
    assert sorted(info.base_name for info in infos) == ["copy", "large", "small"]
    system.delete_file(f"{base}/dir/copy")
    filled(container, MANY)
    system.delete_dir_contents(f"{base}/many")
    system.delete_dir(f"{base}/many")
    system.delete_dir(f"{base}/dir")
    assert list(container.list_blob_names()) == []


def test_the_store_of_payloads_of_several_nodes(
    site: Site, container: ContainerClient, tmp_path: Path
) -> None:
    """What a node needs of Azure, asked of this server: the same calls, whatever answers them."""
    obstore = pytest.importorskip("obstore")
    store = obstore.store.AzureStore(
        container.container_name,
        prefix="payloads",
        account_name=EMULATOR_ACCOUNT,
        account_key=EMULATOR_KEY,
        endpoint=f"{site.server.url}/{EMULATOR_ACCOUNT}",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    disk = ObjectDisk(tmp_path / "n1", StoredObjects(store))
    other = PayloadStore(ObjectDisk(tmp_path / "n2", StoredObjects(store)))
    stage = PayloadStore(disk).stage()
    stage.write(LARGE)
    assert disk.payloads() == []
    payload = stage.seal()
    assert list(container.list_blob_names()) == [
        f"payloads/{payload.name[:2]}/{payload.name[2:4]}/{payload.name}"
    ]
    with other.open(payload) as reader:
        assert reader.read(0, len(LARGE)) == LARGE
        assert reader.read(len(LARGE) - 5, 9) == LARGE[-5:]
    assert other.names() == disk.payloads() == [payload.name]
    assert other.unlink(payload.name)
    with pytest.raises(Corrupt, match="missing"):
        PayloadStore(disk).open(payload)
    assert list(container.list_blob_names()) == []
