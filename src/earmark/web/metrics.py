"""Metrics for Prometheus: counts, durations, and requests under way."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
_WINDOWS = (1, 2, 4, 8, 16)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "earmark_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "earmark_request_seconds", "From request to answer", ["route"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.under_way = Gauge(
            "earmark_requests_under_way", "Uploads that arrive, wait or are heard",
            registry=self.registry,
        )  # fmt: skip
        self.heard = Counter(
            "earmark_audio_seconds", "Seconds of audio heard", registry=self.registry
        )
        self.uploaded = Counter(
            "earmark_upload_bytes", "Bytes of request bodies", registry=self.registry
        )
        self.batches = Histogram(
            "earmark_batch_windows", "Windows that went through the network together",
            buckets=_WINDOWS, registry=self.registry,
        )  # fmt: skip
        self.decoders_lost = Counter(
            "earmark_decoders_lost", "Decoder processes replaced", ["why"], registry=self.registry
        )

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
