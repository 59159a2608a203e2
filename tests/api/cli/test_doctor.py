"""`retain doctor`: each thing that is wrong is found, with what to do, and nothing is changed by looking."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient, RetentionPolicy
from click.testing import CliRunner

from retain.api.cli import checkup
from retain.api.cli.checkup import ERROR, FINE, NOTE, WARNING
from retain.api.cli.main import DONE, FAILED, main
from retain.api.config.load import Config, ServerConfig
from retain.engine.core.clock import EARLIEST, SystemClock, is_synchronized
from retain.engine.core.time import DAY
from tests.kit.certificates import certified
from tests.kit.server import Server, running


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    assert CliRunner().invoke(main, ["tenant", "add", "mytenant", "--data", str(folder)]).exit_code == DONE
    return folder


def looked(*arguments: str, exit_code: int = DONE) -> dict[str, list[dict[str, Any]]]:
    """Return the findings by subject."""
    result = CliRunner().invoke(main, ["doctor", "--json", *arguments])
    assert result.exit_code == exit_code, result.output
    answer = json.loads(result.stdout)
    assert answer["healthy"] == (exit_code == DONE)
    found: dict[str, list[dict[str, Any]]] = {}
    for one in answer["findings"]:
        found.setdefault(one["subject"], []).append(one)
        assert one["advice"] or one["level"] in (FINE, NOTE), one
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_without_a_server_is_fine_and_stays_as_it_is(data: Path) -> None:
    before = contents(data)
    found = looked("--data", str(data))
    assert contents(data) == before
    assert found["server"][0]["level"] == NOTE
    assert found["configuration"][0]["found"].startswith("no file")
    for subject in ("data folder", "keys", "disk space", "disk speed", "journal", "descriptors"):
        assert found[subject][0]["level"] == FINE, found[subject]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert looked("--data", "typo")["data folder"][0]["level"] == NOTE
    assert list(tmp_path.iterdir()) == []


def test_open_modes_are_found(data: Path) -> None:
    data.chmod(0o755)
    key = data / "accounts" / "mytenant"
    key.chmod(0o644)
    found = looked("--data", str(data), exit_code=FAILED)
    assert (found["data folder"][0]["level"], found["keys"][0]["level"]) == (WARNING, ERROR)
    assert found["data folder"][0]["advice"] == f"chmod 700 {data}"
    assert str(key) in found["keys"][0]["advice"]


def test_the_mode_of_what_a_link_among_the_accounts_leads_to_is_nobodys_advice(
    data: Path, tmp_path: Path
) -> None:
    (tmp_path / "foreign").write_text("another's")
    (tmp_path / "foreign").chmod(0o644)
    (data / "accounts" / "another").symlink_to(tmp_path / "foreign")
    found = looked("--data", str(data), exit_code=DONE)
    assert [one["level"] for one in found["keys"]] == [FINE]


def test_a_damaged_journal_is_found(data: Path) -> None:
    segment = min((data / "journal").iterdir())
    written = bytearray(segment.read_bytes())
    written[8:40] = bytes(32)
    segment.write_bytes(written)
    (journal,) = looked("--data", str(data), exit_code=FAILED)["journal"]
    assert journal["level"] == ERROR
    assert "retain audit verify" in journal["advice"]


def test_a_bad_configuration_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retain.toml").write_text("[server]\nbnd = 'x'\n")
    (configuration,) = looked(exit_code=FAILED)["configuration"]
    assert "server.bnd" in configuration["found"]


def test_an_old_name_and_variables_are_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("retain.toml").write_text("[areas]\nsweep_interval = 2.0\n")
    monkeypatch.setenv("RETAIN_LOG_LEVEL", "error")
    for foreign in ("RETAIN_SERVICE_HOST", "RETAIN_PORT", "RETAIN_VERSION", "RETAIN_SERVER_PORT_80_TCP_ADDR"):
        monkeypatch.setenv(foreign, "10.0.0.1")
    first, second = looked("--data", str(data), exit_code=FAILED)["configuration"]
    assert first["found"].endswith("; the environment sets RETAIN_LOG_LEVEL"), "Kubernetes sets the others"
    assert (second["level"], "retention.sweep_interval" in second["found"]) == (WARNING, True)


def test_few_descriptors_and_little_room_are_warned_of(tmp_path: Path) -> None:
    assert checkup.descriptors(4_999, "of the server").level == WARNING
    assert checkup.descriptors(5_000, "of the server").level == FINE
    assert checkup.descriptors(-1, "of the server").level == FINE
    levels = [next(checkup.disk_health(tmp_path, free)).level for free in ((1 << 30) - 1, 1 << 30)]
    assert levels == [WARNING, FINE]


def request(**changes: Any) -> dict[str, Any]:
    plain = {
        "peer": "10.0.0.5",
        "trusted": False,
        "headers": [],
        "client": "10.0.0.5",
        "base_url": "http://x",
    }
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("seen", "level", "words"),
    [
        (request(), FINE, ""),
        (request(headers=["x-forwarded-for"]), WARNING, 'trusted_proxies = ["10.0.0.5"]'),
        (request(trusted=True), WARNING, "X-Forwarded-Proto"),
        (request(trusted=True, headers=["x-forwarded-for"]), WARNING, "external_url"),
        (request(trusted=True, headers=["forwarded"], base_url="https://x"), FINE, ""),
        (
            request(trusted=True, headers=["x-forwarded-prefix"], base_url="https://x", unusable=["prefix"]),
            WARNING,
            "a path such as /retain",
        ),
    ],
)
def test_what_a_request_through_a_proxy_looks_like(seen: dict[str, Any], level: str, words: str) -> None:
    server = ServerConfig(behind_proxy=True, trusted_proxies=("10.0.0.5",), external_url="https://x")
    (found,) = checkup.proxy(Config(server=server), [seen])
    assert (found.level, words in found.advice) == (level, True)


def test_a_proxy_without_an_external_url_is_warned_of() -> None:
    server = ServerConfig(behind_proxy=True, trusted_proxies=("10.0.0.5",))
    assert [one.level for one in checkup.proxy(Config(server=server), [])] == [NOTE, WARNING]


def test_a_clock_that_nothing_sets_is_noted_and_an_impossible_one_is_an_error() -> None:
    def levels(wall: int, synchronized: bool | None) -> list[str]:
        return [one.level for one in checkup.time_service(wall, synchronized)]

    assert levels(EARLIEST, True) == [FINE]
    assert levels(EARLIEST, None) == []
    assert levels(EARLIEST, False) == [NOTE]
    assert levels(EARLIEST - 1, True) == [ERROR]


def test_the_kernel_is_asked_about_the_clock() -> None:
    assert is_synchronized() in (True, False, None)
    for one in checkup.time_service(SystemClock().wall(), is_synchronized()):
        assert one.level in (FINE, NOTE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("doctor"), '[[tenants]]\nname = "mytenant"\n') as server:
        yield server


def test_a_running_server_is_asked(server: Server) -> None:
    asked = urllib.request.Request(f"{server.url}/healthz", headers={"X-Forwarded-For": "203.0.113.9"})
    urllib.request.urlopen(asked).close()
    found = looked("--data", str(server.data), exit_code=FAILED)
    assert [one["level"] for one in found["server"]] == [FINE]
    assert found["clock"][0]["level"] == FINE
    assert "of the server" in found["descriptors"][0]["found"]
    assert found["payloads"][0]["level"] == FINE
    (proxy,) = found["proxy"]
    assert (proxy["level"], "x-forwarded-for" in proxy["found"]) == (WARNING, True)


def subjects(server: Server) -> set[str]:
    """What is found at all, whatever it is; other tests may have left a warning."""
    answer = CliRunner().invoke(main, ["doctor", "--json", "--data", str(server.data)])
    return {one["subject"] for one in json.loads(answer.stdout)["findings"]}


def test_soft_delete_that_a_client_turned_on_is_found(server: Server) -> None:
    assert "soft delete" not in subjects(server)
    shown = CliRunner().invoke(
        main, ["tenant", "show", "mytenant", "--keys", "--json", "--data", str(server.data)]
    )
    credential = {"account_name": "mytenant", "account_key": json.loads(shown.stdout)["keys"][0]}
    with BlobServiceClient(f"{server.url}/mytenant", credential=credential) as service:
        service.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=True, days=7))
        (found,) = looked("--data", str(server.data), exit_code=FAILED)["soft delete"]
        assert (found["level"], "mytenant" in found["found"]) == (WARNING, True)
        assert "has no effect" in server.log()
        service.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=False))
    assert "soft delete" not in subjects(server)


def test_three_accounts_with_soft_delete_are_named_and_the_others_are_mentioned() -> None:
    assert list(checkup.soft_delete([])) == []
    (three,), (four,) = (checkup.soft_delete([f"t{i}" for i in range(count)]) for count in (3, 4))
    assert "for t0, t1, t2, but" in three.found
    assert "for t0, t1, t2 and others, but" in four.found


def test_the_last_backup_is_told(server: Server, tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["backup", "create", str(tmp_path / "b"), "--data", str(server.data)])
    assert made.exit_code == DONE, made.output
    status = CliRunner().invoke(main, ["status", "--data", str(server.data)]).stdout
    assert f"in {tmp_path / 'b'}" in status
    found = json.loads(CliRunner().invoke(main, ["status", "--data", str(server.data), "--json"]).stdout)
    assert found["last_backup"]["folder"] == str(tmp_path / "b")
    assert found["last_backup"]["age_seconds"] >= 0
    assert (found["last_checkpoint"], found["checkpoints_to"], found["clock_state"]) == (None, [], "")


def test_a_missing_payload_file_and_an_old_backup_are_found() -> None:
    told = {"payload_files": 3, "payloads_sampled": 3, "payloads_missing": ["payloads/ab/cd"]}
    assert checkup.payloads(told).level == ERROR
    status = {"process": 1, "started": "x", "state": "degraded: the disk is full", "ready": True}
    status |= {"clock_state": "", "last_backup": {"time": "x", "age_seconds": 26 * 3600 + 1}}
    levels = {one.subject: one.level for one in checkup.server_state(status)}
    assert levels == {"server": WARNING, "clock": FINE, "backup": WARNING}


def test_a_certificate_has_an_end(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    config = Config(server=ServerConfig(tls_certificate=str(certificate), tls_key=str(key)))
    (found,) = checkup.certificate(config)
    end = checkup.certificate_end(str(certificate))
    assert end is not None
    assert (found.level == FINE) == (end - SystemClock().wall() >= 14 * DAY)
    certificate.write_text("nothing")
    (found,) = checkup.certificate(config)
    assert (found.level, checkup.certificate_end(str(certificate))) == (ERROR, None)
