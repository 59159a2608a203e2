"""`retain node`: a cluster is begun once, its nodes are listed and forgotten, and what is wrong is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from retain.api.cli.main import main
from retain.engine.audit.backups import others
from retain.engine.nodes.files import SharedFiles
from retain.journal import BadTarget, RealDisk
from retain.journal.shared.interface import NodeReport, Shared
from tests.kit.postgres import Server

SECRET = "s" * 64


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    configure(tmp_path, "postgresql:///none?host=/none")
    return tmp_path


def configure(folder: Path, log: str) -> None:
    (folder / "retain.toml").write_text(f"""
        [storage]
        data = "data"
        payloads = "{(folder / "payloads").as_uri()}"
        [cluster]
        log = "{log}"
        name = "n1"
        link = "127.0.0.1:8079"
        secret_file = "secret"
        """)


@pytest.fixture
def shared(postgres_server: Server, folder: Path) -> Iterator[Shared]:
    """The shared log of the configuration."""
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'retain[cluster]'")
    from retain.journal.shared.postgres import PostgresShared

    configure(folder, postgres_server.url)
    with closing(PostgresShared(postgres_server.url)) as shared:
        yield shared


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_cluster_begins_on_a_folder_and_its_keys(shared: Shared, folder: Path) -> None:
    first = run("node", "init", "--json")
    assert (first.exit_code, json.loads(first.output)) == (0, {"record": 0, "files": 1, "payloads": 0})
    assert set(shared.kept()) == {"audit.key"}
    assert (folder / "data" / "audit.key").read_bytes() not in shared.kept()["audit.key"]
    assert run("node", "init").exit_code == 0, "repeated after a crash, it ends what it began"
    assert set(shared.kept()) == {"audit.key"}


def test_a_new_secret_takes_effect_where_the_cluster_is_begun_again(shared: Shared, folder: Path) -> None:
    assert run("node", "init").exit_code == 0
    before = shared.kept()["audit.key"]
    (folder / "secret").write_text(SECRET.swapcase())
    assert run("node", "init").exit_code == 0
    files = SharedFiles(RealDisk(folder / "data"), SECRET.swapcase().encode(), others)
    with pytest.raises(BadTarget, match="another secret"):
        files.load({"audit.key": before})
    files.load(shared.kept())


def test_another_folder_does_not_begin_a_second_one(shared: Shared, folder: Path) -> None:
    assert run("node", "init").exit_code == 0
    (folder / "data").rename(folder / "first")
    second = run("node", "init")
    assert second.exit_code == 1
    assert "shared log of another journal already" in second.output
    assert set(shared.kept()) == {"audit.key"}


def test_a_folder_in_use_begins_nothing(shared: Shared, folder: Path) -> None:
    disk = RealDisk(folder / "data")
    disk.lock()
    try:
        refused = run("node", "init")
    finally:
        disk.unlock()
    assert refused.exit_code == 3
    assert "stop it first" in refused.output


def test_nodes_are_listed_and_one_is_forgotten_by_a_server_only(
    shared: Shared, postgres_server: Server
) -> None:
    assert run("node", "init").exit_code == 0
    shared.take("n1", "10.0.0.1:8079", b"h" * 16, 600.0)
    shared.report(NodeReport("n2", "10.0.0.2:8079", "0.1.0", 0, 0))
    postgres_server.pass_time(61)
    shared.report(NodeReport("n1", "10.0.0.1:8079", "0.1.0", 7, 5))
    listed = run("node", "list")
    assert listed.exit_code == 0
    assert [line.split()[:5] for line in listed.output.splitlines()[1:]] == [
        ["n1", "leader", "7", "0", "5"],
        ["n2", "away", "0", "0", "0"],
    ]
    assert "61 s ago" in listed.output
    refused = run("node", "forget", "n2")
    assert (refused.exit_code, "its server does not run" in refused.output) == (1, True)
    assert [one.name for one in shared.nodes()] == ["n1", "n2"]


def test_a_list_without_a_leader_fails(shared: Shared) -> None:
    assert run("node", "init").exit_code == 0
    listed = run("node", "list", "--json")
    assert listed.exit_code == 1
    assert "no node leads" in listed.output


def test_a_database_without_a_cluster_says_how_to_begin_one(shared: Shared) -> None:
    refused = run("node", "list")
    assert refused.exit_code == 1
    assert "retain node init" in refused.output


def test_a_database_that_does_not_answer_is_told_to_the_supervisor() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'retain[cluster]'")
    refused = run("node", "list")
    assert refused.exit_code == 75
    assert "the shared log of the cluster cannot be used" in refused.output


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retain.journal.shared.postgres", None)
    refused = run("node", "list")
    assert refused.exit_code == 2
    assert "pip install 'retain[cluster]'" in refused.output


@pytest.mark.parametrize(
    ("secret", "mode", "why"),
    [("s" * 31, 0o600, "shorter than 32 bytes"), (SECRET, 0o640, "chmod 600")],
)
def test_a_secret_that_is_none_is_refused(folder: Path, secret: str, mode: int, why: str) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'retain[cluster]'")
    (folder / "secret").write_text(secret)
    (folder / "secret").chmod(mode)
    refused = run("node", "init")
    assert refused.exit_code == 2
    assert why in refused.output


@pytest.mark.parametrize(
    ("error", "why"),
    [(FileNotFoundError, "openssl rand -hex 32"), (PermissionError, "the user that runs Retain must own")],
)
def test_a_secret_that_cannot_be_read_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError], why: str
) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'retain[cluster]'")

    def read(path: Path) -> bytes:
        if path.name == "secret":
            raise error
        return read_bytes(path)

    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", read)
    refused = run("node", "init")
    assert refused.exit_code == 2
    assert why in refused.output


def test_a_server_that_stands_alone_has_no_nodes(folder: Path) -> None:
    (folder / "retain.toml").write_text("")
    refused = run("node", "list")
    assert refused.exit_code == 2
    assert "this server stands alone" in refused.output


def test_a_nodes_folder_is_changed_by_its_server_only() -> None:
    refused = run("tenant", "add", "acme")
    assert refused.exit_code == 1
    assert "belongs to a node of a cluster, and its server does not run" in refused.output


def test_a_cluster_whose_node_leads_is_not_begun_again(shared: Shared, folder: Path) -> None:
    """The keys of this folder may be older than those that the nodes have."""
    assert run("node", "init").exit_code == 0
    before = shared.kept()
    assert shared.take("n2", "10.0.0.2:8079", bytes(16), 600.0) is not None
    again = run("node", "init")
    assert again.exit_code == 1
    assert "node n2 leads the cluster already; to begin it again, stop all nodes" in again.output
    assert shared.kept() == before


def test_a_second_node_of_a_name_does_not_start(shared: Shared, folder: Path) -> None:
    assert run("node", "init").exit_code == 0
    shared.report(NodeReport("n1", "10.0.0.9:8079", "0.1.0", 0, 0))
    second = run("serve")
    assert second.exit_code == 2
    assert "cluster.name: is n1, and a node of that name" in second.output
    assert "10.0.0.9:8079" in second.output
    assert [one.url for one in shared.nodes()] == ["10.0.0.9:8079"], "it has not reported"


def test_the_doctor_finds_the_secret_of_another_cluster(shared: Shared, folder: Path) -> None:
    assert run("node", "init").exit_code == 0
    assert "another secret" not in run("doctor").output
    (folder / "secret").write_text(SECRET.swapcase())
    found = json.loads(run("doctor", "--json").output)
    assert "keeps audit.key encrypted with another secret than this node's" in json.dumps(found)


def test_a_node_whose_section_was_lost_is_not_told_to_go_on_alone(folder: Path) -> None:
    text = (folder / "retain.toml").read_text()
    (folder / "retain.toml").write_text(text.partition("[cluster]")[0])
    alone = run("serve")
    assert alone.exit_code == 2
    assert "give it the section [cluster] again" in alone.output
