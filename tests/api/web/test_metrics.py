"""What is counted of requests, as Prometheus reads it."""

from __future__ import annotations

import math

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from retain.api.web.metrics import Counters


def _samples(counters: Counters) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(counters.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_are_counted_by_interface_method_and_status() -> None:
    counters = Counters()
    counters.request("blobs", "GET", 200, 0.1)
    counters.request("blobs", "GET", 200, 0.1)
    counters.request("areas", "BREW", 405, 0.1)
    samples = _samples(counters)
    blobs = (("interface", "blobs"), ("method", "GET"), ("status", "200"))
    areas = (("interface", "areas"), ("method", "other"), ("status", "405"))
    assert samples["retain_http_requests_total", blobs] == 2
    assert samples["retain_http_requests_total", areas] == 1


@pytest.mark.parametrize(
    ("seconds", "least"),
    [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (10.0, "10.0"), (10.001, "+Inf")],
)
def test_a_bucket_holds_what_took_at_most_its_bound(seconds: float, least: str) -> None:
    counters = Counters()
    counters.request("blobs", "GET", 200, seconds)
    samples = _samples(counters)
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in samples.items()
        if name == "retain_http_request_seconds_bucket"
    }
    assert len(buckets) == 14
    assert {bound for bound, count in buckets.items() if count} == {
        bound for bound in buckets if float(bound) >= float(least)
    }
    one = (("interface", "blobs"), ("operation", ""))
    assert samples["retain_http_request_seconds_count", one] == 1
    assert samples["retain_http_request_seconds_sum", one] == pytest.approx(seconds)


def test_the_totals_of_the_pages_are_the_same_numbers() -> None:
    counters = Counters()
    for status, seconds in ((200, 0.002), (304, 0.02), (404, 20.0)):
        counters.request("settings", "GET", status, seconds)
    totals = counters.totals()["settings"]
    assert (totals.requests, totals.refused) == (3, 1)
    assert dict(totals.within)[0.0025] == 1
    assert totals.within[-1] == (math.inf, 3)
