"""A cost that grew is found, and noise never looks like one."""

from __future__ import annotations

import math
import socket
import subprocess
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("hdrh", reason="the benchmarks are installed with retain[bench]")

from retain.bench import growth
from retain.bench.compare import VersionComparison


def compared(ratios: list[float]) -> VersionComparison:
    return VersionComparison("growth", "blob GET", "cpu_us", 1, 1, *growth.interval(ratios))


def noisy(source: Random, truth: float, spread: float, rounds: int) -> list[float]:
    """Ratios of turns on a busy machine: each side disturbed, sometimes by a multiple."""

    def disturbed() -> float:
        return math.exp(source.gauss(0, spread)) * (source.uniform(1, 8) if source.random() < 0.1 else 1)

    return [truth * disturbed() / disturbed() for _ in range(rounds)]


def test_the_interval_is_of_the_order_alone() -> None:
    ratios = [1 + number / 100 for number in range(20)]
    assert growth.interval(ratios) == (pytest.approx(1.095), 1.03, 1.16)
    assert growth.interval([*ratios[:-1], 1000.0]) == (pytest.approx(1.095), 1.03, 1.16)
    assert growth.interval(ratios[:7]) == (1.03, 0.0, math.inf)
    assert growth.interval(ratios[:8]) == (pytest.approx(1.035), 1.0, 1.07)


def test_noise_is_never_twice_a_growth() -> None:
    source = Random(1)
    for spread in (0.05, 0.2, 0.5, 1.0):
        for _ in range(500):
            one, other = (compared(noisy(source, 1.0, spread, growth.LEAST_ROUNDS)) for _ in range(2))
            assert not (growth.grown([one]) and growth.grown([other])), spread


@pytest.mark.parametrize(("truth", "spread"), [(1.2, 0.02), (1.5, 0.1)])
def test_a_growth_is_found(truth: float, spread: float) -> None:
    source = Random(2)
    found = [bool(growth.grown([compared(noisy(source, truth, spread, growth.ROUNDS))])) for _ in range(100)]
    assert sum(found) > 95


def test_growth_within_what_is_allowed_is_none() -> None:
    assert growth.grown([compared([1.09] * 40)]) == []
    assert len(growth.grown([compared([1.11] * 40)])) == 1


def test_an_answer_is_read_to_its_end_and_a_refusal_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        growth._exchange(ours, b"GET / HTTP/1.1\r\n\r\n")
        assert theirs.recv(100) == b"GET / HTTP/1.1\r\n\r\n"
    for answer, words in ((b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"), (b"", "closed")):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(answer)
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises(RuntimeError, match=words):
                growth._exchange(ours, b"x")


def test_a_commit_may_say_why_requests_cost_more(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *names, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "Costs more: long ago")
    base = git("rev-parse", "HEAD")
    git("commit", "-q", "--allow-empty", "-m", "Sums\n\nCosts more: each body is summed")
    assert growth.reasons(base, tmp_path) == ["Costs more: each body is summed"]
    assert growth.reasons("nothing", tmp_path) == []
