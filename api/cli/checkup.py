"""The checks of `retain doctor`: each returns findings, and none changes anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from retain import journal
from retain.api.cli.words import counted
from retain.api.config.load import Config
from retain.api.server.certificate import certificate_end
from retain.engine.audit.checkpoints import KEY_FILE
from retain.engine.core.clock import BEHIND, EARLIEST, SystemClock
from retain.engine.core.time import DAY, SECOND, iso
from retain.journal.check.sample import sample
from retain.journal.disk.probe import Access, access_of, accesses_below, sync_times

FINE: Final = "ok"
NOTE: Final = "note"
WARNING: Final = "warning"
ERROR: Final = "error"

DESCRIPTORS: Final = 5_000
"""With fewer, the server accepts fewer connections than its default."""
FREE_BYTES: Final = 1 << 30
SLOW_SYNC_NS: Final = 50_000_000
BACKUP_NS: Final = DAY + 2 * 3600 * SECOND
"""A backup a day, and two hours of grace."""
CERTIFICATE_NS: Final = 14 * DAY


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check.

    Attributes:
        subject: The subject of the check.
        level: `FINE`, `NOTE`, `WARNING` or `ERROR`.
        found: One sentence.
        advice: What to do; empty if nothing needs to be done.
    """

    subject: str
    level: str
    found: str
    advice: str = ""


def folder_access(data: Path) -> Iterator[CheckResult]:
    """Check who may use the data folder and the secrets in it."""
    folder = access_of(data)
    if folder is None:
        yield CheckResult(
            "data folder", NOTE, f"{data} does not exist", "the first `retain serve` creates it"
        )
        return
    if folder.owner != os.geteuid():
        advice = "run `retain` as the user that owns the folder"
        yield CheckResult(
            "data folder", WARNING, f"{data} belongs to user {folder.owner}, not to you", advice
        )
    if folder.is_private:
        yield CheckResult("data folder", FINE, f"only its owner can access {data}")
    else:
        found = f"{data} has mode {folder.mode:04o}: other users of this machine can read it"
        yield CheckResult("data folder", WARNING, found, f"chmod 700 {data}")
    secrets = [access_of(data / KEY_FILE), access_of(data / "users"), *accesses_below(data / "accounts")]
    exposed = [one for one in secrets if one is not None and not one.is_private]
    yield from (_exposed(one) for one in exposed)
    if not exposed:
        count = sum(one is not None for one in secrets)
        yield CheckResult(
            "keys", FINE, f"{counted(count, 'file')} with secrets; only the owner can read them"
        )


def _exposed(found: Access) -> CheckResult:
    text = f"{found.path} holds secrets and has mode {found.mode:04o}"
    return CheckResult(
        "keys", ERROR, text, f"chmod 600 {found.path}; if others had access to this machine, replace the keys"
    )


