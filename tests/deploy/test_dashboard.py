"""Every query of the dashboard finds data in a real Prometheus that reads the metrics of a real server.

Grafana itself is in no package that could be installed here: its part is to send these queries and to draw.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_monitoring import DASHBOARD
from tests.kit.certificates import certified
from tests.kit.server import Server, command, running

pytestmark = pytest.mark.slow

CONFIG = """
[server]
tls_certificate = "{certificate}"
tls_key = "{key}"

[audit]
checkpoint_folder = "checkpoints"

[[webhooks]]
name = "pipeline"
url = "http://127.0.0.1:9/"
secret = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
allow_private = true
"""
WITHIN_S = 120
TRUSTING = ssl._create_unverified_context()
QUIET = {"Server errors", "Connections cut or refused"}
"""Panels that stay empty while nothing is wrong."""


@contextmanager
def prometheus(folder: Path, server: Server) -> Iterator[str]:
    """A Prometheus that reads the server's metrics twice a second; its address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    job = {
        "job_name": "retain",
        "scheme": "https",
        "scrape_interval": "500ms",
        "scrape_timeout": "500ms",
        "tls_config": {"insecure_skip_verify": True},
        "static_configs": [{"targets": [f"127.0.0.1:{server.port}"]}],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    place = f"127.0.0.1:{port}"
    options = [f"--storage.tsdb.path={folder / 'metrics'}", f"--web.listen-address={place}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={file}", *options], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield f"http://{place}"
    finally:
        process.kill()
        process.wait()


def send(server: Server, method: str, path: str, body: bytes | None = None) -> int:
    request = urllib.request.Request(server.url + path, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30, context=TRUSTING) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return int(refused.code)


def found(place: str, expression: str) -> list[float]:
    """The values that Prometheus finds now; none while it starts."""
    target = f"{place}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(target, timeout=30) as answer:
            made: dict[str, Any] = json.load(answer)
    except urllib.error.URLError:  # not listening yet, or 503 while it starts
        return []
    return [float(one["value"][1]) for one in made["data"]["result"]]


def expressions() -> dict[str, str]:
    """Expression as Grafana sends it → the panel's title."""
    asked: dict[str, str] = {}
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            asked[expression] = panel["title"]
    return asked


def test_every_panel_shows_what_a_running_server_measures(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus (Debian: prometheus) is not installed")
    certificate, key = certified(tmp_path)
    waiting = {one: title for one, title in expressions().items() if title not in QUIET}
    assert len(waiting) > 30
    with running(tmp_path, CONFIG.format(certificate=certificate, key=key)) as server:
        backup = [*command(tmp_path)[:3], "backup", "create", str(tmp_path / "backup"), "--config"]
        backup += [str(tmp_path / "retain.toml"), "--data", str(server.data)]
        subprocess.run(backup, check=True, capture_output=True, timeout=120)
        with prometheus(tmp_path, server) as place:
            end = time.monotonic() + WITHIN_S
            while waiting and time.monotonic() < end:
                assert send(server, "POST", "/genesys/1/storage/60", b"Key=Value") == 200
                assert send(server, "GET", "/genesys/1/storage/unknown") == 404
                for expression in list(waiting):
                    # A quantile of no requests is no number yet.
                    if any(value == value for value in found(place, expression)):
                        del waiting[expression]
                time.sleep(0.2)
    assert waiting == {}, (tmp_path / "prometheus.log").read_text()[-2000:]
