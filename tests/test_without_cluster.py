"""A server without `[cluster]` is as before there were clusters: the same modules, the same bytes on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.golden import write_format_2
from tests.journal.format.test_format_document import files_of
from tests.kit.server import running

OF_CLUSTERS = {"psycopg", "psycopg_binary", "obstore", "cattrs"}
IMPORTED = re.compile(r"^import time: .*\| +(\S+)$", re.MULTILINE)
CONFIG = """
[[tenants]]
name = "acme"
containers = ["recordings"]
"""
STORAGE = "/genesys/1/storage"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.slow
def test_a_server_that_stands_alone_imports_nothing_that_only_clusters_need(tmp_path: Path) -> None:
    """From its start over requests, a console's page and metrics to its end."""
    with running(tmp_path, CONFIG, environ={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        status, body = server.ask("POST", f"{STORAGE}/3600", b"k=1", FORM)
        assert status == 200
        assert server.ask("GET", f"{STORAGE}/{json.loads(body)['id']}")[0] == 200
        for path in ("/readyz", "/metrics", "/console/sign-in"):
            assert server.ask("GET", path)[0] == 200, path
        assert server.stop() == 0
        imported = set(IMPORTED.findall(server.log()))
    assert {"trio", "retain.api.cli.assemble", "retain.journal.journal"} <= imported, (
        "it is what was measured"
    )
    assert {name for name in imported if name.partition(".")[0] in OF_CLUSTERS} == set()
    assert "retain.journal.shared.postgres" not in imported


def test_a_journal_has_the_bytes_that_it_had_before_there_were_clusters(tmp_path: Path) -> None:
    """The golden journal is older than the first module about several machines."""
    write_format_2.write(tmp_path)
    assert files_of(tmp_path) == files_of(write_format_2.FOLDER)
