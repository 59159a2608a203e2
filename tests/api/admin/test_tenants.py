"""Accounts and their keys: where they come from, how they change, and where they are never found."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from retain.api.admin.tenants import Tenants, encoded
from retain.api.config.load import ConfigError, TenantConfig
from retain.engine import Conflict, Invalid, NotFound
from retain.journal import Disk, RealDisk
from retain.journal.testing.memory import MemoryDisk

KEY = base64.b64encode(bytes(range(64))).decode()


class Entropy:
    def __init__(self) -> None:
        self._next = 0

    def __call__(self, size: int) -> bytes:
        self._next += 1
        return self._next.to_bytes(size, "big")


def tenants(disk: Disk, *configured: TenantConfig, entropy: Entropy | None = None) -> Tenants:
    found = Tenants(disk, configured, entropy or Entropy())
    found.load()
    return found


def test_an_account_has_two_keys_that_survive_a_restart() -> None:
    disk = MemoryDisk()
    first = tenants(disk)
    first.add("mytenant")
    keys = first.keys_of("mytenant")
    assert keys is not None
    assert len(set(keys)) == 2
    assert all(len(key) == 64 for key in keys)
    assert tenants(disk).keys_of("mytenant") == keys


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    tenants(RealDisk(tmp_path / "data")).add("mytenant")
    file = tmp_path / "data" / "accounts" / "mytenant"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_fixed_key_stands_in_the_configuration_only() -> None:
    disk = MemoryDisk()
    found = tenants(disk, TenantConfig(name="devstoreaccount1", key=KEY))
    assert found.keys_of("devstoreaccount1") == (bytes(range(64)),)
    assert not disk.exists("accounts")
    for action in (lambda: found.rotate("devstoreaccount1", 1), lambda: found.remove("devstoreaccount1")):
        with pytest.raises(Conflict):
            action()


def test_two_fixed_keys_are_both_good_and_stay_fixed() -> None:
    disk = MemoryDisk()
    second = base64.b64encode(bytes(32)).decode()
    found = tenants(disk, TenantConfig(name="devstoreaccount1", key=KEY, second_key=second))
    assert found.keys_of("devstoreaccount1") == (bytes(range(64)), bytes(32))
    assert not disk.exists("accounts")
    with pytest.raises(Conflict):
        found.rotate("devstoreaccount1", 2)


def test_a_configured_tenant_without_a_key_gets_a_file_once() -> None:
    disk, entropy = MemoryDisk(), Entropy()
    configured = TenantConfig(name="mytenant")
    keys = tenants(disk, configured, entropy=entropy).keys_of("mytenant")
    again = tenants(disk, configured, entropy=entropy)
    assert again.keys_of("mytenant") == keys
    with pytest.raises(Conflict) as refused:
        again.remove("mytenant")
    assert refused.value.reason == "configured"


@pytest.mark.parametrize("key", [1, 2])
def test_rotating_replaces_one_key(key: int) -> None:
    found = tenants(MemoryDisk())
    found.add("mytenant")
    before = found.required("mytenant")
    found.rotate("mytenant", key)
    after = found.required("mytenant")
    assert [old == new for old, new in zip(before, after, strict=True)] == [key == 2, key == 1]


@pytest.mark.parametrize("name", ["Upper", "ab", "a/b", "..", "console", "genesys", "", "a" * 25])
def test_names_are_those_of_accounts(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        tenants(MemoryDisk()).add(name)
    assert refused.value.reason == "account-name"


def test_adding_twice_and_touching_the_unknown_is_refused() -> None:
    found = tenants(MemoryDisk())
    found.add("mytenant")
    with pytest.raises(Conflict):
        found.add("mytenant")
    with pytest.raises(Invalid):
        found.rotate("mytenant", 3)
    for action in (lambda: found.rotate("other", 1), lambda: found.remove("other")):
        with pytest.raises(NotFound):
            action()
    assert found.keys_of("other") is None


def test_removing_forgets_the_keys() -> None:
    disk = MemoryDisk()
    found = tenants(disk)
    found.add("mytenant")
    found.remove("mytenant")
    assert found.names() == tenants(disk).names() == ()


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"key1": "?", "key2": ""}', b'{"key1": 1, "key2": 2}', b"\xff"]
)
def test_a_damaged_key_file_stops_the_start(text: bytes) -> None:
    disk = MemoryDisk()
    disk.make_folder("accounts")
    disk.write_atomic("accounts/mytenant", text)
    with pytest.raises(Invalid) as refused:
        tenants(disk)
    assert refused.value.reason == "key-file"


def test_a_file_that_is_no_account_is_passed_over() -> None:
    disk = MemoryDisk()
    disk.make_folder("accounts")
    disk.write_atomic("accounts/README.txt", b"hello")
    assert tenants(disk).names() == ()


@pytest.mark.parametrize("key", ["?", "YQ=="])
def test_a_fixed_key_that_is_none_stops_the_start(key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        tenants(MemoryDisk(), TenantConfig(name="mytenant", key=key))
    assert key not in str(refused.value)
    with pytest.raises(ConfigError, match="second_key") as refused:
        tenants(MemoryDisk(), TenantConfig(name="mytenant", key=KEY, second_key=key))
    assert key not in str(refused.value)


def test_a_second_key_alone_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="second_key") as refused:
        tenants(MemoryDisk(), TenantConfig(name="mytenant", second_key=KEY))
    assert KEY not in str(refused.value)


def test_files_hold_what_clients_want() -> None:
    disk = MemoryDisk()
    found = tenants(disk)
    found.add("mytenant")
    stored = json.loads(disk.read("accounts/mytenant"))
    assert [stored["key1"], stored["key2"]] == [encoded(key) for key in found.required("mytenant")]
