"""Tutorials, how-to guides and references work as shown: every session, program and file of configuration.

A block that cannot run here is named below, with what tries it instead.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retain.api.config.load import load
from tests.kit.passwords import cheap_hash
from tests.kit.server import ROOT, Server
from tests.kit.sessions import Block, Session, blocks, matches, steps

DOCS = ROOT / "docs"
PAGES = sorted([*(DOCS / "tutorials").glob("*.md"), *(DOCS / "how-to").glob("*.md")])
SESSIONS = sorted([*PAGES, *(DOCS / name for name in ("areas.md", "blobs.md", "openapi.md", "settings.md"))])
"""Pages whose sessions are run; those of the two guides are run by tests/test_guides.py."""
CONFIG = """
[[users]]
name = "ann"
password = "{password}"
roles = ["Administrator"]

[operations]
metrics_from = ["127.0.0.0/8"]
"""
RECORDING = """
retain tenant add mytenant
CONNECTION=$(retain tenant show mytenant --keys | grep BlobEndpoint)
export CONNECTION; python3 -c '
import os
from azure.storage.blob import BlobServiceClient
with BlobServiceClient.from_connection_string(os.environ["CONNECTION"]) as service:
    recordings = service.get_container_client("recordings")
    tags = {"RecordingType": "CALL", "StoredTime": "2026-11-01T00:00:00Z"}
    recordings.upload_blob("call.opus", b"sound" * 1000, tags=tags)
'
"""
TOKENS = """
retain token create mytenant --expiry 2060-01-01 --json > tokens.json
FIND=$(python3 -c 'import json; print(json.load(open("tokens.json"))[0]["token"])')
READ=$(python3 -c 'import json; print(json.load(open("tokens.json"))[1]["token"])')
"""
CART = "curl -H 'gms_user: bob' -F items=3 http://127.0.0.1:8080/genesys/1/storage/cart/{ttl}"
COLOURS = """
curl -u ann:secret -X PUT -H 'Content-Type: application/json' -d '{"menu":"red","text":"black"}' \
  http://127.0.0.1:8080/mobileservices/Storage/v1/runtime/application/shop/device/tablet-7/colours
