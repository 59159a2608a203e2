"""A node's configuration: complete, and of values that hold together."""

from __future__ import annotations

from pathlib import Path

import pytest

from retain.api.config.load import ConfigError, load

WHOLE = {
    "RETAIN_CLUSTER_LOG": "postgresql://retain:secret@db1,db2/retain",
    "RETAIN_CLUSTER_NAME": "n1",
    "RETAIN_CLUSTER_LINK": "10.0.0.1:8079",
    "RETAIN_CLUSTER_SECRET_FILE": "/etc/retain/cluster.secret",
    "RETAIN_STORAGE_PAYLOADS": "s3://recordings/payloads",
}


def test_a_node_needs_five_keys() -> None:
    config = load(None, WHOLE)
    assert (config.cluster.name, config.storage.payloads) == ("n1", "s3://recordings/payloads")
    assert "secret@" not in repr(config)


def test_the_others_reach_a_node_where_it_listens_unless_it_announces_another_address() -> None:
    assert load(None, WHOLE).cluster.address == "10.0.0.1:8079"
    behind = {
        **WHOLE,
        "RETAIN_CLUSTER_LINK": "0.0.0.0:8079",
        "RETAIN_CLUSTER_ANNOUNCE": "n1.example.com:18079",
    }
    assert load(None, behind).cluster.address == "n1.example.com:18079"


@pytest.mark.parametrize("missing", ["NAME", "LINK", "SECRET_FILE"])
def test_a_node_without_one_of_them_is_refused(missing: str) -> None:
    environ = {key: value for key, value in WHOLE.items() if key != f"RETAIN_CLUSTER_{missing}"}
    with pytest.raises(ConfigError, match=rf"cluster\.{missing.lower()}.*a node needs it"):
        load(None, environ)


def test_a_node_without_a_store_for_large_content_is_refused() -> None:
    environ = {key: value for key, value in WHOLE.items() if key != "RETAIN_STORAGE_PAYLOADS"}
    with pytest.raises(ConfigError, match=r"storage\.payloads.*needs a store that every node reaches"):
        load(None, environ)


def test_a_store_without_a_cluster_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"STORAGE_PAYLOADS.*cluster.log only"):
        load(None, {"RETAIN_STORAGE_PAYLOADS": "s3://recordings/payloads"})


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("CLUSTER_LOG", "mysql://db/retain", "postgresql://"),
        ("CLUSTER_NAME", "Node 1", "lower-case"),
        ("CLUSTER_LINK", "10.0.0.1:0", "needs a port"),
        ("CLUSTER_LINK", "0.0.0.0:8079", "cluster.announce: is missing"),
        ("CLUSTER_LINK", "[::]:8079", "cluster.announce: is missing"),
        ("CLUSTER_ANNOUNCE", "10.0.0.1", "must be host:port"),
        ("CLUSTER_ANNOUNCE", "10.0.0.1:0", "needs a port"),
        ("CLUSTER_ANNOUNCE", "0.0.0.0:8079", "not the address of a machine"),
        ("CLUSTER_GRANT_SECONDS", "3", "at most half of lease_seconds"),
        ("CLUSTER_KEEP_HOURS", "7", "a quarter of retention.erase_within_hours"),
        ("SERVER_WORKERS", "2", "add nodes instead"),
        ("STORAGE_PAYLOADS", "https://store/payloads", "must be s3://"),
        ("STORAGE_PAYLOADS", "file://relative", "must be s3://"),
    ],
)
def test_what_does_not_hold_together_is_refused(key: str, value: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(None, {**WHOLE, f"RETAIN_{key}": value})


def test_the_secret_file_of_a_configuration_file_starts_at_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "retain.toml"
    path.write_text('[cluster]\nsecret_file = "cluster.secret"\n')
    assert load(path, {}).cluster.secret_file == str(tmp_path / "cluster.secret")
