"""Wrote `format-1/`, once. Kept to show how; run again, it refuses: a golden journal is never regenerated.

From the project's folder: `python -m tests.golden.write_format_1`.
"""

from __future__ import annotations

from pathlib import Path

from retain.journal import NO_RESOURCE, JournalOptions, Part, RealDisk, Verb, open_journal
from tests.journal.format.test_format_document import describe, files_of
from tests.kit import plain_reader
from tests.kit.journals import T0, append, counting_entropy, draft, fill

FOLDER = Path(__file__).with_name("format-1")


def main() -> None:
    FOLDER.mkdir()
    options = JournalOptions(segment_bytes=8192, reserve_bytes=16384, ballast_bytes=0)
    journal = open_journal(RealDisk(FOLDER), lambda _: None, options=options, entropy=counting_entropy())
    fill(journal, 5, records=3, size=40)
    append(journal, draft(b"", b""), draft(b"\xc0", b""), draft(b"", b"\xc0"), time=T0 + 100)
    append(journal, draft(bytes(2000), bytes(5000), verb=Verb.PATCH), time=T0 + 101)
    fill(journal, 3, records=1, size=900)
    append(journal, draft(verb=Verb.DELETE), draft(verb=Verb.TOKEN), time=T0 + 102)
    append(journal, draft(b"", b"\x80", verb=Verb.CHECKPOINT, resource=NO_RESOURCE), time=T0 + 103)
    journal.write_anchor()
    journal.erase([(seq, Part.CONTENT) for seq in (1, 2, 3, 7, 19)] + [(7, Part.DETAILS)], 3, T0 + 200)
    fill(journal, 4, records=2, size=20)
    journal.erase([(20, Part.DETAILS | Part.CONTENT)], 3, T0 + 201)
    journal.close()
    (FOLDER / "lock").unlink()
    text = describe(plain_reader.read(files_of(FOLDER)))
    FOLDER.with_suffix(".txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
