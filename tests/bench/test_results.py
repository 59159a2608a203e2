"""Results of benchmarks: what they keep, how they are compared, how they are shown."""

from __future__ import annotations

import json
import math
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("hdrh", reason="the benchmarks are installed with retain[bench]")

from retain.bench import command
from retain.bench.ceiling import BASELINE, grown
from retain.bench.compare import NotComparable, changes, checkout, interval
from retain.bench.metrics import METRICS, Latencies, Measurement, latency_figures
from retain.bench.pages import tables, updated
from retain.bench.pages.pivots import PIVOTS
from retain.bench.result import ResultRow, RunResult, latest
from retain.bench.scenario import RunSettings, Scenario, scenarios
from retain.bench.scenarios import capacity, commit, connections
from retain.bench.scenarios.short_path import LONG_PATH, SHORT_PATH

ROOT = Path(__file__).resolve().parents[2]


def _result(name: str = "example", **figures: list[float]) -> RunResult:
    return RunResult(name, f"retain bench run {name}", [ResultRow("GET", "retain", dict(figures))])


def test_percentiles_are_those_of_the_durations() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.record(milliseconds / 1000)
    figures = latency_figures(latencies.curve())
    assert figures["p50_ms"] == pytest.approx(500, rel=0.002)
    assert figures["p99_ms"] == pytest.approx(990, rel=0.002)
    assert figures["worst_ms"] == pytest.approx(1000, rel=0.002)
    assert Latencies().curve() == []


def test_a_rate_and_a_cost_are_per_operation() -> None:
    sample = Measurement.of(100, 2.0, [], 0.01, 200)
    assert sample.figures == {"per_second": 50.0, "cpu_us": pytest.approx(50.0)}
    assert "cpu_us" not in Measurement.of(0, 2.0, [], 0.01).figures


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    result = RunResult("example", "retain bench run example")
    curve = [(50.0, 1.5), (99.0, 2.5)]
    for rate in (10.0, 30.0, 20.0):
        result.add("GET", Measurement({"per_second": rate}, curve))
    result.add("GET", Measurement({"per_second": 5.0}), "other")
    result.add("GET", Measurement({"per_second": 4.0}), "other")
    result.add("GET", Measurement({"per_second": 5.0}), "other")
    result.ratio("ours / theirs", result.row("GET"), result.row("GET", "other"), goal=3)
    result.notes.append("a note")
    path = result.save(tmp_path)
    again = RunResult.load(json.loads(path.read_text()))
    assert again == result
    assert again.row("GET").median("per_second") == 20
    assert again.row("GET").curve() == curve
    assert again.ratios[0].rounds == (2.0, 7.5, 4.0)
    assert again.ratios[0].value == 4.0


def test_where_less_is_better_a_ratio_is_turned() -> None:
    result = RunResult("example", "")
    result.add("start", Measurement({"seconds": 2.0}))
    result.add("start", Measurement({"seconds": 6.0}), "other")
    result.ratio("ours / theirs", result.row("start"), result.row("start", "other"), "seconds")
    assert result.ratios[0].value == 3.0


def test_the_newest_result_of_each_scenario_counts(tmp_path: Path) -> None:
    old, new, other = _result("one", per_second=[1.0]), _result("one", per_second=[2.0]), _result("two")
    old.time, new.time = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
    for result in (new, old, other):
        result.save(tmp_path)
    assert latest(tmp_path) == [new, other]


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"format": 1}', '{"format": 99}'])
def test_a_file_that_is_no_result_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(ValueError, match=r"odd\.json is no result"):
        latest(tmp_path)


def test_an_interval_is_students() -> None:
    # Logarithms 0 and 2: mean 1, standard deviation √2, t of one degree of freedom 12.71.
    middle, low, high = interval([1.0, math.e**2])
    assert middle == pytest.approx(math.e)
    assert low == pytest.approx(math.exp(1 - 12.71))
    assert high == pytest.approx(math.exp(1 + 12.71))
    assert interval([2.0]) == (2.0, 0.0, math.inf)


@pytest.mark.parametrize(
    ("metric", "head", "real", "worse"),
    [
        ("per_second", [50.0, 51.0, 49.0], True, True),
        ("per_second", [150.0, 151.0, 149.0], True, False),
        ("cpu_us", [150.0, 151.0, 149.0], True, True),
        ("cpu_us", [50.0, 51.0, 49.0], True, False),
        ("cpu_us", [90.0, 130.0, 95.0], False, False),
    ],
)
def test_what_changed_beyond_noise_is_told(metric: str, head: list[float], real: bool, worse: bool) -> None:
    (change,) = changes(_result(**{metric: [100.0, 100.0, 100.0]}), _result(**{metric: head}))
    assert (change.is_real, change.is_worse) == (real, worse)


