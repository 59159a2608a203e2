"""How webhooks fare, in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from retain.api.notifications.notifier import Notifier


class NotificationMetrics(Collector):
    """Shows every webhook; nothing where there is none.

    Args:
        notifier: The webhooks.
        durable: Returns the last durable record.
    """

    def __init__(self, notifier: Notifier, durable: Callable[[], int]) -> None:
        self._notifier = notifier
        self._durable = durable

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        sent = CounterMetricFamily(
            "retain_notifications", "Requests to webhooks, by outcome.", labels=["webhook", "outcome"]
        )
        behind = GaugeMetricFamily(
            "retain_notifications_behind_records",
            "Records that a webhook was not told of yet.",
            labels=["webhook"],
        )
        failing = GaugeMetricFamily(
            "retain_notifications_failing", "1 while a webhook does not accept events.", labels=["webhook"]
        )
        dead = GaugeMetricFamily(
            "retain_notifications_dead_letters", "Events that a webhook did not accept.", labels=["webhook"]
        )
        durable = self._durable()
        for name, one in self._notifier.webhooks.items():
            sent.add_metric([name, "accepted"], one.course.sent)
            sent.add_metric([name, "failed"], one.course.failed)
            behind.add_metric([name], max(0, durable - one.told.seq))
            failing.add_metric([name], float(bool(one.course.trouble)))
            dead.add_metric([name], len(one.told.dead))
        return (sent, behind, failing, dead)
