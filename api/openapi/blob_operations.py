"""The operations of the blobs interface, a row for each: docs/wire/blobs.md, section 5."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from retain.api.openapi import blob_parameters as known
from retain.api.openapi.blob_schemas import xml
from retain.api.openapi.parts import ANYTHING, BYTES, Doc, content

WRITTEN: Final = ("ETag", "Last-Modified")
_LEASED: Final = ("x-ms-lease-status", "x-ms-lease-state", "x-ms-lease-duration")
_CONTAINER_HEADERS: Final = (
    *WRITTEN,
    *_LEASED,
    "x-ms-meta-name",
    "x-ms-has-immutability-policy",
    "x-ms-has-legal-hold",
    "x-ms-immutable-storage-with-versioning-enabled",
    "x-ms-default-encryption-scope",
    "x-ms-deny-encryption-scope-override",
    "x-ms-blob-public-access",
)
_BLOB_HEADERS: Final = (
    *WRITTEN,
    *_LEASED,
    "Accept-Ranges",
    "x-ms-creation-time",
    "x-ms-blob-type",
    "x-ms-server-encrypted",
    "Content-Encoding",
    "Content-Language",
    "Content-Disposition",
    "Cache-Control",
    "Content-MD5",
    "x-ms-meta-name",
    "x-ms-tag-count",
    "x-ms-access-tier",
    "x-ms-access-tier-inferred",
    "x-ms-access-tier-change-time",
    "x-ms-smart-access-tier",
    "x-ms-copy-id",
    "x-ms-copy-source",
    "x-ms-copy-status",
    "x-ms-copy-progress",
    "x-ms-copy-completion-time",
)
_READ_HEADERS: Final = (
    *_BLOB_HEADERS,
    "Content-Security-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "x-ms-content-crc64",
    "x-ms-structured-body",
    "x-ms-structured-content-length",
)
_ENCRYPTED: Final = "x-ms-request-server-encrypted"
_SUMS: Final = ("Content-MD5", "x-ms-content-crc64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One operation of the description.

    Attributes:
        name: Its id.
        azure: What Azure calls it; several where headers distinguish them.
        method: Of HTTP.
        tail: The part of the query that chooses it, with its question mark; empty if there is none.
        parameters: Names of headers and query parameters, keys of `blob_parameters.ALL`.
        success: Status to (description, headers, body).
        fails: Statuses beside those that any operation may answer.
        body: The bytes to send.
    """

    name: str
    azure: Sequence[str]
    method: str
    success: Mapping[int, tuple[str, Iterable[str], Doc | None]]
    tail: str = ""
    parameters: Iterable[str] = ()
    fails: Iterable[int] = ()
    body: Doc | None = None


_ANY_BODY: Final[Doc] = {"required": False, "content": content("application/octet-stream", BYTES)}
_BATCH: Final[Doc] = {
    "required": True,
    "description": "Delete Blob and Set Blob Tier requests, at most 256, a part `application/http` each.",
    "content": content("multipart/mixed", BYTES),
}
_BATCH_ANSWER: Final = ("An answer for each request.", (), content("multipart/mixed", ANYTHING))
_INFORMATION: Final = (
    "The kind of account.",
    ("x-ms-sku-name", "x-ms-account-kind", "x-ms-is-hns-enabled"),
    None,
)


def _sent(name: str, *, required: bool = True) -> Doc:
    return {"required": required, "content": xml(name, sent=True)}


def _information(place: str, method: str) -> Row:
    suffix = "" if method == "get" else "Head"
    return Row(
        name=f"get{place}AccountInformation{suffix}",
        azure=["Get Account Information"],
        method=method,
        tail="?restype=account&comp=properties",
        success={200: _INFORMATION},
    )


def _find(name: str, azure: str, tail: str) -> Row:
    return Row(
        name=name,
        azure=[azure],
        method="get",
        tail=tail,
        parameters=known.FIND,
        success={200: ("The blobs, each with the tags that the expression names.", (), xml("FoundBlobs"))},
    )