"""
BEFORE = {"blobs.md": (RECORDING, TOKENS)}
"""What readers of a page have done before: scripts, by page."""
BEFORE_QUESTIONS = {
    "retain audit log": (
        RECORDING,
        CART.format(ttl=1),
        "until retain audit log | grep -q content; do sleep 0.1; done",
    ),
    "retain audit state": (CART.format(ttl=1200),),
    "retain audit seen": (COLOURS,),
}
"""What happened before each question of docs/audit.md."""
MOMENT = "2026-05-03T12:00+02:00"
"""The moment that questions of docs/audit.md name."""
CHANGING = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?|\b[0-9a-f]{32}\b|\b\d+\b")
"""Times, numbers of resources and of records."""
NOT_RUN = {
    "retain user add": "asks for a password: tests/api/cli, tests/console/test_first_hour.py",
    "retain doctor": "depends on the machine: tests/api/cli",
    "retain clock accept": "needs a clock in doubt: tests/api/cli, tests/api/admin",
    "git clone": "tests/test_docs.py runs the README",
    "python3 -m venv /opt": "tests/package/test_wheel.py",
    "pipx install": "tests/package/test_wheel.py",
    "systemctl": "needs systemd: tests/deploy/test_systemd_unit.py",
    "retain audit verify --bodies": "tests/api/cli; here it stands beside systemctl",
    "retain backup verify /media": "needs a medium: tests/api/cli/test_backup.py",
    "retain settings export shop --data OLD": "needs two folders: tests/api/cli/test_settings.py",
    "rclone copy azurite:": "needs Azurite; coming-from-azure.md runs the same command",
}
"""Beginnings of blocks `sh`, and what tries them."""
ELSEWHERE = {"nginx", "apache", "caddyfile", "yaml", "text"}
"""Languages of blocks that tests/deploy runs (yaml: Traefik's; a CI's job is not run, as its page says)."""


def names(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def test_there_are_the_pages_that_a_newcomer_looks_for() -> None:
    wanted = {
        *(
            f"tutorials/{who}.md"
            for who in ("contact-centre-administrator", "mobile-back-end-engineer", "operator")
        ),
        *(f"tutorials/{who}.md" for who in ("auditor", "data-protection-officer")),
        *(f"how-to/coming-from-{what}.md" for what in ("azurite", "azure", "kinto", "redis")),
        *(f"how-to/{what}.md" for what in ("install", "behind-a-proxy", "upgrading", "moving-a-data-folder")),
        *(f"how-to/{what}.md" for what in ("clock-trouble", "replacing-the-audit-key", "embedding")),
    }
    assert wanted <= {names(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_block_is_run_or_says_what_runs_it(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        where = f"{names(page)}:{block.line}"
        if block.language == "sh":
            first = [line for line in block.text.splitlines() if line.strip()]
            assert any(first[0].startswith(known) for known in NOT_RUN), (where, first[0])
        elif block.language == "toml":
            assert check_configuration(block, tmp_path), where
        else:
            assert block.language in {"console", "python", *ELSEWHERE}, where


def check_configuration(block: Block, folder: Path) -> bool:
    """Whether the keys are known and the values possible."""
    text = block.text if block.text.lstrip().startswith(("[", "#")) else f"[server]\n{block.text}"
    (folder / "retain.toml").write_text(text)
    (folder / "retain.toml").chmod(0o600)
    return load(folder / "retain.toml", {}) is not None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("page", [page for page in SESSIONS if steps(page)], ids=names)
def test_the_session_runs_as_shown(page: Path, launch: Callable[..., Server], tmp_path: Path) -> None:
    made = steps(page)
    if any(re.match(r"rclone ", step.command) for step in made) and shutil.which("rclone") is None:
        pytest.skip("rclone is not installed")
    folder = tmp_path / "reader"
    folder.mkdir()
    session = Session(launch(CONFIG.format(password=cheap_hash("secret"))), folder)
    for script in BEFORE.get(names(page), ()):
        prepare(session, script)
    for step in made:
        got = session.run(step.command)
        assert matches(step.shown, got), (f"{names(page)}:{step.line}", step.command, step.shown, got)


def prepare(session: Session, script: str) -> None:
    """Run a script, whose assignments later commands use."""
    command = ""
    for line in script.strip().splitlines():
        command = f"{command}\n{line}" if command else line
        # A text in quotes, or a backslash at the end, goes on in the next line.
        if command.count("'") % 2 or command.endswith("\\"):
            continue
        got = session.run(command)
        assert "[exit code" not in got, (command, got)
        command = ""
    assert not command


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_questions_of_the_audit_page_are_answered_as_shown(
    launch: Callable[..., Server], tmp_path: Path
) -> None:
    """Every line shown is in the answer, in this order: a log has more, of what happened before."""
    folder = tmp_path / "reader"
    folder.mkdir()
    session = Session(launch(CONFIG.format(password=cheap_hash("secret"))), folder)
    made = steps(DOCS / "audit.md")
    assert [" ".join(step.command.split()[:3]) for step in made] == list(BEFORE_QUESTIONS)
    for step in made:
        for script in BEFORE_QUESTIONS[" ".join(step.command.split()[:3])]:
            prepare(session, script)
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        got = session.run(step.command.replace(MOMENT, moment))
        lines = iter([general(line) for line in got.splitlines()])
        for line in step.shown.splitlines():
            assert general(line) in lines, (step.command, line, got)


def general(line: str) -> str:
    """A line without what differs from run to run, and without the widths of columns."""
    return " ".join(CHANGING.sub("#", line).split())


def test_what_is_shown_is_matched_strictly() -> None:
    assert matches("a  b…\n", "a b and c\n")
    assert matches("…\nend\n", "one\ntwo\nend\n")
    assert matches("…\nend\n", "end\n")
    assert matches("", "\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a…\n", "a\nb\n")
    assert not matches("…\nend\n", "one\nend\nmore\n")
    assert not matches("", "error\n")
