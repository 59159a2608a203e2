"""The target of a page's help link: the documentation of this server, or the file in the checkout."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

SITE: Final = "site"
"""The folder of the package with the documentation as `make docs` builds it; it may be missing."""


def help_pages() -> frozenset[str]:
    """Return the names of the pages of the built documentation, which are served at `/docs/NAME/`.

    Those in a folder are `FOLDER/NAME`. Read once, at the start.
    """
    site = files("retain") / SITE
    if not site.is_dir():
        return frozenset()
    found = set()
    for folder in site.iterdir():
        if (folder / "index.html").is_file():
            found.add(folder.name)
        elif folder.is_dir():
            pages = (page for page in folder.iterdir() if (page / "index.html").is_file())
            found |= {f"{folder.name}/{page.name}" for page in pages}
    return frozenset(found)
