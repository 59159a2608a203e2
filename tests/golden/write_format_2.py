"""Wrote `format-2/`, once: rewritten segments beside others, and indexes. Run again, it refuses.

From the project's folder: `python -m tests.golden.write_format_2`.
"""

from __future__ import annotations

from pathlib import Path

from retain.journal import JournalOptions, Part, RealDisk, open_journal
from tests.journal.format.test_format_document import describe, files_of
from tests.kit import plain_reader
from tests.kit.journals import T0, counting_entropy, fill

FOLDER = Path(__file__).with_name("format-2")
BOTH = Part.DETAILS | Part.CONTENT


def main() -> None:
    FOLDER.mkdir()
    write(FOLDER)
    text = describe(plain_reader.read(files_of(FOLDER)))
    FOLDER.with_suffix(".txt").write_text(text, encoding="utf-8")


def write(folder: Path) -> None:
    """Write the journal into an empty folder."""
    options = JournalOptions(segment_bytes=8192, reserve_bytes=16384, ballast_bytes=0)
    journal = open_journal(RealDisk(folder), lambda _: None, options=options, entropy=counting_entropy())
    fill(journal, 30, records=3, size=300)
    journal.erase([(seq, BOTH) for seq in range(1, 70) if seq % 5], 3, T0 + 200)
    journal.rewrite(1)
    journal.erase([(seq, Part.CONTENT) for seq in range(5, 30, 5)], 3, T0 + 201)
    journal.rewrite(1)
    journal.rewrite(3)
    fill(journal, 4, records=2, size=20)
    while journal.build_index():
        pass
    journal.close()
    (folder / "lock").unlink()


if __name__ == "__main__":
    main()
