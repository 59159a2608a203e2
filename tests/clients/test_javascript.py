"""@azure/storage-blob, in the tree that `npm install` made in tests/clients/js."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.site import Site

FOLDER = Path(__file__).parent / "js"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(
    not (FOLDER / "node_modules" / "@azure" / "storage-blob").exists(),
    reason="npm install --prefix tests/clients/js has not been run",
)
def test_javascript_lists_uploads_downloads_finds_and_deletes(site: Site) -> None:
    site.retain("tenant", "add", "javascript")
    shown = site.retain("tenant", "show", "javascript", "--keys")
    account, recordings, _ = site.retain("token", "create", "javascript", "--expiry", "2060-05-13")
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName=javascript;AccountKey={shown['keys'][0]};"
        f"BlobEndpoint={site.server.url}/javascript;"
    )
    # Path style: the host that the command names is known to no resolver here.
    base = f"{site.server.url}/javascript"
    urls = [f"{base}/?{account['token']}", f"{base}/recordings?{recordings['token']}"]
    done = subprocess.run(
        ["node", FOLDER / "session.mjs", connection, *urls],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "flat": ["8888/large ä+%", "8888/small"],
        "pages": [2, 1],
        "hierarchy": ["8888/…", "other/…"],
        "small": "small",
        "metadata": {"foobar": "1"},
        "same": True,
        "range": "mal",
        "empty": 0,
        "found": ["8888/small"],
        "refused": "AuthorizationPermissionMismatch",
        "tiered": [200, 200],
        "deleted": [202, 202],
        "partly": ["BlobNotFound", 202],
    }
