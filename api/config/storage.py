"""The sections `[storage]`, `[retention]` and `[audit]`: the data folder, periods and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from retain.api.config.checks import base_url, log_name, path, store_url
from retain.api.config.fields import setting

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Location and layout of the stored data."""

    data: str = setting(
        "./retain-data",
        "The data folder. The first start creates it, accessible to its owner only. A relative path "
        "starts at "
        "this file's folder.",
        check=path,
    )
    segment_bytes: int = setting(
        64 * MEBIBYTE,
        "Size in bytes at which the journal starts a new file.",
        minimum=MEBIBYTE,
        maximum=1024 * MEBIBYTE,
    )
    inline_bytes: int = setting(
        65536,
        "Content up to this size in bytes is stored in the journal, larger content in a file of its own.",
        minimum=0,
        maximum=MEBIBYTE // 2,
    )
    payloads: str | None = setting(
        None,
        "The store for content above inline_bytes where several machines answer as one ([cluster]): "
        "s3://bucket/prefix, azure://container/prefix, or file:///folder for a folder that all machines "
        "share. Credentials come from the variables that the store's own tools read, such as "
        "AWS_ACCESS_KEY_ID or AZURE_STORAGE_ACCOUNT_NAME. None: the data folder.",
        example="s3://recordings/payloads",
        check=store_url,
    )
    snapshot_records: int = setting(
        500_000,
        "Records between two snapshots, which make starts fast. 0: take a snapshot only when the server "
        "stops.",
        minimum=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig:
    """How long data is kept, and how soon after its deadline it is erased from disk."""

    recordings_days: int = setting(
        30,
        "Days for which a container keeps blobs, unless it has a retention of its own.",
        minimum=1,
        maximum=36500,
    )
    audit_days: int = setting(
        365,
        "Days for which the audit log keeps names and actors; after that it shows only that something "
        "happened.",
        minimum=1,
        maximum=36500,
    )
    erase_within_hours: float = setting(
        24.0,
        "Hours after a deadline within which data is erased from the data folder.",
        minimum=0.01,
        maximum=720,
    )
    sweep_interval: float = setting(
        1.0,
        "Seconds between two sweeps that remove expired data, in all interfaces. Expired data is never "
        "served, "
        "whatever the interval.",
        minimum=0.05,
        maximum=3600,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """Signed checkpoints of the audit log, to be kept by third parties."""

    origin: str | None = setting(
        None,
        "The globally unique name of this log in checkpoints and receipts, preferably a domain of yours "
        "and a "
        "path. The first start reads it when it creates the key; without it, the name is random.",
        example="retain.example.org/log",
        check=log_name,
    )
    checkpoint_folder: str | None = setting(
        None,
        "A folder for checkpoints: one file each, and the newest as latest.checkpoint. Choose a place "
        "where the "
        "operators of this server cannot remove them. A relative path starts at this file's folder.",
        example="/mnt/auditor/checkpoints",
    )
    checkpoint_url: str | None = setting(
        None,
        "A URL to which checkpoints are posted as text/plain; redirects are not followed.",
        example="https://auditor.example.org/checkpoints",
        check=base_url,
    )
    checkpoint_hours: float = setting(
        24.0,
        "Hours between two checkpoints; the first is sent at the start. None is sent if nothing was recorded "
        "since.",
        minimum=0.01,
        maximum=8760,
    )
