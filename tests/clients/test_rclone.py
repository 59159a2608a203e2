"""rclone's azureblob with a token for a whole account: folders up and down, checked by its own sums."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import ResourceTypes, generate_account_sas

from tests.kit.site import EMULATOR_ACCOUNT, EMULATOR_KEY, Site

pytestmark = pytest.mark.skipif(shutil.which("rclone") is None, reason="rclone is not installed")


class Rclone:
    """Commands on the remote `ours:`."""

    def __init__(self, site: Site) -> None:
        token = generate_account_sas(
            EMULATOR_ACCOUNT,
            EMULATOR_KEY,
            resource_types=ResourceTypes(service=True, container=True, object=True),
            permission="rwdlc",
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_OURS_TYPE": "azureblob",
            "RCLONE_CONFIG_OURS_SAS_URL": f"{site.server.url}/{EMULATOR_ACCOUNT}?{token}",
        }

    def __call__(self, *arguments: str) -> str:
        command = ["rclone", "--retries", "1", "--low-level-retries", "1", *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def rclone(site: Site) -> Rclone:
    return Rclone(site)


def filled(folder: Path) -> Path:
    """Small, large, empty, and names that need escaping."""
    source = random.Random(3)
    for name, size in (("a/b/small", 10), ("a/large", 9 << 20), ("empty", 0), ("e f+g/ä%25", 70_000)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(source.randbytes(size))
    return folder


def test_folders_go_up_and_come_back(rclone: Rclone, tmp_path: Path) -> None:
    here, back = filled(tmp_path / "here"), tmp_path / "back"
    rclone("mkdir", "ours:rclone")
    assert "rclone" in rclone("lsd", "ours:")
    rclone("copy", str(here), "ours:rclone/top")
    rclone("check", str(here), "ours:rclone/top", "--one-way", "--download")
    rclone("check", str(here), "ours:rclone/top")
    listed = {entry["Path"]: entry for entry in json.loads(rclone("lsjson", "-R", "--hash", "ours:rclone"))}
    assert listed["top/a/large"]["Size"] == 9 << 20
    assert listed["top/a/large"]["Hashes"]["md5"]
    assert listed["top/a"]["IsDir"]
    rclone("copy", "ours:rclone/top", str(back))
    assert {path.relative_to(back): path.read_bytes() for path in back.rglob("*") if path.is_file()} == {
        path.relative_to(here): path.read_bytes() for path in here.rglob("*") if path.is_file()
    }
    changed = datetime.fromisoformat(listed["top/a/large"]["ModTime"]).timestamp()
    assert abs(changed - (here / "a/large").stat().st_mtime) < 0.001


def test_what_is_there_is_copied_on_the_server_moved_and_removed(rclone: Rclone, tmp_path: Path) -> None:
    here = filled(tmp_path / "here")
    rclone("copy", str(here), "ours:rclonecopies/one")
    rclone("copy", "ours:rclonecopies/one", "ours:rclonecopies/two")
    rclone("check", "ours:rclonecopies/one", "ours:rclonecopies/two")
    rclone("moveto", "ours:rclonecopies/two/empty", "ours:rclonecopies/moved")
    rclone("delete", "ours:rclonecopies/two")
    assert sorted(rclone("lsf", "-R", "--files-only", "ours:rclonecopies").splitlines()) == [
        "moved",
        "one/a/b/small",
        "one/a/large",
        "one/e f+g/ä%25",
        "one/empty",
    ]
    small = (here / "a/b/small").read_bytes()
    assert rclone("hashsum", "md5", "ours:rclonecopies/one/a/b").split()[0] == hashlib.md5(small).hexdigest()
    rclone("purge", "ours:rclonecopies")
    assert "rclonecopies" not in rclone("lsd", "ours:")
