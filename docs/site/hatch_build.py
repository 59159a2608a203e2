"""Builds the documentation into the archive or wheel."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Site(BuildHookInterface[Any]):
    """Runs before the archive or wheel is packed."""

    def dependencies(self) -> list[str]:
        """Return what building needs besides hatchling: the extra `docs`, if there is something to build.

        A build front end installs it into the environment of the build. An editable installation shows the
        folder's own site, which `make docs` builds; pip names that hook in its arguments.
        """
        if self._site.is_dir() or any("editable" in argument for argument in sys.argv):
            return []
        project = tomllib.loads((Path(self.root) / "pyproject.toml").read_text())["project"]
        return list(project["optional-dependencies"]["docs"])

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
        if not builder.missing():
            if not builder.is_fresh(self._site):
                builder.build(self._site)
        elif not self._site.is_dir():
            self.app.display_warning(
                "Packed without the documentation: building it needs the extra `docs` (make docs)"
            )

    @property
    def _site(self) -> Path:
        return Path(self.root) / "retain" / "site"
