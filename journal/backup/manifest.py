"""The manifest: the list of a backup's files, written last, which completes it. FORMAT.md section 12."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

from retain.journal.disk.interface import TEMPORARY_SUFFIX, Disk, File, folder_of
from retain.journal.errors import Corrupt, UnknownVersion
from retain.journal.format.limits import READ_CHUNK

MANIFEST_FILE = "manifest.json"
FORMAT = "retain backup 1"


class Entry(NamedTuple):
    """A file of the data folder, `name`, kept in the backup as `stored`."""

    name: str
    stored: str
    size: int
    sha256: str


class Manifest(NamedTuple):
    """A backup of the journal `identity` up to record `seq`, where the tree's root was `root`.

    Its last frame ends at `offset` of segment number `segment`.
    """

    identity: bytes
    seq: int
    root: bytes
    time: int
    segment: int
    offset: int
    entries: tuple[Entry, ...]

    def pack(self) -> bytes:
        """Return it as JSON, with a digest of the rest in the last line."""
        facts = {
            "format": FORMAT,
            "journal": self.identity.hex(),
            "seq": self.seq,
            "root": self.root.hex(),
            "time": self.time,
            "segment": self.segment,
            "offset": self.offset,
        }
        lines = [json.dumps(facts), *(json.dumps(list(entry)) for entry in self.entries)]
        data = "".join(f"{line}\n" for line in lines).encode()
        return data + f"{sha256(data).hexdigest()}\n".encode()


def read_manifest(disk: Disk) -> Manifest | None:
    """Return the backup's manifest; None if no backup was finished.

    Raises `Corrupt`, `UnknownVersion`, `OSError`.
    """
    if not disk.exists(MANIFEST_FILE):
        return None
    data = disk.read(MANIFEST_FILE)
    body, digest = data[:-65], data[-65:]
    if f"{sha256(body).hexdigest()}\n".encode() != digest:
        raise Corrupt(f"{MANIFEST_FILE} is damaged: its digest does not hold", file=MANIFEST_FILE)
    try:
        head, *lines = body.decode().splitlines()
        facts = json.loads(head)
        if facts["format"] != FORMAT:
            raise UnknownVersion(
                f"{MANIFEST_FILE} has the unknown format {facts['format']!r}; use a newer release",
                file=MANIFEST_FILE,
            )
        entries = tuple(Entry(*json.loads(line)) for line in lines)
        if any(leads_elsewhere(name) for entry in entries for name in (entry.name, entry.stored)):
            raise ValueError("it names a file outside the backup")
        identity, root = bytes.fromhex(facts["journal"]), bytes.fromhex(facts["root"])
        numbers = [int(facts[key]) for key in ("time", "segment", "offset")]
        return Manifest(identity, int(facts["seq"]), root, numbers[0], numbers[1], numbers[2], entries)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Corrupt(f"{MANIFEST_FILE} cannot be read: {error}", file=MANIFEST_FILE) from error


def leads_elsewhere(name: str) -> bool:
    """Return whether a file's name would lead out of its folder, or is not one of Retain's."""
    return bool({"", ".", ".."} & set(name.split("/"))) or not (name.isascii() and name.isprintable())


def copy_file(source: File, target: Disk, name: str, stop: int | None = None) -> tuple[str, int]:
    """Copy a file, or its first `stop` bytes, to `name` of another disk; returns SHA-256 and size.

    It is written aside and renamed; the folder is not synced. Raises `NoSpace`, `OSError`.
    """
    target.make_folder(folder_of(name))
    aside = name + TEMPORARY_SUFFIX
    digest, at = sha256(), 0
    stop = source.size() if stop is None else stop
    with target.open(aside, create=True) as file:
        while at < stop and (data := source.pread(at, min(READ_CHUNK, stop - at))):
            file.pwrite(at, data)
            digest.update(data)
            at += len(data)
        file.sync()
    target.replace(aside, name)
    return digest.hexdigest(), at


def digest_of(source: File, stop: int | None = None) -> tuple[str, int]:
    """Return the SHA-256 and size of a file, or of its first `stop` bytes. Raises `OSError`."""
    digest, at = sha256(), 0
    stop = source.size() if stop is None else stop
    while at < stop and (data := source.pread(at, min(READ_CHUNK, stop - at))):
        digest.update(data)
        at += len(data)
    return digest.hexdigest(), at
