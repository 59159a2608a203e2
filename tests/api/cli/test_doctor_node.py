"""`retain doctor` at a node of a cluster finds what a start would refuse or warn of, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from retain.api.cli.checkup import ERROR, FINE, WARNING
from retain.api.cli.main import FAILED, main
from retain.journal.shared.interface import NodeReport
from tests.kit.postgres import Server

SETTINGS = """
[storage]
data = "data"
payloads = "{payloads}"
[cluster]
log = "{log}"
name = "n1"
link = "127.0.0.1:8079"
secret_file = "secret"
"""
ABOUT_NODES = ("cluster secret", "PostgreSQL", "shared log", "payload store")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'retain[cluster]'")
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'retain[cluster]'")
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("s" * 64)
    secret.chmod(0o600)
    return tmp_path


def configure(folder: Path, log: str) -> None:
    text = SETTINGS.format(log=log, payloads=(folder / "payloads").as_uri())
    (folder / "retain.toml").write_text(text)


def looked() -> dict[str, list[dict[str, Any]]]:
    """Return the findings about the cluster by subject."""
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == FAILED, result.output
    found: dict[str, list[dict[str, Any]]] = {subject: [] for subject in ABOUT_NODES}
    for one in json.loads(result.stdout)["findings"]:
        found.setdefault(one["subject"], []).append(one)
        assert one["advice"] or one["level"] not in (WARNING, ERROR), one
    return {subject: found[subject] for subject in ABOUT_NODES}


def only(rows: list[dict[str, Any]], words: str) -> dict[str, Any]:
    (row,) = [row for row in rows if words in row["found"]]
    return row


@contextmanager
def moved(path: Path) -> Iterator[None]:
    """Take a folder away, as a file system that is not mounted."""
    away = path.with_name("away")
    path.rename(away)
    yield
    assert not path.exists(), "looking makes no folder"
    away.rename(path)


def test_all_that_a_start_demands_of_postgresql_and_the_store_is_found(
    postgres_server: Server, folder: Path
) -> None:
    configure(folder, postgres_server.url)
    found = looked()
    assert "retain node init" in found["shared log"][0]["advice"]
    assert found["payload store"][0]["level"] == ERROR
    assert "mount its file system" in found["payload store"][0]["advice"]
    assert not (folder / "payloads").exists()

    assert CliRunner().invoke(main, ["node", "init"]).exit_code == 0
    postgres_server.configure(log_statement="mod")
    try:
        found = looked()
    finally:
        postgres_server.configure(log_statement="none")
    server = found["PostgreSQL"]
    assert server[0]["level"] == FINE
    refused = only(server, "writes statements with their parameters")
    assert (refused["level"], "log_parameter_max_length = 0" in refused["advice"]) == (ERROR, True)
    lonely = only(server, "no synchronous standby")
    assert (lonely["level"], "synchronous_standby_names" in lonely["advice"]) == (WARNING, True)
    kept = only(server, "keeps old WAL (wal_keep_size 64 MB")
    assert (kept["level"], "wal_keep_size = 0" in kept["advice"]) == (WARNING, True)
    assert "parameters to its log" in found["shared log"][0]["found"], "as a start says it"

    found = looked()
    assert only(found["shared log"], "ends with record 0; no node leads")["level"] == FINE
    assert found["payload store"][0]["level"] == FINE
    with moved(folder / "payloads"):
        assert "there is no folder" in looked()["payload store"][0]["found"]
    (folder / "payloads" / "retain-cluster").write_text("0" * 32)
    assert "(of another one)" in looked()["payload store"][0]["found"]
    (folder / "payloads" / "retain-cluster").unlink()
    assert "every machine must reach it" in looked()["payload store"][0]["advice"]


def test_a_folder_of_another_journal_is_found(postgres_server: Server, folder: Path) -> None:
    configure(folder, postgres_server.url)
    assert CliRunner().invoke(main, ["node", "init"]).exit_code == 0
    (folder / "data").rename(folder / "first")
    (folder / "retain.toml").rename(folder / "node.toml")
    added = CliRunner().invoke(main, ["tenant", "add", "acme", "--data", "data"])
    assert added.exit_code == 0, added.output
    (folder / "node.toml").rename(folder / "retain.toml")
    assert only(looked()["shared log"], "another journal")["advice"] == "check the addresses of both"


def test_a_database_that_does_not_answer_and_an_open_secret_are_found(folder: Path) -> None:
    configure(folder, "postgresql:///none?host=/nowhere")
    (folder / "secret").chmod(0o640)
    (folder / "payloads").mkdir()
    found = looked()
    assert found["cluster secret"][0]["advice"] == "chmod 600 it"
    assert "/nowhere" in found["shared log"][0]["found"]
    assert found["payload store"][0]["level"] == WARNING
    assert found["PostgreSQL"] == []


def sound() -> Any:
    """Return what a server reports that nothing is wrong with."""
    from retain.journal.shared.postgres.demands import Server as Reported

    return Reported(
        fsync="on",
        full_page_writes="on",
        synchronous_commit="on",
        client_min_messages="warning",
        standbys="ANY 1 (db2)",
        stuck=0,
        statements="none",
        slow=-1,
        sampled=-1,
        transactions=0.0,
        parameters=-1,
        recycles="off",
        checksums="on",
        retained=0,
        slots=0,
        role="retain",
        superuser=False,
        signals=False,
        switches=True,
        checkpoints=True,
    )


@pytest.mark.parametrize(
    ("wrong", "level", "found", "advice"),
    [
        ({"fsync": "off"}, ERROR, "fsync = off", "set fsync = on"),
        ({"full_page_writes": "off"}, ERROR, "a power cut would lose", "restart PostgreSQL"),
        ({"synchronous_commit": "off"}, ERROR, "a pooler", "connect to PostgreSQL itself"),
        ({"superuser": True, "signals": True}, ERROR, "is a superuser", "CREATE ROLE retain"),
        ({"signals": True}, ERROR, "may end other sessions", "REVOKE pg_signal_backend FROM retain"),
        ({"slow": 0}, ERROR, "contents included", "log_parameter_max_length = 0"),
        ({"stuck": 1}, WARNING, "none confirms them", "start the standby"),
        ({"standbys": ""}, WARNING, "no synchronous standby", "synchronous_standby_names"),
        ({"checksums": "off"}, WARNING, "no data checksums", "pg_checksums --enable"),
        ({"checkpoints": False}, WARNING, "erased contents stay", "GRANT pg_checkpoint TO retain"),
        ({"recycles": "on"}, WARNING, "reuses old WAL files", "wal_recycle = off"),
        ({"slots": 2}, WARNING, "2 unused replication slots", "pg_drop_replication_slot"),
    ],
)
def test_each_demand_has_words_and_a_next_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], level: str, found: str, advice: str
) -> None:
    from retain.journal.shared.postgres import demands, survey

    def answered(url: str) -> survey.ServerSurvey:
        reported = sound()._replace(**wrong)
        return survey.ServerSurvey("15.18", list(demands.refusals(reported)), demands.warn(reported))

    monkeypatch.setattr(survey, "survey", answered)
    configure(folder, "postgresql:///none?host=/nowhere")
    fine, one = looked()["PostgreSQL"]
    assert (fine["level"], fine["found"]) == (FINE, "PostgreSQL 15.18 answers")
    assert (one["level"], found in one["found"], advice in one["advice"]) == (level, True, True)


def test_a_server_that_nothing_is_wrong_with_has_no_finding() -> None:
    from retain.journal.shared.postgres import demands

    assert (list(demands.refusals(sound())), demands.warn(sound())) == ([], [])


def test_more_copies_than_nodes_are_found(postgres_server: Server, folder: Path) -> None:
    """No segment would ever be in so many folders, and PostgreSQL would keep what was erased."""
    configure(folder, postgres_server.url)
    assert CliRunner().invoke(main, ["node", "init"]).exit_code == 0
    (folder / "secret").chmod(0o640)  # so that there is an error in any case
    found = only(looked()["shared log"], "cluster.copies is 2")
    assert "and 0 nodes ever reported" in found["found"]
    from retain.journal.shared.postgres import PostgresShared

    with closing(PostgresShared(postgres_server.url)) as shared:
        for name in ("n1", "n2"):
            shared.report(NodeReport(name, name, "0.1.0", 0, 0))
    assert not [one for one in looked()["shared log"] if "cluster.copies" in one["found"]]
