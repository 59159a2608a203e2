"""Every "PAGE, section N" leads to a section that exists, and no reference leads out of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.server import ROOT

FOLDERS = ("api", "bench", "docs", "engine", "journal", "tests")
NUMBER = r"\d+(?:\.\d+)*"
GAP = r"[\s#]+"
LIST = rf"{NUMBER}(?:(?:,|{GAP}and|{GAP}to|,{GAP}and){GAP}{NUMBER})*"
REFERENCE = re.compile(rf"([\w/]*\w\.md)`?,?{GAP}sections?{GAP}({LIST})")
WITHIN = re.compile(rf"(?<!\w)(?<!\.md, )(?<!\.md )sections?{GAP}({LIST})")
OF_ANOTHER = re.compile(r"(?:RFC \d+|\.md`?|Standard|standard|HTML),?\s+$")
SHORT = {"FORMAT.md": "journal/FORMAT.md"}
"""Pages that are cited by their name alone."""

GONE = re.compile(
    r"\bS:\d|\(K\d+\)|[\"(]K\d+[.,:;]|\bE\d\b[;:,.]|[Ss]pec(?:ification)?,? \(?sections? \d"
    r"|(?<!docs/wire/)\b(?:blobs|areas|settings)\.md,? sections? \d"
    r"|[Dd]esign,?\s+section|reliability\.md|\bissues? #?\d|\(issue\b|\bseed lines?\b",
)
"""Forms that pointed to documents outside the repository."""


def sources() -> list[Path]:
    found = [
        path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md"}
    ]
    found += ROOT.glob("*.md")
    return sorted(path for path in found if path != Path(__file__) and ".venv" not in path.parts)


def sections(page: Path) -> set[str]:
    """The numbers of a page's headings, and of table rows that are sections."""
    text = page.read_text()
    return {
        *re.findall(rf"^#+ ({NUMBER})\.? ", text, re.MULTILINE),
        *re.findall(r"^\| (\d+\.\d+) \|", text, re.MULTILINE),
    }


def references(text: str) -> Iterator[tuple[str, list[str]]]:
    for found in REFERENCE.finditer(text):
        yield found[1], re.findall(NUMBER, found[2])


def wrong(path: Path, text: str) -> list[str]:
    """References of `text` that lead nowhere, and those in forms that nobody can follow."""
    found = [f"old form: {match[0]!r}" for match in GONE.finditer(text)]
    for page, numbers in references(text):
        target = ROOT / SHORT.get(page, page)
        if not target.exists():
            found.append(f"no page: {page}")
            continue
        found += [f"no section: {page}, {number}" for number in numbers if number not in sections(target)]
    if path.is_relative_to(ROOT / "docs" / "wire") or path.name == "FORMAT.md":
        known = sections(path)
        for match in WITHIN.finditer(text):
            if not OF_ANOTHER.search(text[: match.start()]):
                found += [f"no section: {n}" for n in re.findall(NUMBER, match[1]) if n not in known]
    return found


def test_every_reference_leads_to_a_section() -> None:
    found = {path.relative_to(ROOT).as_posix(): wrong(path, path.read_text()) for path in sources()}
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_the_contracts_are_referred_to() -> None:
    """The collection above would pass over nothing at all, too."""
    cited = {page for path in sources() for page, _ in references(path.read_text())}
    pages = {f"docs/wire/{name}.md" for name in ("areas", "settings", "blobs")}
    assert cited >= {*pages, "FORMAT.md"}


@pytest.mark.parametrize(
    "text",
    [
        "the bare value (S:259-261)",
        '"""K26: an array."""',
        "every URL form of spec section 2",
        "blobs.md, section 5.3",
        "design section 7, invariant 3",
        "design,\nsection 7",
        "reliability.md, T9",
        "the text is shown once (issue: shown once)",
        "see issue 5",
        "docs/wire/blobs.md, section 99",
        "docs/wire/blobs.md, sections 1 and\n# 5.77",
        "docs/wire/nothing.md, section 1",
        "FORMAT.md section 99",
    ],
)
def test_a_reference_that_leads_nowhere_is_found(text: str) -> None:
    assert wrong(ROOT / "api" / "example.py", text)


@pytest.mark.parametrize(
    "text",
    ["docs/wire/settings.md, sections 3.1, 11.5 and 11.6", "FORMAT.md section 12", "RFC 9110, section 14.4"],
)
def test_a_reference_that_leads_somewhere_is_not(text: str) -> None:
    assert not wrong(ROOT / "api" / "example.py", text)
