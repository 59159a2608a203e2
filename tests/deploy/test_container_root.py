"""The Containerfile's steps in a root made by debootstrap; the server in it as its user, on a read-only root.

No image can be pulled in a test. So each RUN, COPY, ENV, WORKDIR and USER is carried out in a folder that
debootstrap made, as a builder would, and HEALTHCHECK and CMD are called. It takes minutes: `make
container-test`, as root.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.containerfile import Stage, stages
from tests.kit.server import ROOT

pytestmark = pytest.mark.skipif(
    "RETAIN_CONTAINER_TEST" not in os.environ, reason="takes minutes: make container-test"
)
OPEN = {"RETAIN_SERVER_INSECURE_BIND": "true", "RETAIN_SERVER_BIND": "0.0.0.0:0"}
"""The machine's own network is used: the port is any free one."""
VOLUME = "/var/lib/retain"
WHEELS = "/wheels"
PYTHON = "3.11.2"
"""The Python of the Containerfile's Debian, for which wheels are chosen."""
BASE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def run(*command: str | Path, timeout: float = 900, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that pip needs inside, where there is no index: the dependencies, the build backend, the docs."""
    folder = tmp_path_factory.mktemp("wheels")
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["docs"]]
    needed += tomllib.loads(text)["build-system"]["requires"]
    chosen = ["--python-version", PYTHON, "--only-binary", ":all:"]
    run(sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, *chosen, *needed)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base image: a minimal Debian of the release that the Containerfile names."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("needs root and debootstrap")
    text = (ROOT / "deploy" / "container" / "Containerfile").read_text()
    release = text.partition("debian:")[2].partition("-slim")[0]
    folder = tmp_path_factory.mktemp("root")
    run("debootstrap", "--variant=minbase", release, folder)
    folder.chmod(0o755)  # temporary folders are their owner's alone; the root of an image is everybody's
    return folder


def inside(root: Path, stage_environment: dict[str, str], folder: str, command: str, wheels: Path) -> None:
    """Carry out a RUN step: /proc and the wheels are there, and nothing of this machine's environment."""
    environment = {**BASE, **stage_environment, "DEBIAN_FRONTEND": "noninteractive"}
    environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
    (root / WHEELS.lstrip("/")).mkdir(exist_ok=True)
    script = (
        f"mount -t proc proc {root}/proc && mount --bind {wheels} {root}{WHEELS} && "
        f"exec chroot {root} /bin/sh -c {shlex.quote(f'cd {folder} && {command}')}"
    )
    run("unshare", "--mount", "sh", "-c", script, env=environment)


def build(stage: Stage, root: Path, others: dict[str, Path], wheels: Path) -> None:
    """Carry out a stage's steps in `root`."""
    environment: dict[str, str] = {}
    folder = "/"
    for word, argument in stage.steps:
        if word == "RUN":
            inside(root, environment, folder, argument, wheels)
        elif word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in shlex.split(argument))
        elif word == "WORKDIR":
            folder = argument
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            copy(argument, root, folder, others)


def copy(argument: str, root: Path, folder: str, others: dict[str, Path]) -> None:
    """Copy as a builder does: a folder's content, or files into a folder."""
    words = argument.split()
    context = ROOT
    if words[0].startswith("--from="):
        context = others[words.pop(0).removeprefix("--from=")]
    *sources, target = words
    to = root / (target.lstrip("/") if target.startswith("/") else f"{folder.lstrip('/')}/{target}")
    to.mkdir(parents=True, exist_ok=True)
    for name in sources:
        source = context / name.lstrip("/")
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(source, to, symlinks=True, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy2(source, to)


@pytest.fixture(scope="module")
def image(root: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, Path]:
    """The last stage and its root, built."""
    made: dict[str, Path] = {}
    stage, folder = Stage(""), root
    for stage in stages(ROOT / "deploy" / "container" / "Containerfile"):
        folder = tmp_path_factory.mktemp("stage") / "root"
        run("cp", "-a", root, folder)
        build(stage, folder, made, wheels)
        made[stage.name] = folder
    return stage, folder


def started(image: tuple[Stage, Path], volume: Path, command: list[str], **environ: str) -> list[str]:
    """The command line that runs `command` as the image's user: read-only root, the volume, a /tmp."""
    stage, root = image
    user, group = stage.user
    environment = {**BASE, **stage.environment, **environ}
    pairs = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
    script = (
        f"mount --bind {root} {root} && mount -o remount,bind,ro {root} && mount -t proc proc {root}/proc && "
        f"mount -t tmpfs tmpfs {root}/tmp && mount --bind {volume} {root}{VOLUME} && "
        f"exec chroot --userspec={user}:{group} {root} env -i {pairs} {shlex.join(command)}"
    )
    return ["unshare", "--mount", "sh", "-c", script]


@contextmanager
def container(image: tuple[Stage, Path], volume: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """The server as ENTRYPOINT and CMD start it."""
    stage = image[0]
    command = [*stage.listed("ENTRYPOINT"), *stage.listed("CMD")]
    process = subprocess.Popen(
        started(image, volume, command, **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def volume(image: tuple[Stage, Path], tmp_path: Path) -> Path:
    """A new volume, with owner and mode of the image's folder, as container engines make it."""
    folder = tmp_path / "volume"
    found = (image[1] / VOLUME.lstrip("/")).stat()
    folder.mkdir(mode=found.st_mode & 0o777)
    os.chown(folder, found.st_uid, found.st_gid)
    return folder


def answer(port: int, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_for_start(process: subprocess.Popen[str]) -> int:
    """The port, once the server is up."""
    assert process.stdout is not None
    port = 0
    for line in process.stdout:
        if found := re.search(r"listens on http://0\.0\.0\.0:(\d+)", line):
            port = int(found[1])
        if line.startswith("Health:"):
            return port
    raise AssertionError(f"ended with {process.wait()}")


def test_the_container_serves_checks_its_health_and_stops(image: tuple[Stage, Path], volume: Path) -> None:
    stage = image[0]
    health = json.loads(stage.last("HEALTHCHECK").partition("CMD ")[2])
    with container(image, volume, **OPEN) as process:
        port = wait_for_start(process)
        status, body = answer(port, "POST", "/genesys/1/storage/3600", b"Key=Value")
        assert status == 200
        area = json.loads(body)["id"]
        assert answer(port, "GET", "/docs/")[0] == 200
        run(
            *started(image, volume, health, **OPEN), timeout=60
        )  # as an engine does: with the container's variables
        (data,) = volume.iterdir()
        assert (data.name, data.stat().st_uid) == ("data", stage.user[0])
        owner = Path(f"/proc/{process.pid}").stat().st_uid
        assert owner == stage.user[0]
        process.send_signal(getattr(signal, stage.last("STOPSIGNAL")))
        began = time.monotonic()
        assert process.wait(60) == 0
        assert time.monotonic() - began < 30
    with container(image, volume, **OPEN) as process:
        port = wait_for_start(process)
        assert answer(port, "GET", f"/genesys/1/storage/{area}/Key") == (200, b"Value")


def test_without_a_word_on_tls_the_container_says_what_it_needs(
    image: tuple[Stage, Path], volume: Path
) -> None:
    with container(image, volume) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "behind_proxy = true with trusted_proxies" in output


def test_a_command_runs_beside_the_server(image: tuple[Stage, Path], volume: Path) -> None:
    with container(image, volume, **OPEN) as process:
        wait_for_start(process)
        out = run(*started(image, volume, ["retain", "status", "--json"], **OPEN), timeout=60)
        assert json.loads(out)["ready"] is True
