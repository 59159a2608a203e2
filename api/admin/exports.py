"""The export of a person's data, as a folder or as a zip: its document and the names of its files."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from retain.engine import Unavailable
from retain.engine.audit.dossier import Attachment, Dossier
from retain.engine.audit.timeline import answered
from retain.engine.core.time import timestamp

FORMAT: Final = "retain-export/1"
DOCUMENT: Final = "export.json"
FILES: Final = "files"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def path_of(number: int, name: str) -> str:
    """Return a file name that is inside the folder and unique, whatever the body's name."""
    return f"{FILES}/{number:05}-{_UNSAFE.sub('_', name.rpartition('/')[2])[-100:].lstrip('.')}"


def document(
    made: int,
    asked: Mapping[str, Any],
    resources: Sequence[Mapping[str, Any]],
    actions: Sequence[Mapping[str, Any]],
) -> bytes:
    """Return the document of an export as JSON.

    Args:
        made: When it was made, nanoseconds since the epoch.
        asked: The selection.
        resources: The facts of each resource found; `files` names the bodies.
        actions: Entries of the log.
    """
    value = {
        "format": FORMAT,
        "made": timestamp(made),
        "asked": dict(asked),
        "resources": list(resources),
        "actions": list(actions),
    }
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"


def zipped(
    dossier: Dossier, actions: Sequence[Mapping[str, Any]], made: int, asked: Mapping[str, Any]
) -> Iterator[bytes]:
    """Yield an export as a zip, piece by piece: it is never in memory as a whole. Blocking.

    A body erased meanwhile has no path in the document, and its entry in the zip is incomplete.

    Raises:
        Unavailable: The journal cannot be read.
    """
    sink = _Sink()
    resources: list[Mapping[str, Any]] = []
    count = 0
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for entry in dossier.entries():
            for facts, attachment in zip(entry.facts["files"], entry.files, strict=True):
                count += 1
                facts["path"] = path_of(count, attachment.name)
                try:
                    yield from _stored(file, sink, facts["path"], attachment)
                except Unavailable:
                    facts["path"] = None
            resources.append(entry.facts)
        file.writestr(
            zipfile.ZipInfo(DOCUMENT), document(made, asked, resources, actions), zipfile.ZIP_DEFLATED
        )
    yield sink.taken()


def _stored(file: zipfile.ZipFile, sink: _Sink, path: str, attachment: Attachment) -> Iterator[bytes]:
    chunks = attachment.chunks()
    with file.open(zipfile.ZipInfo(path), "w", force_zip64=True) as member:
        while (chunk := answered(next, chunks, None)) is not None:
            member.write(chunk)
            yield sink.taken()


class _Sink(io.RawIOBase):
    """The sink that the zip is written to, and taken from piece by piece; it cannot be read back."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since it was last taken."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
