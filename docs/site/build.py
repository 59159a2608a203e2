"""Build the documentation site: `python docs/site/build.py [FOLDER]`, into retain/site without a folder.

MkDocs Material makes the pages, Swagger UI shows the OpenAPI documents. Everything comes from installed
packages (`pip install 'retain[docs]'`): the build asks no other computer, and the site asks none but its own
server.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = ROOT / "retain" / "site"
NEEDED = ("mkdocs", "material", "mkdocs_swagger_ui_tag")

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_LEFT_OUT = ("404.html", "assets/javascripts/lunr", "sitemap.xml.gz", "sitemap.xml", "objects.inv")


def missing() -> list[str]:
    """Return the packages that are not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def sources() -> list[Path]:
    """Return the files that the site is built from."""
    folders = (ROOT / "docs", ROOT / "examples")
    beside = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "journal/FORMAT.md", "bench/README.md")
    found = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return [*(path for path in found if path.is_file()), *(ROOT / name for name in beside)]


def is_fresh(target: Path = TARGET) -> bool:
    """Return whether the site is there and no page has changed since it was built."""
    return target.is_dir() and target.stat().st_mtime >= max(path.stat().st_mtime for path in sources())


def build(target: Path = TARGET) -> None:
    """Build the site into `target`, which is replaced as a whole.

    Raises:
        ModuleNotFoundError: The extra `docs` is not installed.
        mkdocs.exceptions.Abort: A page has a link that leads nowhere, or is not in the order of pages.
    """
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    from mkdocs.commands.build import build as make
    from mkdocs.config import load_config

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".site-") as name:
        folder = Path(name) / "site"
        config = load_config(str(HERE / "mkdocs.yml"), site_dir=str(folder))
        config.plugins.on_startup(command="build", dirty=False)
        make(config)
        _lighten(folder)
        _externalise(folder)
        _add_viewer(folder)
        # A server that runs meanwhile is without its pages for a moment at most.
        if target.exists():
            target.rename(Path(name) / "before")
        folder.rename(target)
        os.utime(target)


def _lighten(folder: Path) -> None:
    """Leave out what no page asks for: source maps, other languages' search, what search engines read."""
    for path in folder.rglob("*.map"):
        path.unlink()
    for name in _LEFT_OUT:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in [*folder.rglob("*.js"), *folder.rglob("*.css")]:
        text = path.read_text()
        path.write_text(
            re.sub(r"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ ?\*/)\s*$", "\n", text)
        )


def _externalise(folder: Path) -> None:
    """Move inline scripts into files, so that the policy of the site's pages need not allow any."""
    for page in folder.rglob("*.html"):
        up = "../" * len(page.relative_to(folder).parts[:-1])

        def moved(match: re.Match[str], up: str = up) -> str:
            name = f"inline.{hashlib.sha256(match[1].encode()).hexdigest()[:16]}.js"
            (folder / "assets" / "javascripts" / name).write_text(match[1])
            return f'<script src="{up}assets/javascripts/{name}"></script>'

        page.write_text(_INLINE.sub(moved, page.read_text()))


def _add_viewer(folder: Path) -> None:
    """Add the page api/ with Swagger UI."""
    spec = importlib.util.find_spec("mkdocs_swagger_ui_tag")
    assert spec is not None
    assert spec.origin is not None
    swagger = Path(spec.origin).parent / "swagger-ui"
    viewer = folder / "api"
    viewer.mkdir()
    for name in ("index.html", "viewer.css", "viewer.js"):
        shutil.copy(HERE / "api" / name, viewer)
    for name in ("javascripts/swagger-ui-bundle.js", "stylesheets/swagger-ui.css"):
        text = (swagger / name).read_text()
        (viewer / Path(name).name).write_text(re.sub(r"(//|/\*)# sourceMappingURL=\S+( ?\*/)?\s*$", "", text))
    shutil.copy(swagger / "LICENSE", viewer / "swagger-ui.LICENSE.txt")


def main() -> None:
    """Build, or say what is missing."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if absent := missing():
        sys.exit(f"Building the documentation needs {', '.join(absent)}: pip install -e '.[docs]'")
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else TARGET
    build(target)
    files = [path for path in target.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    version = importlib.metadata.version("mkdocs-material")
    print(f"{target}: {len(files)} files, {size / 2**20:.1f} MiB, by MkDocs Material {version}")


if __name__ == "__main__":
    main()
