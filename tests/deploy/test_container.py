"""Containerfile and compose file: their facts are the product's, and one another's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from retain.api.cli.main import main
from retain.api.config.checks import split_bind
from retain.api.config.load import ConfigError, ServerConfig, load
from tests.kit.containerfile import Stage, stages
from tests.kit.server import ROOT

FOLDER = ROOT / "deploy" / "container"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


@pytest.fixture(scope="module")
def image() -> Stage:
    """The last stage."""
    return stages(FOLDER / "Containerfile")[-1]


def port(image: Stage) -> int:
    return split_bind(image.environment["RETAIN_SERVER_BIND"])[1]


def test_the_build_copies_all_that_the_wheel_needs() -> None:
    build = stages(FOLDER / "Containerfile")[0]
    copied = {name for word, argument in build.steps if word == "COPY" for name in argument.split()[:-1]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"], "pyproject.toml"}
    needed |= {project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "retain").iterdir() if path.is_file()}
    assert {name for name in needed if name not in copied and name.split("/")[0] not in copied} == set()
    assert {name for name in copied if not (ROOT / name).exists()} == set()


def test_the_image_runs_the_server_as_a_user_of_its_own(image: Stage) -> None:
    user, group = image.user
    assert user >= 1000
    created = " ".join(argument for word, argument in image.steps if word == "RUN")
    assert f"--gid {group} retain" in created
    assert f"--uid {user} --gid {group}" in created
    assert image.listed("ENTRYPOINT") == ["retain"]
    for command in image.listed("CMD"), image.last("HEALTHCHECK").partition("CMD ")[2]:
        name = command[0] if isinstance(command, list) else command.strip('[]"').split('", "')[-1]
        assert main.get_command(click.Context(main), name) is not None
    assert image.last("STOPSIGNAL") == "SIGTERM"


def test_the_image_keeps_data_in_its_volume_and_listens_where_it_says(image: Stage) -> None:
    environment = image.environment
    assert Path(environment["RETAIN_STORAGE_DATA"]).is_relative_to(image.last("VOLUME"))
    assert image.last("EXPOSE") == str(port(image))
    assert environment["PATH"].split(":")[0] == "/opt/retain/bin"
    with pytest.raises(ConfigError, match="without encryption"):
        load(None, environment)
    assert load(None, {**environment, "RETAIN_SERVER_INSECURE_BIND": "true"}).server.insecure_bind


def test_the_compose_file_configures_the_server_it_describes(image: Stage) -> None:
    given = {**image.environment, **SERVICES["retain"]["environment"]}
    given = {name: re.sub(r"\$\{\w+[^}]*\}", "retain.example.org", value) for name, value in given.items()}
    config = load(None, given)
    (network,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    proxy, prometheus = (SERVICES[n]["networks"]["inside"]["ipv4_address"] for n in ("caddy", "prometheus"))
    assert config.server.trusted_proxies == (proxy,)
    assert config.server.behind_proxy
    assert config.server.external_url == "https://retain.example.org"
    assert any(ip_address(prometheus) in ip_network(one) for one in config.operations.metrics_from)
    assert not any(ip_address(proxy) in ip_network(one) for one in config.operations.metrics_from)
    for address in proxy, prometheus:
        assert ip_address(address) in ip_network(network["subnet"])
        assert ip_address(address) not in ip_network(network["ip_range"])


def test_the_compose_file_confines_the_server_and_gives_it_time(image: Stage) -> None:
    retain = SERVICES["retain"]
    assert retain["read_only"] is True
    assert retain["cap_drop"] == ["ALL"]
    assert retain["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in retain
    assert retain["volumes"] == [f"data:{image.last('VOLUME')}"]
    minutes = re.fullmatch(r"(\d+)m", retain["stop_grace_period"])
    assert minutes is not None
    assert int(minutes[1]) * 60 > ServerConfig().stop_timeout
    assert (FOLDER / retain["build"]["context"]).resolve() == ROOT
    assert ROOT / retain["build"]["dockerfile"] == FOLDER / "Containerfile"


def test_every_file_that_is_mounted_is_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", ())]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert len(files) >= 6
    assert [name for name in files if not (FOLDER / name).is_file()] == []
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}
    assert named == set(COMPOSE["volumes"])


def test_proxy_and_prometheus_ask_the_server_where_it_listens(image: Stage) -> None:
    place = f"retain:{port(image)}"
    assert f"reverse_proxy {place}\n" in (FOLDER / "Caddyfile").read_text()
    scraped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert [job["static_configs"] for job in scraped] == [[{"targets": [place]}]]


@pytest.mark.parametrize(
    ("command", "environ"),
    [
        (("caddy", "adapt", "--config", "Caddyfile"), {"RETAIN_HOST": "retain.example.org"}),
        (("promtool", "check", "config", "prometheus.yml"), {}),
    ],
)
def test_the_tools_understand_their_files(
    tmp_path: Path, command: tuple[str, ...], environ: dict[str, str]
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    for path in [*FOLDER.iterdir(), ROOT / "docs" / "monitoring" / "alerts.yml"]:
        shutil.copy(path, tmp_path / path.name)
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def manifest() -> list[dict[str, Any]]:
    found = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "retain.yaml").read_text())
    return [entry for entry in found if entry]


def test_the_manifest_follows_the_schemas_of_kubernetes() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="pip install '.[deploy]'")
    kinds = [entry["kind"] for entry in manifest()]
    assert kinds == ["Service", "ConfigMap", "StatefulSet", "PodDisruptionBudget"]
    for entry in manifest():
        validator.validate(entry, "1.30", strict=True)


def test_the_manifest_runs_the_image_as_it_is_made(image: Stage) -> None:
    service, configuration, stateful, budget = manifest()
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == image.user
    assert pod["enableServiceLinks"] is False
    assert pod["terminationGracePeriodSeconds"] > ServerConfig().stop_timeout
    assert [entry["containerPort"] for entry in container["ports"]] == [port(image)]
    mounts = {entry["name"]: entry["mountPath"] for entry in container["volumeMounts"]}
    assert mounts["data"] == image.last("VOLUME")
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {
        "CREDENTIALS_DIRECTORY": mounts["secrets"]
    }
    assert container["args"][1:] == ["--config", f"{mounts['configuration']}/retain.toml"]
    assert {probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")} == {
        "/healthz",
        "/readyz",
    }
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    assert labels == service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"]
    assert labels == stateful["spec"]["selector"]["matchLabels"]
    assert configuration["metadata"]["name"] == "retain"


def test_the_manifests_configuration_is_valid(image: Stage, tmp_path: Path) -> None:
    (tmp_path / "retain.toml").write_text(manifest()[1]["data"]["retain.toml"])
    config = load(tmp_path / "retain.toml", image.environment)
    assert config.server.behind_proxy
    assert config.server.bind == f"0.0.0.0:{port(image)}"
    assert config.storage.data == image.environment["RETAIN_STORAGE_DATA"]
