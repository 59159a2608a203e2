"""Prometheus metrics of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from retain.api.notifications.notifier import Notifier


class NotificationMetrics(Collector):
    """Collects the metrics of all webhooks; none if none is configured.

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
            "Records not yet delivered to a webhook.",
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
            sent.add_metric([name, "accepted"], one.counts.sent)
            sent.add_metric([name, "failed"], one.counts.failed)
            behind.add_metric([name], max(0, durable - one.delivery.seq))
            failing.add_metric([name], float(bool(one.counts.trouble)))
            dead.add_metric([name], len(one.delivery.dead))
        return (sent, behind, failing, dead)
