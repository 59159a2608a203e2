"""Dashboard and alert rules: Prometheus understands them, and every metric that they name is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from retain.api.admin.actions import Administration
from retain.api.admin.backups import LastBackup
from retain.api.admin.exporter import LastCheckpoint
from retain.api.cli.assemble import assembled
from retain.api.cli.gauges import Space
from retain.api.config.load import Config, ServerConfig, WebhookConfig
from retain.engine.testing import open_memory_engine
from tests.kit.certificates import certified
from tests.kit.server import ROOT

FOLDER = ROOT / "docs" / "monitoring"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
NAME = re.compile(r"\b(?:retain|process)_[a-z_]+\b")


def promtool(*arguments: str) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_understands_the_rules() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")


def test_each_rule_fires_when_it_should_and_not_on_a_healthy_server() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_each_rule_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    names = {rule["alert"] for rule in RULES}
    checks = [check for case in cases for check in case["alert_rule_test"]]
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == names
    assert {check["alertname"] for check in checks if not check["exp_alerts"]} == names


def expressions() -> dict[str, list[str]]:
    """All queries, by the file that they are in."""
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    variables = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    return {
        "alerts.yml": [rule["expr"] for rule in RULES],
        "dashboard.json": [target["expr"] for panel in panels for target in panel["targets"]] + variables,
    }


async def test_every_metric_that_dashboard_and_rules_name_is_at_metrics(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    hook = WebhookConfig(name="pipeline", url="https://h.example/", secret=f"whsec_{'a2tr' * 8}")
    config = Config(server=ServerConfig(tls_certificate=str(certificate), tls_key=str(key)), webhooks=(hook,))
    async with open_memory_engine() as engine:
        administration = await Administration.open(engine, config)
        administration.checkpoints.last = LastCheckpoint(time=1, size=1)
        administration.backups.last = LastBackup(time=1, seq=1, folder="")
        space = Space(engine)
        space.free = 5.0
        app = assembled(engine, config, administration, space)
        app.counters.watch(engine, lambda: 0)
        app.counters.request("areas", "GET", 200, 0.1, "value")
        app.counters.cut("idle")
        text = generate_latest(app.counters.registry).decode()
    there = {s.name for family in text_string_to_metric_families(text) for s in family.samples}
    for name, found in expressions().items():
        asked = {metric for expression in found for metric in NAME.findall(expression)}
        assert len(asked) > 10
        assert asked - there == set(), name


def test_the_dashboard_is_whole() -> None:
    """Grafana needs distinct ids and places that do not overlap."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["datasource"]["uid"] == "${datasource}"


def test_the_data_source_of_the_compose_file_is_one_the_dashboard_can_choose() -> None:
    source = yaml.safe_load((ROOT / "deploy" / "container" / "grafana-datasource.yml").read_text())
    assert source["datasources"][0]["type"] == DASHBOARD["templating"]["list"][0]["query"]
    assert source["datasources"][0]["isDefault"] is True
