"""What MkDocs does besides: pages from outside the folder docs, and links that work in both places.

A page links to its neighbours as the repository shows them. On the site, links to the pages in `BESIDE` lead
to their copies; links to code, which the site does not have, become plain text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
BESIDE = {
    "README.md": "beside/start.md",
    "CHANGELOG.md": "beside/changes.md",
    "CONTRIBUTING.md": "beside/contributing.md",
    "journal/FORMAT.md": "beside/format.md",
    "bench/README.md": "beside/measuring.md",
    "examples/README.md": "beside/examples.md",
}
"""Pages of the repository outside docs, and where they are on the site."""
SOURCES = {target: source for source, target in BESIDE.items()}

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
_PROGRAM = re.compile(r"^### \[([^\]]+)\]\(\1\)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
LANGUAGES = {".sh": "sh", ".py": "python", ".mjs": "javascript", ".java": "java", ".html": "html"}
_FENCE = re.compile(r"^(```|~~~)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages from outside docs, and the mark."""
    for source, target in BESIDE.items():
        files.append(File.generated(config, target, content=(ROOT / source).read_text()))
    mark = (ROOT / "api" / "html" / "static" / "mark.svg").read_text()
    files.append(File.generated(config, "images/mark.svg", content=mark))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to where they are on the site."""
    here = page.file.src_uri
    source = SOURCES.get(here, f"docs/{here}")
    if source == "examples/README.md":
        markdown = _PROGRAM.sub(_whole, markdown)
    lines, fenced = [], False
    for line in markdown.split("\n"):
        fenced ^= _FENCE.match(line) is not None
        lines.append(line if fenced else _LINK.sub(lambda match: _led(match, source, here), line))
    return "\n".join(lines)


def _whole(match: re.Match[str]) -> str:
    """Return a program's section with the program in it.

    It has two addresses: the one that the landing page knows, and the one of its heading in the repository,
    which links of other pages use.
    """
    name, text = match.groups()
    anchor = re.sub(r"[^a-z0-9]+", "-", name.lower())
    heading = re.sub(r"[^a-z0-9_-]", "", name.lower())
    language = LANGUAGES[Path(name).suffix]
    program = (ROOT / "examples" / name).read_text()
    return (
        f'<a id="{heading}"></a>\n\n'
        + f"### {name} {{#{anchor}}}\n{text.rstrip()}\n\n```{language}\n{program.rstrip()}\n```\n"
    )


def _led(match: re.Match[str], source: str, here: str) -> str:
    mark, text, target = match.groups()
    path, sharp, anchor = target.partition("#")
    if "://" in target or target.startswith("mailto:") or not path:
        return match[0]
    found = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if found in BESIDE:
        there = BESIDE[found]
    elif found.startswith("docs/"):
        there = found.removeprefix("docs/")
    else:
        if not (ROOT / found).exists():
            raise ValueError(f"{source}: {target} leads nowhere")
        return text
    relative = posixpath.relpath(there, posixpath.dirname(here) or ".")
    return f"{mark}[{text}]({relative}{sharp}{anchor})"