def test_one_round_proves_nothing() -> None:
    (change,) = changes(_result(per_second=[100.0]), _result(per_second=[1.0]))
    assert not change.is_real


def test_a_commit_is_checked_out_and_removed_again(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    git("init", "-q")
    for name in ("retain", "api"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.py").write_text("one = 1\n")
    git("add", ".")
    git("commit", "-qm", "one")
    with checkout("HEAD", tmp_path) as folder:
        assert (folder / "retain" / "api" / "one.py").read_text() == "one = 1\n"
    assert not folder.exists()
    with checkout(str(tmp_path), tmp_path) as folder:
        assert folder == tmp_path
    with pytest.raises(NotComparable, match="nosuch is neither"), checkout("nosuch", tmp_path):
        pass


def test_a_cost_may_grow_by_a_tenth() -> None:
    before = {"GET": 10.0, "PUT": 10.0, "gone": 1.0}
    assert grown({"GET": 10.9, "PUT": 11.1, "new": 5.0}, before) == {"PUT": pytest.approx(1.11)}


def test_the_kept_costs_are_of_the_requests_that_are_measured() -> None:
    kept = json.loads(BASELINE.read_text())
    assert list(kept) == ["blob GET", "blob PUT", "area query", "area create", "settings GET"]
    assert all(cost > 0 for cost in kept.values())


def test_marked_places_of_a_page_are_replaced() -> None:
    text = (
        "# Page\n\n<!-- bench one -->\nold\n<!-- end -->\n\nText.\n\n<!-- bench two -->\nkept\n<!-- end -->\n"
    )
    new, changed = updated(text, [_result("one", per_second=[1234.0])])
    assert changed == ["one"]
    assert "old" not in new
    assert "| GET | retain | 1,234 |" in new
    assert "<!-- bench two -->\nkept\n<!-- end -->" in new
    assert updated(new, [_result("one", per_second=[1234.0])])[0] == new


def test_a_table_says_whether_a_goal_is_met() -> None:
    result = _result(per_second=[10.0])
    result.ratio("met", result.rows[0], ResultRow("", "", {"per_second": [5.0]}), goal=2)
    result.ratio("missed", result.rows[0], ResultRow("", "", {"per_second": [5.0]}), goal=3)
    text = tables([result])
    assert "| met | 2.00 | 2, met |" in text
    assert "| missed | 2.00 | 3, not met |" in text


def test_a_goal_may_be_the_most() -> None:
    result = _result(p99_ms=[9.0, 8.0], p50_ms=[3.0, 2.0])
    result.at_most("tail", result.rows[0], ("p99_ms", "p50_ms"), 3)
    result.at_most("long tail", result.rows[0], ("p99_ms", "p50_ms"), 4)
    text = tables([RunResult.load(json.loads(json.dumps(result.document())))])
    assert "| tail | 3.50 | at most 3, not met |" in text
    assert "| long tail | 3.50 | at most 4, met |" in text


def test_the_table_of_targets_keeps_the_rows_of_scenarios_that_were_not_run() -> None:
    one, two = _result("one", per_second=[10.0]), _result("two", per_second=[10.0])
    for result, goal in ((one, 1.5), (two, 3.0)):
        result.ratio(
            f"aim of {result.scenario}", result.rows[0], ResultRow("", "", {"per_second": [5.0]}), goal=goal
        )
        result.ratio("without a goal", result.rows[0], result.rows[0])
    page = "<!-- bench targets -->\n<!-- end -->\n"
    first, changed = updated(page, [two])
    assert changed == ["targets"]
    second, _ = updated(first, [one])
    assert [line for line in second.splitlines() if line.startswith("| aim")] == [
        "| aim of one | 1.5 | 2.00 | yes | `retain bench run one` |",
        "| aim of two | 3 | 2.00 | no | `retain bench run two` |",
    ]
    assert updated(second, [one, two])[0] == second
    assert "without a goal" not in second


def test_a_page_has_a_column_for_each_server() -> None:
    result = _result("one", per_second=[10.0], p99_ms=[1.0])
    result.add("GET", Measurement({"per_second": 5.0, "cpu_us": 7.0}), "other")
    result.add("PUT", Measurement({"seconds": 2.0}), "other")
    result.notes.append("a note")
    text, _ = updated("<!-- bench one -->\n<!-- end -->\n", [result])
    assert [line for line in text.splitlines() if line.startswith("| ")] == [
        "| case |  | retain | other |",
        "| --- | --- | --- | --- |",
        "| GET | per second | 10.0 | 5.00 |",
        "| GET | CPU µs each |  | 7.00 |",
        "| PUT | seconds |  | 2.00 |",
    ]
    assert text.endswith("A note.\n\n<!-- end -->\n")


def test_larger_scales_measure_further_powers_of_ten() -> None:
    assert capacity.counts(RunSettings(scale=0.1)) == [1000, 10_000, 100_000]
    assert capacity.counts(RunSettings()) == [10_000, 100_000, 1_000_000]
    assert capacity.counts(RunSettings(scale=10)) == [10_000, 100_000, 1_000_000, 10_000_000]


def test_the_page_loads_nothing_and_takes_its_ink_from_itself() -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn with retain[bench]")
    from retain.bench.pages import report_page

    result = _result("areas-http", per_second=[10.0, 12.0])
    result.rows[0].curves = [[(0.0, 1.0), (50.0, 2.0), (99.0, 3.0), (100.0, 9.0)]] * 2
    result.notes.append("<script>alert(1)</script>")
    text = report_page([result])
    assert not re.search(r'(?:src|href)="(?!#)', text.replace("xlink:href", ""))
    assert "<script" not in text
    assert text.count("<svg") == 2
    assert "#010203" not in text
    assert "currentColor" in text


def test_a_scenario_that_fails_does_not_prevent_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(settings: RunSettings, result: RunResult) -> None:
        raise RuntimeError("no psycopg")

    def works(settings: RunSettings, result: RunResult) -> None:
        result.add("GET", Measurement({"per_second": 1.0}))

    known = {name: Scenario(name, "Measure.", work) for name, work in (("a", fails), ("b", works))}
    monkeypatch.setattr(command, "scenarios", lambda: known)
    done = CliRunner().invoke(command.main, ["run", "all", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "a failed: no psycopg" in done.output
    assert [result.scenario for result in latest(tmp_path)] == ["b"]


def test_every_scenario_is_described() -> None:
    readme = (ROOT / "bench" / "README.md").read_text()
    for name, scenario in scenarios().items():
        assert f"| `{name}` |" in readme
        assert scenario.about.endswith(".")
    listed = re.findall(r"^\| `([a-z-]+)` \|", readme, re.MULTILINE)
    assert sorted(listed) == list(scenarios())


def test_every_metric_is_named_once() -> None:
    assert all(name == metric.name for name, metric in METRICS.items())
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)


def test_a_page_has_a_row_for_each_size() -> None:
    result = RunResult("capacity", "retain bench run capacity")
    for count, mib in (("1,000,000", 1065.0), ("10,000", 99.5)):
        result.add(f"memory with {count}", Measurement({"mib": mib, "bytes_each": 1.0}))
        result.add(f"page of 5,000 of {count}", Measurement({"p50_ms": 37.0}))
        result.add(f"page of 5,000 of {count}", Measurement({"p50_ms": 99.0}), "another")
    text, changed = updated("<!-- bench capacity -->\nold\n<!-- end -->\n", [result])
    rows = [line for line in text.splitlines() if line.startswith("| 1")]
    assert changed == ["capacity"]
    assert rows == [
        "| 10,000 |  | 99.5 |  |  | 37.0 |  |  |  |  |  |",
        "| 1,000,000 |  | 1,065 |  |  | 37.0 |  |  |  |  |  |",
    ]
    assert "`retain bench run capacity`" in text


def test_a_page_has_the_ratio_of_two_servers_by_rounds() -> None:
    result = RunResult("short-path", "retain bench run short-path")
    for short, long in ((100.0, 200.0), (100.0, 400.0), (300.0, 400.0)):
        result.add("PUT", Measurement({"cpu_us": long}), LONG_PATH)
        result.add("PUT", Measurement({"cpu_us": short, "per_second": 5.0}), SHORT_PATH)
    result.add("GET", Measurement({"cpu_us": 50.0}), SHORT_PATH)
    result.add("GET", Measurement({"cpu_us": 100.0}), LONG_PATH)
    text, _ = updated("<!-- bench short-path -->\nold\n<!-- end -->\n", [result])
    assert [line for line in text.splitlines() if line.startswith(("| PUT", "| GET"))] == [
        "| PUT | 400 | 100 | 0.50 |  | 5.00 |",
        "| GET | 100 | 50.0 | 0.50 |  |  |",
    ]


def test_a_place_may_have_all_figures() -> None:
    result = _result("one", per_second=[10.0], p99_ms=[1.5])
    result.add("GET", Measurement({"p99_ms": 2.5}), "other")
    result.ratio("ours / theirs", result.rows[0], result.rows[1], "p99_ms")
    text, changed = updated("<!-- bench one in full -->\nold\n<!-- end -->\n", [result])
    assert changed == ["one"]
    assert "old" not in text
    assert [line for line in text.splitlines() if line.startswith(("| ours", "| GET"))] == [
        "| ours / theirs | 1.67 |  |",
        "| GET | retain | 10.0 | 1.50 |",
        "| GET | other |  | 2.50 |",
    ]
    assert updated(text, [result])[0] == text


def test_a_single_figure_may_have_a_goal() -> None:
    result = _result("one", seconds=[9.0, 11.0, 12.0])
    result.limit("a start, s", result.rows[0], "seconds", 10)
    result.limit("a slow start, s", result.rows[0], "seconds", 11)
    text, _ = updated("<!-- bench targets -->\n<!-- end -->\n", [result])
    assert "| a start, s | at most 10 | 11.0 | no | `retain bench run one` |" in text
    assert "| a slow start, s | at most 11 | 11.0 | yes | `retain bench run one` |" in text


def test_a_node_of_a_million_blobs_has_targets() -> None:
    def measured(**options: float) -> list[str]:
        result = RunResult("capacity", "")
        settings = RunSettings(**options)  # type: ignore[arg-type]
        for count in capacity.counts(settings):
            result.add(f"memory with {count:,}", Measurement({"mib": 1.0}))
            result.add(f"page of 5,000 of {count:,}", Measurement({"p99_ms": 1.0}))
            for case in capacity.STARTS:
                result.add(f"first answer of {count:,} {case}", Measurement({"seconds": 11.0}))
        capacity.add_targets(settings, result)
        return [f"{one.name} {one.wanted} {one.is_met}" for one in result.ratios]

    assert measured(scale=0.1) == []
    assert (
        measured()
        == measured(scale=10)
        == [
            "memory with 1,000,000 blobs, MiB at most 1536 True",
            "first answer of 1,000,000 blobs after a clean stop, s at most 10 False",
            "first answer of 1,000,000 blobs after SIGKILL, s at most 10 False",
            "page of 5,000 of 1,000,000 blobs: p99, ms at most 100 True",
        ]
    )


@pytest.mark.parametrize("page", ["docs/performance.md", "docs/capacity.md"])
def test_every_place_of_a_page_is_of_a_scenario_and_has_an_end(page: str) -> None:
    text = (ROOT / page).read_text()
    marks = re.findall(r"<!-- (bench ([a-z-]+)(?: in full)?|end) -->", text)
    assert [mark[0] == "end" for mark in marks] == [False, True] * (len(marks) // 2)
    names = [name for _, name in marks if name]
    assert len(names) > 1
    assert len(set(names)) == len(names)
    assert set(names) <= {"targets", *scenarios()}
    results = [_result(name, per_second=[1.0]) for name in names if name != "targets"]
    assert sorted(updated(text, results)[1]) == sorted(names)


def test_the_tables_by_size_name_cases_that_are_measured() -> None:
    """The patterns and the scenarios must not drift apart."""
    text = (ROOT / "bench" / "scenarios" / "capacity.py").read_text()
    for column in PIVOTS["capacity"].columns:
        case = column.case.replace("5,000", "{PAGE:,}").replace("find 20", "find {blobs.FOUND}")
        assert (
            case.replace("{}", "{count:,}").removesuffix(" after a clean stop").removesuffix(" after SIGKILL")
            in text
        )
    sizes = {commit._name(commit.COMPARED, count) for count in commit.CLIENTS}
    for column in PIVOTS["commit"].columns:
        assert sizes == {name for name in sizes if re.fullmatch(column.case.replace("{}", r"\d+"), name)}
    names = [
        connections._name(method, count) for method in ("GET", "PUT") for count in connections.CONNECTIONS
    ]
    for column in PIVOTS["connections"].columns:
        found = [name for name in names if re.fullmatch(column.case.replace("{}", r"\d+"), name)]
        assert len(found) == len(connections.CONNECTIONS)