ACCOUNT: Final = [
    Row(
        name="listContainers",
        azure=["List Containers"],
        method="get",
        tail="?comp=list",
        parameters=known.PAGE,
        success={200: ("The containers.", (), xml("ContainerListing"))},
    ),
    Row(
        name="getBlobServiceProperties",
        azure=["Get Blob Service Properties"],
        method="get",
        tail="?restype=service&comp=properties",
        success={200: ("The properties.", (), xml("BlobServiceProperties"))},
    ),
    Row(
        name="setBlobServiceProperties",
        azure=["Set Blob Service Properties"],
        method="put",
        tail="?restype=service&comp=properties",
        parameters=known.SUMS,
        body=_sent("BlobServiceProperties"),
        success={202: ("Stored. Omitted elements are unchanged.", (), None)},
        fails=(411, 413, 507),
    ),
    _information("", "get"),
    _information("", "head"),
    _find("findBlobsByTags", "Find Blobs by Tags", "?comp=blobs"),
    Row(
        name="submitBatch",
        azure=["Blob Batch"],
        method="post",
        tail="?comp=batch",
        body=_BATCH,
        success={202: _BATCH_ANSWER},
        fails=(411, 413, 507),
    ),
]
CONTAINER: Final = [
    Row(
        name="createContainer",
        azure=["Create Container"],
        method="put",
        tail="?restype=container",
        parameters=(known.METADATA, known.PUBLIC_ACCESS),
        success={201: ("Created.", WRITTEN, None)},
        fails=(409, 507),
    ),
    *(
        Row(
            name=f"getContainerProperties{suffix}",
            azure=["Get Container Properties"],
            method=method,
            tail="?restype=container",
            parameters=known.LEASE,
            success={200: ("In the headers.", _CONTAINER_HEADERS, None)},
            fails=(412,),
        )
        for method, suffix in (("get", ""), ("head", "Head"))
    ),
    Row(
        name="deleteContainer",
        azure=["Delete Container"],
        method="delete",
        tail="?restype=container",
        parameters=(*known.LEASE, *known.CONDITIONS),
        success={202: ("Deleted with all its blobs.", (), None)},
        fails=(409, 412, 507),
    ),
    *(
        Row(
            name=f"getContainerMetadata{suffix}",
            azure=["Get Container Properties"],
            method=method,
            tail="?restype=container&comp=metadata",
            parameters=known.LEASE,
            success={200: ("In the headers.", (*WRITTEN, "x-ms-meta-name"), None)},
            fails=(412,),
        )
        for method, suffix in (("get", ""), ("head", "Head"))
    ),
    Row(
        name="setContainerMetadata",
        azure=["Set Container Metadata"],
        method="put",
        tail="?restype=container&comp=metadata",
        parameters=(*known.LEASE, *known.CONDITIONS, known.METADATA),
        success={200: ("Replaced.", WRITTEN, None)},
        fails=(409, 412, 507),
    ),
    *(
        Row(
            name=f"getContainerAcl{suffix}",
            azure=["Get Container ACL"],
            method=method,
            tail="?restype=container&comp=acl",
            parameters=known.LEASE,
            success={
                200: (
                    "The stored access policies.",
                    (*WRITTEN, "x-ms-blob-public-access"),
                    xml("AccessPolicies") if method == "get" else None,
                )
            },
            fails=(412,),
        )
        for method, suffix in (("get", ""), ("head", "Head"))
    ),
    Row(
        name="setContainerAcl",
        azure=["Set Container ACL"],
        method="put",
        tail="?restype=container&comp=acl",
        parameters=(*known.LEASE, *known.CONDITIONS, *known.SUMS, known.PUBLIC_ACCESS),
        body=_sent("AccessPolicies", required=False),
        success={200: ("All policies are replaced.", WRITTEN, None)},
        fails=(409, 411, 412, 413, 507),
    ),
    Row(
        name="leaseContainer",
        azure=["Lease Container", "Lease Container (break)"],
        method="put",
        tail="?restype=container&comp=lease",
        parameters=(*known.LEASING, *known.CONDITIONS),
        success={
            200: ("Renewed, changed or released.", (*WRITTEN, "x-ms-lease-id"), None),
            201: ("Acquired.", (*WRITTEN, "x-ms-lease-id"), None),
            202: ("Breaking.", (*WRITTEN, "x-ms-lease-time"), None),
        },
        fails=(409, 412, 507),
    ),
    Row(
        name="listBlobs",
        azure=["List Blobs"],
        method="get",
        tail="?restype=container&comp=list",
        parameters=(*known.PAGE, "delimiter", "startFrom"),
        success={200: ("The blobs in the order of their names.", (), xml("BlobListing"))},
    ),
    _find("findBlobsInContainer", "Find Blobs by Tags in Container", "?restype=container&comp=blobs"),
    Row(
        name="submitContainerBatch",
        azure=["Blob Batch"],
        method="post",
        tail="?restype=container&comp=batch",
        body=_BATCH,
        success={202: _BATCH_ANSWER},
        fails=(411, 413, 507),
    ),
    _information("Container", "get"),
    _information("Container", "head"),
]
BLOB: Final = [
    Row(
        name="getBlob",
        azure=["Get Blob"],
        method="get",
        parameters=(*known.ON_BLOB, *known.RANGES, *known.OLDER),
        success={
            200: ("The content, with its stored type.", _READ_HEADERS, content("*/*", ANYTHING)),
            206: (
                "The range.",
                (*_READ_HEADERS, "Content-Range", "x-ms-blob-content-md5"),
                content("*/*", ANYTHING),
            ),
        },
        fails=(304, 412, 416),
    ),
    Row(
        name="getBlobProperties",
        azure=["Get Blob Properties"],
        method="head",
        parameters=(*known.ON_BLOB, *known.OLDER),
        success={200: ("In the headers.", _BLOB_HEADERS, None)},
        fails=(304, 412),
    ),
    Row(
        name="putBlob",
        azure=["Put Blob", "Put Blob From URL", "Copy Blob"],
        method="put",
        parameters=(
            *known.ON_BLOB,
            *known.CONTENT,
            *known.UPLOAD,
            *known.SOURCE,
            *known.SOURCE_SUMS,
            *("x-ms-blob-type", known.METADATA, "x-ms-tags", "x-ms-access-tier", "x-ms-requires-sync"),
            *("x-ms-copy-source-tag-option", "x-ms-copy-source-blob-properties", "x-ms-rehydrate-priority"),
        ),
        body=_ANY_BODY,
        success={
            201: ("Stored.", (*WRITTEN, *_SUMS, "x-ms-structured-body", _ENCRYPTED), None),
            202: ("Copied.", (*WRITTEN, "x-ms-copy-id", "x-ms-copy-status", *_SUMS), None),
        },
        fails=(409, 411, 412, 413, 501, 507),
    ),
    Row(
        name="deleteBlob",
        azure=["Delete Blob"],
        method="delete",
        parameters=(*known.ON_BLOB, "x-ms-delete-snapshots", *known.OLDER),
        success={202: ("Deleted. It cannot be restored.", ("x-ms-delete-type-permanent",), None)},
        fails=(409, 412, 507),
    ),
    *(
        Row(
            name=f"getBlobMetadata{suffix}",
            azure=["Get Blob Metadata"],
            method=method,
            tail="?comp=metadata",
            parameters=(*known.ON_BLOB, *known.OLDER),
            success={200: ("In the headers.", (*WRITTEN, "x-ms-meta-name"), None)},
            fails=(304, 412),
        )
        for method, suffix in (("get", ""), ("head", "Head"))
    ),
    Row(
        name="setBlobMetadata",
        azure=["Set Blob Metadata"],
        method="put",
        tail="?comp=metadata",
        parameters=(*known.ON_BLOB, known.METADATA, *known.OLDER),
        success={200: ("Replaced.", (*WRITTEN, _ENCRYPTED), None)},
        fails=(409, 412, 507),
    ),
    Row(
        name="setBlobProperties",
        azure=["Set Blob Properties"],
        method="put",
        tail="?comp=properties",
        parameters=(*known.ON_BLOB, *known.CONTENT, *known.OLDER),
        success={200: ("All six are set; those not named are cleared.", WRITTEN, None)},
        fails=(409, 412, 507),
    ),
    Row(
        name="getBlobTags",
        azure=["Get Blob Tags"],
        method="get",
        tail="?comp=tags",
        parameters=(*known.ON_TAGS, *known.OLDER),
        success={200: ("The tags.", (), xml("BlobTags"))},
        fails=(304, 412),
    ),
    Row(
        name="setBlobTags",
        azure=["Set Blob Tags"],
        method="put",
        tail="?comp=tags",
        parameters=(*known.ON_TAGS, *known.SUMS, *known.OLDER),
        body=_sent("BlobTags"),
        success={204: ("Replaced.", (), None)},
        fails=(409, 411, 412, 413, 507),
    ),
    Row(
        name="putBlock",
        azure=["Put Block", "Put Block From URL"],
        method="put",
        tail="?comp=block",
        parameters=(
            *known.LEASE,
            *known.UPLOAD,
            *known.SOURCE,
            *known.SOURCE_SUMS,
            *("blockid", "x-ms-source-range", known.METADATA),
        ),
        body=_ANY_BODY,
        success={201: ("Staged.", (*_SUMS, "x-ms-structured-body", _ENCRYPTED), None)},
        fails=(409, 411, 412, 413, 416, 507),
    ),
    Row(
        name="putBlockList",
        azure=["Put Block List"],
        method="put",
        tail="?comp=blocklist",
        parameters=(
            *known.ON_BLOB,
            *known.CONTENT,
            *known.SUMS,
            *(known.METADATA, "x-ms-tags", "x-ms-access-tier"),
        ),
        body=_sent("BlockList"),
        success={201: ("The blob consists of these blocks.", (*WRITTEN, *_SUMS, _ENCRYPTED), None)},
        fails=(409, 411, 412, 413, 507),
    ),
    Row(
        name="getBlockList",
        azure=["Get Block List"],
        method="get",
        tail="?comp=blocklist",
        parameters=(*known.ON_BLOB, "blocklisttype", *known.OLDER),
        success={
            200: ("The blocks.", (*WRITTEN, "x-ms-blob-content-length"), xml("BlockListing")),
        },
        fails=(304, 412),
    ),
    Row(
        name="leaseBlob",
        azure=["Lease Blob", "Lease Blob (break)"],
        method="put",
        tail="?comp=lease",
        parameters=(*known.LEASING, *known.CONDITIONS, "x-ms-if-tags", *known.OLDER),
        success={
            200: ("Renewed, changed or released.", (*WRITTEN, "x-ms-lease-id"), None),
            201: ("Acquired.", (*WRITTEN, "x-ms-lease-id"), None),
            202: ("Breaking.", (*WRITTEN, "x-ms-lease-time"), None),
        },
        fails=(409, 412, 507),
    ),
    Row(
        name="setBlobTier",
        azure=["Set Blob Tier"],
        method="put",
        tail="?comp=tier",
        parameters=(*known.ON_BLOB, "x-ms-access-tier", "x-ms-rehydrate-priority", *known.OLDER),
        success={200: ("Set. All blobs are on the same disk.", (), None)},
        fails=(409, 412, 507),
    ),
    Row(
        name="abortCopy",
        azure=["Abort Copy Blob"],
        method="put",
        tail="?comp=copy",
        parameters=("copyid", "x-ms-copy-action", *known.LEASE),
        success={},
        fails=(409,),
    ),
    _information("Blob", "get"),
    _information("Blob", "head"),
]
