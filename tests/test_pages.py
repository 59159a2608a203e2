"""What stands in the tutorials and how-to guides works: every session, program and file of configuration.

A block that cannot run here is named below, with what tries it instead.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from retain.api.config.load import load
from retain.api.identity import hash_password
from tests.kit.server import ROOT, Server
from tests.kit.sessions import Block, Session, blocks, matches, steps

DOCS = ROOT / "docs"
PAGES = sorted([*(DOCS / "tutorials").glob("*.md"), *(DOCS / "how-to").glob("*.md")])
SESSIONS = sorted([*PAGES, *(DOCS / name for name in ("areas.md", "openapi.md", "settings.md"))])
"""Pages whose sessions are run; those of the two guides are run by tests/test_guides.py."""
CONFIG = """
[[users]]
name = "ann"
password = "{password}"
roles = ["Administrator"]

[operations]
metrics_from = ["127.0.0.0/8"]
"""
NOT_RUN = {
    "retain user add": "asks for a password: tests/api/cli, tests/console/test_first_hour.py",
    "retain doctor": "depends on the machine: tests/api/cli",
    "retain clock accept": "needs a clock in doubt: tests/api/cli, tests/api/admin",
    "git clone": "tests/test_docs.py runs the README",
    "python3 -m venv /opt": "tests/package/test_wheel.py",
    "pipx install": "tests/package/test_wheel.py",
    "systemctl": "needs systemd: tests/deploy/test_systemd_unit.py",
    "retain audit verify --bodies": "tests/api/cli; here it stands beside systemctl",
    "rclone copy azurite:": "needs Azurite; coming-from-azure.md runs the same command",
}
"""Beginnings of blocks `sh`, and what tries them."""
ELSEWHERE = {"nginx", "apache", "caddyfile", "yaml", "text"}
"""Languages of blocks that tests/deploy runs (yaml: Traefik's, which is tried nowhere, as the page says)."""


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
    session = Session(launch(CONFIG.format(password=hash_password("secret"))), folder)
    for step in made:
        got = session.run(step.command)
        assert matches(step.shown, got), (f"{names(page)}:{step.line}", step.command, step.shown, got)


def test_what_is_shown_is_matched_strictly() -> None:
    assert matches("a  b…\n", "a b and c\n")
    assert matches("…\nend\n", "one\ntwo\nend\n")
    assert matches("…\nend\n", "end\n")
    assert matches("", "\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a…\n", "a\nb\n")
    assert not matches("…\nend\n", "one\nend\nmore\n")
    assert not matches("", "error\n")
