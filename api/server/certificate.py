"""Expiry of the server's certificate, for `retain doctor` and the metrics."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

from retain.engine.core.time import SECOND


def certificate_end(path: str) -> int | None:
    """Return when the first certificate in the file ends, in nanoseconds; None if that cannot be read."""
    from cryptography import x509  # takes a while to import

    try:
        der = ssl.PEM_cert_to_DER_cert(_first_certificate(Path(path)))
        end: datetime = x509.load_der_x509_certificate(der).not_valid_after_utc
    except (OSError, ValueError):
        return None
    return int(end.timestamp()) * SECOND


def _first_certificate(path: Path) -> str:
    text = path.read_text("ascii")
    end = "-----END CERTIFICATE-----"
    start = text.index("-----BEGIN CERTIFICATE-----")
    return text[start : text.index(end, start) + len(end)]
