"""Backups: consistent copies made beside a running server; each copies only new data.

FORMAT.md section 12. A backup is a folder of files named by their content, and a manifest that is written
last. So an interrupted backup leaves the previous one unchanged. After that, files that the new manifest no
longer names, above all segments from before an erasure, are overwritten and removed. Only files that the
previous manifest or the list of an interrupted attempt (`unfinished`) names are removed, no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from retain.journal.backup.manifest import MANIFEST_FILE, Entry, Manifest, copy_file, digest_of, read_manifest
from retain.journal.backup.unfinished import UNFINISHED_FILE, Unfinished
from retain.journal.disk.interface import FILE_SYSTEM_NAMES, TEMPORARY_SUFFIX, Disk, folder_of
from retain.journal.erasure.zero import wipe
from retain.journal.errors import BadTarget, Corrupt
from retain.journal.format.record import Head
from retain.journal.payloads import store as payloads
from retain.journal.payloads.store import payload_path
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment, find_segments
from retain.journal.segments.reader import SegmentReader

SEGMENT_FOLDER = "segments"
OTHERS_FOLDER = "others"
_EMPTY = frozenset({*FILE_SYSTEM_NAMES, UNFINISHED_FILE + TEMPORARY_SUFFIX})
_ATTEMPTS = 8
_BLANK = bytes(8)


class Moment(NamedTuple):
    """One moment of a data folder: the durable end of its journal, and the payload files it depends on.

    `head` is None if no server is running: then everything in the files counts.
    """

    head: Head | None
    payloads: frozenset[str]


class BackupReport(NamedTuple):
    """The result of a backup: the manifest, and how much was copied, present already, and removed.

    `foreign`: files in the backup's folders that belong to no backup of this journal and were not touched.
    """

    manifest: Manifest
    copied: int
    copied_bytes: int
    kept: int
    removed: int
    foreign: tuple[str, ...]


def create_backup(
    source: Disk,
    target: Disk,
    moment: Callable[[], Moment],
    *,
    others: Sequence[str] = (),
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> BackupReport:
    """Update the backup in `target` to the present.

    `on_done` is called with the bytes handled so far and the approximate total.

    `moment` is called twice: before the long part, and again for the moment that the backup represents.
    `others`: further files of the data folder that belong to it, e.g. keys. Raises `BadTarget` if `target`
        contains another journal's backup, or other files and no backup; `Corrupt`, `NoSpace`, `OSError`: the
        earlier backup is unchanged.
    """
    return _Backup(source, target, on_done).run(moment, others)


class _Moved(Exception):
    """The file was replaced, or parts of it were erased, while it was read: read again."""


class _Backup:
    def __init__(self, source: Disk, target: Disk, on_done: Callable[[int, int], None]) -> None:
        self._source = source
        self._target = target
        self._on_done = on_done
        self._total = self._looked_after = 0
        before = read_manifest(target)
        self._identity = before.identity if before is not None else b""
        self._known = {entry.stored: entry for entry in before.entries} if before is not None else {}
        self._done: dict[str, Entry] = {}
        self._copied = self._copied_bytes = self._kept = 0

    def run(self, moment: Callable[[], Moment], others: Sequence[str]) -> BackupReport:
        self._check_identity()
        self._unfinished = Unfinished(self._target, self._identity)
        first = moment().payloads
        self._total = _size_of(self._source, first)
        self._copy_payloads(first)
        for _ in range(_ATTEMPTS):
            now = moment()
            try:
                manifest, entries = self._journal(now.head)
            except _Moved:
                continue
            if self._copy_payloads(now.payloads):
                break
        else:
            raise Corrupt(
                "the data folder keeps changing, or lacks payload files (see `retain journal lost`)"
            )
        entries += [self._done[payload_path(name)] for name in sorted(now.payloads)]
        try:
            entries += [self._copy(name, OTHERS_FOLDER) for name in others]
        except _Moved:
            raise Corrupt("another file of the data folder keeps changing; try again") from None
        manifest = manifest._replace(entries=tuple(entries))
        for folder in sorted({folder_of(entry.stored) for entry in entries}):
            self._target.sync_folder(folder)
        named = {entry.stored for entry in entries}
        self._unfinished.add(self._known.keys() - named)
        self._target.write_atomic(MANIFEST_FILE, manifest.pack())
        removed = _prune(self._target, self._unfinished.names - named)
        self._unfinished.remove()
        foreign = tuple(name for name in _files(self._target) if name not in named)
        return BackupReport(manifest, self._copied, self._copied_bytes, self._kept, removed, foreign)

    def _check_identity(self) -> None:
        segments = find_segments(self._source)[0]
        if not segments:
            raise Corrupt("there is no journal to back up; name another data folder")
        with SegmentFile(self._source, segments[0]) as file:
            identity = file.opener().identity
        if self._identity not in (b"", identity):
            raise BadTarget("the folder holds the backup of another journal; name another folder")
        if not self._identity and not self._target.exists(UNFINISHED_FILE):
            names = [name for name in self._target.names() if name not in _EMPTY]
            if names:
                reason = (
                    f"the folder is not empty ({names[0]}) and holds no backup; name a new or an empty one"
                )
                raise BadTarget(reason)
        self._identity = identity

    def _journal(self, head: Head | None) -> tuple[Manifest, list[Entry]]:
        """Copy all segments up to the durable end. Raises `_Moved`."""
        segments = find_segments(self._source)[0]
        if head is None:
            head = _end(self._source, segments[-1])
        segments = [segment for segment in segments if segment.number <= head.segment]
        entries = [
            self._done.get(segment.file) or self._copy(segment.file, SEGMENT_FOLDER)
            for segment in segments[:-1]
        ]
        with SegmentFile(self._source, segments[-1]) as file:
            if file.table is not None:  # sealed and rewritten meanwhile, so the whole file is durable
                raise _Moved
        entries.append(self._copy(segments[-1].file, SEGMENT_FOLDER, head.offset))
        manifest = Manifest(self._identity, head.seq, head.root, head.time, head.segment, head.offset, ())
        return manifest, entries

    def _copy(self, name: str, folder: str, stop: int | None = None) -> Entry:
        """Copy a file, or its first `stop` bytes, unless it is there. Raises `_Moved`."""
        for _ in range(_ATTEMPTS):
            try:
                source = self._source.open(name)
            except FileNotFoundError:
                if folder == OTHERS_FOLDER:
                    raise
                raise _Moved from None
            with source:
                digest, size = digest_of(source, stop)
                stored = f"{folder}/{name.rpartition('/')[2]}.{digest[:32]}"
                entry = Entry(name, stored, size, digest)
                if self._known.get(stored) == entry and self._is_there(entry):
                    self._kept += 1
                else:
                    self._unfinished.add([stored])
                    if copy_file(source, self._target, stored, stop) != (digest, size):
                        continue  # a part was erased between the two readings
                    self._copied += 1
                    self._copied_bytes += size
                # A segment is replaced by blanking the old file's start before anything else in it.
                if folder == SEGMENT_FOLDER and source.pread(0, len(_BLANK)) == _BLANK:
                    raise _Moved
            if stop is None:
                self._done[name] = entry
            self._tell(size)
            return entry
        raise _Moved

    def _copy_payloads(self, names: frozenset[str]) -> bool:
        """Copy the missing payload files. Return False if one was deleted meanwhile."""
        whole = True
        paths = sorted(payload_path(name) for name in names)
        self._unfinished.add(path for path in paths if path not in self._known)
        for path in paths:
            known = self._known.get(path)
            if path in self._done:
                continue
            if known is not None and self._is_there(known):
                self._done[path] = known
                self._kept += 1
                self._tell(known.size)
                continue
            self._unfinished.add([path])
            try:
                with self._source.open(path) as file:
                    digest, size = copy_file(file, self._target, path)
            except FileNotFoundError:
                whole = False
                continue
            self._done[path] = Entry(path, path, size, digest)
            self._copied += 1
            self._copied_bytes += size
            self._tell(size)
        return whole

    def _tell(self, size: int) -> None:
        self._looked_after += size
        self._on_done(self._looked_after, max(self._total, self._looked_after))

    def _is_there(self, entry: Entry) -> bool:
        try:
            with self._target.open(entry.stored) as file:
                return file.size() == entry.size
        except FileNotFoundError:
            return False


def _size_of(source: Disk, payloads_in_use: frozenset[str]) -> int:
    """Return the approximate bytes of a backup; files deleted meanwhile do not count."""
    names = [segment.file for segment in find_segments(source)[0]]
    total = 0
    for name in [*names, *(payload_path(one) for one in payloads_in_use)]:
        try:
            with source.open(name) as file:
                total += file.size()
        except FileNotFoundError:
            continue
    return total


def check_backup(
    target: Disk, on_done: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Manifest, list[str]]:
    """Return the backup's manifest, and the files that are missing or differ from it.

    `on_done` is called with the bytes read and the total. Raises `Corrupt` if there is no finished backup;
    `UnknownVersion`, `OSError`.
    """
    manifest = read_manifest(target)
    if manifest is None:
        raise Corrupt(
            "there is no finished backup here; `retain backup create` makes one", file=MANIFEST_FILE
        )
    wrong = []
    done, total = 0, sum(entry.size for entry in manifest.entries)
    for entry in manifest.entries:
        on_done(done, total)
        done += entry.size
        try:
            with target.open(entry.stored) as file:
                if digest_of(file) != (entry.sha256, entry.size):
                    wrong.append(entry.stored)
        except FileNotFoundError:
            wrong.append(entry.stored)
    return manifest, wrong


def _end(source: Disk, segment: Segment) -> Head:
    """Return the present end of a journal."""
    with SegmentFile(source, segment) as file:
        reader = SegmentReader(file)
        for _ in reader.growing_frames():
            pass
    frontier = reader.chain.frontier
    return Head(frontier.size, reader.chain.time, frontier.root(), segment.number, reader.offset)


def _prune(target: Disk, stale: set[str]) -> int:
    """Overwrite and remove these files, and unfinished files of their names. Returns how many."""
    removed = 0
    for stored in sorted(stale):
        for name in (stored, stored + TEMPORARY_SUFFIX):
            try:
                if stored.startswith(f"{payloads.FOLDER}/"):
                    target.unlink(name)  # its key was erased with the segment that contained it
                else:
                    wipe(target, name)
            except (FileNotFoundError, NotADirectoryError):
                continue  # never created, or removed by the previous attempt
            target.sync_folder(folder_of(name))
            removed += 1
    return removed


def _files(target: Disk) -> Iterator[str]:
    for folder in (SEGMENT_FOLDER, OTHERS_FOLDER, payloads.FOLDER):
        yield from _below(target, folder)


def _below(disk: Disk, folder: str) -> Iterator[str]:
    try:
        names = disk.names(folder)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        yield folder
        return
    for name in names:
        yield from _below(disk, f"{folder}/{name}")
