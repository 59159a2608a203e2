"""The sequence that once ended writing until a restart, from end to end, with 512 descriptors.

62 MiB of values, up to the end of a segment; then connections that hold as many downloads open as they may,
with closed windows; then writes, which begin a new segment.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.hostile.attacks import AREAS
from tests.hostile.campaign import ATTACKER, CONFIG, Figures, Innocent, look
from tests.kit.certificates import certified
from tests.kit.server import ROOT, running

MEBIBYTE = 1 << 20
DESCRIPTORS = 512
AREA = 1_000_000
"""Bytes of an area of forty values: longer ones would be files of their own."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def written(innocent: Innocent, count: int) -> Counter[int]:
    """Areas of a megabyte; how they were answered."""
    body = b"&".join(b"k%d=%b" % (number, b"x" * (AREA // 40)) for number in range(40))
    return Counter(innocent.ask("POST", f"{AREAS.decode()}600", body, FORM) for _ in range(count))


def test_downloads_that_nobody_reads_do_not_end_writing(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    config = CONFIG.format(certificate=certificate, key=key).replace("1048576", str(64 * MEBIBYTE))
    limited = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")
    figures = Figures()
    with running(tmp_path / "server", config, prefix=limited) as server, Innocent(server.port) as innocent:
        innocent.put_large()
        assert written(innocent, 62 * MEBIBYTE // AREA) == {200: 62 * MEBIBYTE // AREA}
        segments = list((server.data / "journal").glob("*"))
        attack = subprocess.Popen(
            [*ATTACKER, "closed_windows", str(server.port), "1"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert attack.stdout is not None
            answers = [attack.stdout.readline() for _ in range(1_000)]
            during = Counter[int]()
            for _ in range(6):
                during += written(innocent, 1)
                look(server, figures)
        finally:
            attack.kill()
            attack.communicate()
        assert answers.count(b"200\n") > 900, "the downloads were begun"
        assert set(during) <= {200, 503}, during
        assert during[200] >= 3
        time.sleep(0.2)
        assert written(innocent, 4) == {200: 4}
        assert len(list((server.data / "journal").glob("*"))) > len(segments), "a segment was begun meanwhile"
        assert innocent.ask("GET", "/readyz", b"", {}) == 200
        assert figures.descriptors < DESCRIPTORS
        assert figures.resident < 400 * MEBIBYTE
        for words in ("writing has ended", "unhandled exception", "Too many open files"):
            assert words not in server.log()
