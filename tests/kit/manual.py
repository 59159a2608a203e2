"""The documentation site as it is built from the pages as they are now."""

from __future__ import annotations

import fcntl
import importlib.util
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from tests.kit.server import ROOT

SITE = ROOT / "retain" / "site"


def builder() -> ModuleType:
    """The module that builds it."""
    spec = importlib.util.spec_from_file_location("site_build", ROOT / "docs" / "site" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def built() -> Path:
    """The site in the checkout, built again if a page has changed; the test is skipped without MkDocs."""
    build = builder()
    if build.missing():
        pytest.skip("MkDocs Material is not installed: pip install -e '.[docs]'")
    with (
        Path(tempfile.gettempdir()) / f"retain-site-{sha256(str(ROOT).encode()).hexdigest()[:16]}.lock"
    ).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not build.is_fresh(SITE):
            build.build(SITE)
    return SITE
