"""The compose file of a cluster: its nodes are configured alike, and take its PostgreSQL.

No container runs here: the scripts run with PostgreSQL's programs on this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from retain.api.config.load import Config, load
from tests.kit import postgres
from tests.kit.containerfile import Stage, stages
from tests.kit.server import ROOT

FOLDER = ROOT / "deploy" / "container"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "cluster.yaml").read_text())
SERVICES = COMPOSE["services"]
NODES = ("n1", "n2", "n3")
SLOTS = "SELECT slot_name, active, current_setting('max_slot_wal_keep_size') FROM pg_replication_slots"


@pytest.fixture(scope="module")
def image() -> Stage:
    return stages(FOLDER / "Containerfile")[-1]


def config_of(name: str, image: Stage) -> Config:
    given = {**image.environment, **SERVICES[name]["environment"]}
    return load(None, {key: value for key, value in given.items() if key.startswith("RETAIN_")})


def test_the_nodes_differ_in_name_and_address_only(image: Stage) -> None:
    configs = [config_of(name, image) for name in NODES]
    assert tuple(config.cluster.name for config in configs) == NODES
    assert [config.cluster.address for config in configs] == [f"{name}:8079" for name in NODES]
    assert {config.cluster.link for config in configs} == {"0.0.0.0:8079"}
    assert len({(config.cluster.log, config.storage.payloads) for config in configs}) == 1
    for one, other in (("n1", "n2"), ("n2", "n3")):
        differing = {key for key, value in SERVICES[one].items() if value != SERVICES[other][key]}
        assert differing == {"environment", "ports", "volumes"}


def test_the_nodes_are_built_with_what_a_cluster_needs_and_are_confined(image: Stage) -> None:
    build = stages(FOLDER / "Containerfile")[0]
    assert '\nARG EXTRAS=""\n' in (FOLDER / "Containerfile").read_text()
    assert any(word == "RUN" and '".${EXTRAS}"' in argument for word, argument in build.steps)
    for name in NODES:
        node = SERVICES[name]
        assert node["build"]["args"]["EXTRAS"] == "[cluster]"
        assert ROOT / node["build"]["dockerfile"] == FOLDER / "Containerfile"
        assert (node["read_only"], node["cap_drop"]) == (True, ["ALL"])
        assert all(port.startswith("127.0.0.1:") for port in node["ports"]), "without TLS"
        own, payloads = (volume.split(":") for volume in node["volumes"])
        assert own == [name, image.last("VOLUME")]
        assert payloads[1] == config_of(name, image).storage.payloads.removeprefix("file://")  # type: ignore[union-attr]
        made = " ".join(argument for word, argument in image.steps if word == "RUN")
        assert f" {payloads[1]}" in made, "it belongs to the server's user"


def test_nothing_needs_a_database_that_may_be_lost_to_start() -> None:
    assert [name for name, service in SERVICES.items() if "depends_on" in service] == []
    assert {service["restart"] for service in SERVICES.values()} == {"unless-stopped"}


def test_volumes_secrets_and_mounted_files_are_there() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service["volumes"]]
    assert {name for name in mounts if not name.startswith(".")} == set(COMPOSE["volumes"])
    scripts = [name for name in mounts if name.startswith(".")]
    assert scripts
    for name in scripts:
        assert os.access(FOLDER / name, os.X_OK), name
    (secret,) = SERVICES["n1"]["secrets"]
    assert secret["source"] in COMPOSE["secrets"]
    assert secret["target"] == SERVICES["n1"]["environment"]["RETAIN_CLUSTER_SECRET_FILE"]
    installing = (ROOT / "docs" / "cluster" / "installing.md").read_text()
    assert COMPOSE["secrets"][secret["source"]]["file"].removeprefix("./") in installing
    for name in re.findall(r"\$\{(\w+)", (FOLDER / "cluster.yaml").read_text()):
        assert f"{name}=" in installing


@pytest.fixture
def primary(postgres_servers: postgres.Postgres) -> Iterator[postgres.Server]:
    """A server with the settings of db1, as its image makes it: without roles and databases of Retain."""
    server = postgres_servers.server()
    server.sql("DROP DATABASE retain", "DROP ROLE retain", database="postgres")
    server.stop()
    command = SERVICES["db1"]["command"]
    assert command[0] == "postgres"
    server.set_stopped(**dict(setting.split("=") for setting in command[2::2]))
    server.start()
    yield server
    postgres_servers.close(server)


def script(name: str, server: postgres.Server, data: Path) -> dict[str, Any]:
    programs = postgres.programs()
    return {
        "args": ["/bin/bash", FOLDER / name],
        "env": {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PGHOST": str(server.folder),
            "PGDATA": str(data),
            "PRIMARY": str(server.folder),
            "RETAIN_PASSWORD": 'it\'s "secret"',
        },
        "cwd": "/",
    }


def test_its_postgresql_is_one_that_a_node_takes_and_its_standby_makes_commits_return(
    primary: postgres.Server, postgres_servers: postgres.Postgres
) -> None:
    """Until the standby follows, each commit waits; the script that makes the roles runs before that."""
    from retain.journal.shared.postgres import demands
    from retain.journal.shared.postgres.connection import complete, connect

    made = script("cluster-db.sh", primary, primary.data)
    subprocess.run(made.pop("args"), check=True, timeout=60, **made)
    primary.stop()
    primary.start()
    with closing(connect(complete(primary.url), 10.0)) as connection:
        asked = demands.ask(connection)
    demands.refuse(asked)
    assert demands.warn(asked) == []
    assert "host replication standby " in (primary.data / "pg_hba.conf").read_text()

    folder = postgres_servers._folder("standby")
    start = script("cluster-standby.sh", primary, folder / "data")
    command = [*start.pop("args"), *SERVICES["db2"]["command"], "-k", str(folder)]
    with (folder / "log").open("wb") as log:
        standby = subprocess.Popen(command, stdout=log, stderr=log, **start, **postgres.as_postgres())
    try:
        primary.wait_for("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'", seconds=60)
        primary.sql("CREATE TABLE waits_for_the_standby (i int)")
        assert primary.sql(SLOTS) == [("standby", True, "256MB")]
        assert "synchronous_standby_names" not in " ".join(SERVICES["db2"]["command"]), (
            "outranks ALTER SYSTEM"
        )
        assert "synchronous_standby_names = '*'" in (folder / "data" / "postgresql.auto.conf").read_text()
    finally:
        standby.terminate()
        standby.wait(60)
        shutil.rmtree(folder)
