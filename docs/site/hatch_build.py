"""Builds the documentation into what is packed, where the extra `docs` is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Site(BuildHookInterface[Any]):
    """Runs before the archive or wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the site, or keep what the source has. An editable installation needs none."""
        if version == "editable":
            return
        path = Path(self.root) / "docs" / "site" / "build.py"
        spec = importlib.util.spec_from_file_location("site_build", path)
        assert spec is not None
        assert spec.loader is not None
        builder = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(builder)
        target = Path(self.root) / "retain" / "site"
        if not builder.missing():
            if not builder.is_fresh(target):
                builder.build(target)
        elif not target.is_dir():
            self.app.display_warning(
                "Packed without the documentation: building it needs the extra `docs` (make docs)"
            )
