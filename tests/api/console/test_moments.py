"""Dates in time zones."""

from __future__ import annotations

import pytest

from retain.api.admin.moments import instant, written, zone_of
from retain.engine import Invalid


@pytest.mark.parametrize(
    ("date", "zone", "utc"),
    [
        ("2022-05-13", "UTC-08:00", "2022-05-13T08:00:00Z"),
        ("2022-05-13", "UTC(-08:00)", "2022-05-13T08:00:00Z"),
        ("2022-05-13", "(UTC-08:00)", "2022-05-13T08:00:00Z"),
        ("2022-05-13", "UTC-8", "2022-05-13T08:00:00Z"),
        ("2022-05-13", "GMT+0530", "2022-05-12T18:30:00Z"),
        ("2022-05-13", "UTC +1", "2022-05-12T23:00:00Z"),
        ("2022-01-13", "UTC(-08:00) Pacific Time", "2022-01-13T08:00:00Z"),
        ("2022-07-13", "UTC(-08:00) Pacific Time", "2022-07-13T07:00:00Z"),
        ("2022-07-13", "(UTC-08:00) Pacific Time (US & Canada)", "2022-07-13T07:00:00Z"),
        ("2022-07-13", "Pacific Standard Time", "2022-07-13T07:00:00Z"),
        ("2022-07-13", "w. europe standard time", "2022-07-12T22:00:00Z"),
        ("2022-07-13", "(UTC+02:00) Europe/Berlin", "2022-07-12T22:00:00Z"),
        ("2022-07-13", "Etc/GMT+8", "2022-07-13T08:00:00Z"),
        ("2022-05-13", "UTC", "2022-05-13T00:00:00Z"),
        ("2022-05-13T12:30", "+05:30", "2022-05-13T07:00:00Z"),
        ("2022-07-01T12:30:15", "Europe/Berlin", "2022-07-01T10:30:15Z"),
        ("2022-01-01", "America/Los_Angeles", "2022-01-01T08:00:00Z"),
        ("2022-01-01T00:00:00Z", "America/Los_Angeles", "2022-01-01T00:00:00Z"),
        ("2022-10-30T02:30", "Europe/Berlin", "2022-10-30T00:30:00Z"),
    ],
)
def test_instants(date: str, zone: str, utc: str) -> None:
    assert written(instant(date, zone_of(zone))) == utc


@pytest.mark.parametrize(
    "zone",
    [
        "",
        " ",
        "()",
        "Nowhere/Else",
        "../../etc/passwd",
        "UTC+99:00",
        "UTC-08:75",
        "UTC-08:00 Europe/Berlin",
        "UTC(-08:00) Nowhere Time",
        "UTC Europe/Berlin",
        "+1",
        "UTC(-08:00",
        "UTC-08:00)",
        "\n",
        "9" * 5000,
    ],
)
def test_unknown_zones_are_refused(zone: str) -> None:
    with pytest.raises(Invalid) as refused:
        zone_of(zone)
    assert refused.value.reason == "timezone"


@pytest.mark.parametrize(
    "date",
    [
        "9999-12-31",
        "2500-01-02",
        "1969-12-31",
        "0001-01-01",
        "",
        "13.05.2022",
        "2022-13-01",
        "2022-05-13 noon",
        "9999-12-31T23:59:59-23:00x",
    ],
)
def test_other_dates_are_refused(date: str) -> None:
    with pytest.raises(Invalid) as refused:
        instant(date, zone_of("UTC"))
    assert refused.value.reason == "date"