def disk_health(data: Path, free: int) -> Iterator[CheckResult]:
    """Check the space and the speed of the disk."""
    text = f"{free:,} bytes are free"
    if free < FREE_BYTES:
        yield CheckResult(
            "disk space", WARNING, text, "free space: on a full disk only deletions are accepted"
        )
    else:
        yield CheckResult("disk space", FINE, text)
    try:
        times = sync_times(data, SystemClock().monotonic)
    except OSError as error:
        text = f"no file can be written: {error.strerror or error}"
        yield CheckResult("disk speed", ERROR, text, "run as the owner of the data folder, or check the disk")
        return
    middle, slowest = times[len(times) // 2] / 1e6, times[-1] / 1e6
    text = f"a write is durable after {middle:.1f} ms, the slowest of {len(times)} after {slowest:.1f} ms"
    if times[len(times) // 2] > SLOW_SYNC_NS:
        yield CheckResult(
            "disk speed", WARNING, text, "every change waits this long; use a local disk, preferably an SSD"
        )
    else:
        yield CheckResult("disk speed", FINE, text)


def journal_sample(data: str) -> Iterator[CheckResult]:
    """Check every segment's opener and the newest frames."""
    try:
        found = sample(journal.RealDisk(data, create=False))
    except journal.UnknownVersion as error:
        yield CheckResult("journal", ERROR, f"it was written by a newer version ({error})", "upgrade Retain")
        return
    except journal.JournalError as error:
        advice = "keep a copy of the folder, then `retain audit verify` and `retain journal repair`"
        yield CheckResult("journal", ERROR, f"damaged: {error}", advice)
        return
    except OSError as error:
        text = f"it cannot be read: {error.strerror or error}"
        yield CheckResult("journal", ERROR, text, "run as the owner of the data folder, or check the disk")
        return
    if not found.segments:
        yield CheckResult("journal", NOTE, "there is none yet", "the first `retain serve` creates it")
        return
    text = f"{counted(found.segments, 'segment')}, {counted(found.frames, 'frame')} of the newest are intact"
    yield CheckResult("journal", FINE, f"{text}; `retain audit verify` checks all")
    if found.last > (now := SystemClock().wall()) + BEHIND:
        ahead = timedelta(seconds=(found.last - now) // SECOND)
        yield CheckResult(
            "clock", WARNING, f"the last record is dated {ahead} ahead of the clock", "`retain clock --help`"
        )


def time_service(wall: int, synchronized: bool | None) -> Iterator[CheckResult]:
    """Check that something sets the machine's clock; arguments as those of `admin.clock.first_notice`."""
    if wall < EARLIEST:
        text = f"the clock shows {iso(wall)}, a time before this version was written"
        yield CheckResult("time service", ERROR, text, "set the clock: `timedatectl set-ntp true`")
    elif synchronized is False:
        text = f"this machine knows of none; its clock shows {iso(wall)}"
        advice = "`timedatectl set-ntp true`, unless the host of this container or virtual machine sets it"
        yield CheckResult("time service", NOTE, text, advice)
    elif synchronized:
        yield CheckResult("time service", FINE, "the kernel says that the clock is synchronized")


def descriptors(soft: int, where: str) -> CheckResult:
    """Check the limit of open files; `where` names the process it belongs to."""
    text = (
        f"the limit of open files is {soft:,} ({where})" if soft >= 0 else f"no limit of open files ({where})"
    )
    if 0 <= soft < DESCRIPTORS:
        return CheckResult(
            "descriptors", WARNING, text, "raise it: LimitNOFILE=65536 in the unit, or `ulimit -n 65536`"
        )
    return CheckResult("descriptors", FINE, text)


def certificate(config: Config) -> Iterator[CheckResult]:
    """Check when the certificate expires."""
    path = config.server.tls_certificate
    if path is None:
        return
    if (end := certificate_end(path)) is None:
        yield CheckResult("TLS", ERROR, f"{path} contains no readable certificate", "name a PEM file")
        return
    left = end - SystemClock().wall()
    text = f"the certificate ends in {timedelta(seconds=left // SECOND)}"
    if left < CERTIFICATE_NS:
        yield CheckResult("TLS", ERROR if left < 0 else WARNING, text, "renew it and restart the server")
    else:
        yield CheckResult("TLS", FINE, text)


def server_state(status: dict[str, Any]) -> Iterator[CheckResult]:
    """Check what a running server reports about itself in `status`."""
    text = f"process {status['process']} runs since {status['started']}: {status['state']}"
    level = FINE if status["state"] == "ok" else WARNING if status["ready"] else ERROR
    advice = "" if level == FINE else 'see "Troubleshooting" in docs/operating.md'
    yield CheckResult("server", level, text, advice)
    if workers := status.get("workers"):
        yield _workers(workers)
    wrong = status["clock_state"]
    yield CheckResult(
        "clock", WARNING if wrong else FINE, wrong or "right", "`retain clock show`" if wrong else ""
    )
    yield from _backup(status["last_backup"])


def _workers(workers: list[dict[str, Any]]) -> CheckResult:
    """Check that all workers answer, and that each can have a processor."""
    ready = sum(one["listening"] for one in workers)
    memory = sum(one["memory_bytes"] or 0 for one in workers) >> 20
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = f"{ready} of {len(workers)} accept connections, with {memory} MiB in all, on {cores} processors"
    if ready < len(workers):
        return CheckResult("workers", WARNING, text, "see the server's log")
    if len(workers) > cores:
        return CheckResult(
            "workers", WARNING, text, "use no more workers than processors; others only cost memory"
        )
    return CheckResult("workers", FINE, text)


def _backup(last: dict[str, Any] | None) -> Iterator[CheckResult]:
    if last is None:
        yield CheckResult(
            "backup",
            NOTE,
            "this data folder has never been backed up",
            "run `retain backup create FOLDER` daily",
        )
        return
    text = f"the last backup is from {last['time']}"
    if last["age_seconds"] * SECOND > BACKUP_NS:
        yield CheckResult(
            "backup", WARNING, text, "find out why none was made since; run `retain backup create FOLDER`"
        )
    else:
        yield CheckResult("backup", FINE, text)


def payloads(found: dict[str, Any]) -> CheckResult:
    """Check the payload files that a server has sampled."""
    count, missing = found["payloads_sampled"], found["payloads_missing"]
    if missing:
        advice = "`retain audit verify --bodies` lists all; restore them from a backup"
        return CheckResult("payloads", ERROR, f"missing or empty: {', '.join(missing[:3])}", advice)
    return CheckResult(
        "payloads", FINE, f"{count:,} of {counted(found['payload_files'], 'file')} checked, none missing"
    )


def soft_delete(accounts: list[str]) -> Iterator[CheckResult]:
    """Check that no client believes deleted blobs come back. `accounts`: those where one asked for it."""
    if accounts:
        yield CheckResult(
            "soft delete",
            WARNING,
            f"a client turned it on (DeleteRetentionPolicy) for {', '.join(accounts[:3])}"
            f"{' and others' if len(accounts) > 3 else ''}, but a deletion is final here",
            "turn it off in the client that sets it; `retain hold add` keeps what must not be deleted",
        )


def proxy(config: Config, requests: list[dict[str, Any]]) -> Iterator[CheckResult]:
    """Check what requests through a proxy look like to the server."""
    server = config.server
    if not requests:
        advice = (
            "make a request through the proxy, then run this command again" if server.trusted_proxies else ""
        )
        yield CheckResult("proxy", NOTE, "the server has received no request yet", advice)
    for one in requests:
        headers = ", ".join(one["headers"]) or "no forwarding header"
        text = f"a request from {one['peer']} with {headers} counts as {one['client']}'s at {one['base_url']}"
        if one["headers"] and not one["trusted"]:
            advice = (
                f'if {one["peer"]} is your proxy: trusted_proxies = ["{one["peer"]}"], behind_proxy = true'
            )
            yield CheckResult("proxy", WARNING, f"{text}; the headers are ignored", advice)
        elif one.get("unusable"):
            advice = "a prefix is a path such as /retain, sent without Forwarded; or set external_url"
            wrong = ", ".join(one["unusable"])
            yield CheckResult("proxy", WARNING, f"{text}; its {wrong} cannot be used", advice)
        elif one["trusted"] and not one["headers"]:
            advice = "let the proxy send X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host"
            yield CheckResult("proxy", WARNING, text, advice)
        elif one["trusted"] and server.behind_proxy and one["base_url"].startswith("http:"):
            advice = "set server.external_url, or let the proxy send X-Forwarded-Proto: https"
            yield CheckResult("proxy", WARNING, f"{text}: without TLS", advice)
        else:
            yield CheckResult("proxy", FINE, text)
    if server.behind_proxy and server.external_url is None:
        advice = "set server.external_url: URLs of tokens made on the command line begin with it"
        yield CheckResult("proxy", WARNING, "behind_proxy is set and external_url is not", advice)


def private_file(path: Path | None, subject: str) -> Iterator[CheckResult]:
    """Check that others cannot change a file that decides what the server does."""
    if path is None or (found := access_of(path)) is None:
        return
    if found.mode & stat.S_IWOTH:
        yield CheckResult(
            subject, ERROR, f"every user of this machine can change {path}", f"chmod o-w {path}"
        )
