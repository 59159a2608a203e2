"""The documents of the blobs interface: XML, described as OpenAPI describes it (section 4.8.26)."""

from __future__ import annotations

from typing import Any, Final

from retain.api.openapi.parts import STRING, Doc, ref

_INTEGER: Final[Doc] = {"type": "integer", "minimum": 0}
_TRUTH: Final[Doc] = {"enum": ["true", "false"]}


def element(name: str, properties: Doc, required: list[str] | None = None, **more: Any) -> Doc:
    """Return an element with its children by name."""
    return {
        "type": "object",
        "xml": {"name": name},
        "properties": properties,
        "required": list(properties) if required is None else required,
        **more,
    }


def _many(name: str, item: Doc) -> Doc:
    """Return an element that holds any number of elements of one kind."""
    return {
        "type": "array",
        "xml": {"name": name, "wrapped": True},
        "items": {**item, "xml": {"name": _named(item, name)}},
    }


def _named(item: Doc, name: str) -> str:
    return item.get("xml", {}).get("name", name.removesuffix("s"))  # type: ignore[no-any-return]


def _attribute(name: str) -> Doc:
    return {"type": "string", "xml": {"name": name, "attribute": True}}


_TAG: Final = element(
    "Tag",
    {
        "Key": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9 +./:=_-]+$"},
        "Value": {"type": "string", "maxLength": 256, "pattern": "^[A-Za-z0-9 +./:=_-]*$"},
    },
)
_TAGS: Final = element("Tags", {"TagSet": {**_many("TagSet", _TAG), "maxItems": 10}})
_RETENTION: Final = element("RetentionPolicy", {"Enabled": _TRUTH, "Days": _INTEGER}, ["Enabled"])
_METRICS: Final[Doc] = {
    "Version": STRING,
    "Enabled": _TRUTH,
    "IncludeAPIs": _TRUTH,
    "RetentionPolicy": _RETENTION,
}
_CORS_RULE: Final = element(
    "CorsRule",
    {
        "AllowedOrigins": {**STRING, "example": "https://app.example.org"},
        "AllowedMethods": {**STRING, "example": "GET,PUT"},
        "AllowedHeaders": STRING,
        "ExposedHeaders": STRING,
        "MaxAgeInSeconds": _INTEGER,
    },
)
_LEASE: Final[Doc] = {
    "LeaseStatus": {"enum": ["locked", "unlocked"]},
    "LeaseState": {"enum": ["available", "leased", "expired", "breaking", "broken"]},
    "LeaseDuration": {"enum": ["infinite", "fixed"]},
}
_BLOB_PROPERTIES: Final[Doc] = {
    "Creation-Time": STRING,
    "Last-Modified": STRING,
    "Etag": STRING,
    "Content-Length": _INTEGER,
    "Content-Type": STRING,
    "Content-Encoding": STRING,
    "Content-Language": STRING,
    "Content-CRC64": STRING,
    "Content-MD5": STRING,
    "Cache-Control": STRING,
    "Content-Disposition": STRING,
    "BlobType": {"enum": ["BlockBlob"]},
    "AccessTier": STRING,
    "AccessTierInferred": _TRUTH,
    "SmartAccessTier": STRING,
    "AccessTierChangeTime": STRING,
    **_LEASE,
    "CopyId": STRING,
    "CopyStatus": {"enum": ["success"]},
    "CopySource": STRING,
    "CopyProgress": STRING,
    "CopyCompletionTime": STRING,
    "ServerEncrypted": _TRUTH,
    "TagCount": _INTEGER,
}
_METADATA: Final[Doc] = {"type": "object", "xml": {"name": "Metadata"}, "additionalProperties": STRING}
_BLOB: Final = element(
    "Blob",
    {
        "Name": STRING,
        "Properties": element(
            "Properties",
            _BLOB_PROPERTIES,
            ["Last-Modified", "Etag", "Content-Length", "BlobType"],
            additionalProperties=False,
        ),
        "Metadata": _METADATA,
        "Tags": _TAGS,
    },
    ["Name", "Properties"],
    additionalProperties=False,
)
_CONTAINER: Final = element(
    "Container",
    {
        "Name": STRING,
        "Properties": element(
            "Properties",
            {
                "Last-Modified": STRING,
                "Etag": STRING,
                **_LEASE,
                "PublicAccess": STRING,
                "DefaultEncryptionScope": STRING,
                "DenyEncryptionScopeOverride": _TRUTH,
                "HasImmutabilityPolicy": _TRUTH,
                "HasLegalHold": _TRUTH,
                "ImmutableStorageWithVersioningEnabled": _TRUTH,
            },
            ["Last-Modified", "Etag", "LeaseStatus", "LeaseState"],
            additionalProperties=False,
        ),
        "Metadata": _METADATA,
    },
    ["Name", "Properties"],
    additionalProperties=False,
)
_FOUND: Final = element(
    "Blob",
    {"Name": STRING, "ContainerName": STRING, "Tags": _TAGS, "TagValue": STRING},
    ["Name", "ContainerName"],
    additionalProperties=False,
)
_PREFIX: Final = element("BlobPrefix", {"Name": STRING})
_BLOCK: Final = element("Block", {"Name": STRING, "Size": _INTEGER})


def _page(attributes: list[str], fields: Doc) -> Doc:
    return element(
        "EnumerationResults",
        {**{name: _attribute(name) for name in attributes}, **fields, "NextMarker": STRING},
        [*attributes, *(name for name in fields if name in ("Blobs", "Containers")), "NextMarker"],
        additionalProperties=False,
    )


_BASE64: Final[Doc] = {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9+/]+={0,2}$"}}
_ASKED: Final[Doc] = {"Prefix": STRING, "Marker": STRING, "MaxResults": _INTEGER}


def _unwrapped(name: str) -> Doc:
    return {**_BASE64, "items": {**_BASE64["items"], "xml": {"name": name}}}


def _error() -> Doc:
    details = (
        *(
            "AuthenticationErrorDetail",
            "HeaderName",
            "HeaderValue",
            "QueryParameterName",
            "QueryParameterValue",
        ),
        *("Reason", "MinimumAllowed", "MaximumAllowed", "MaxLimit", "XmlNodeName", "XmlNodeValue"),
        *("CopySourceStatusCode", "CopySourceErrorCode", "CopySourceErrorMessage"),
    )
    return element(
        "Error",
        {"Code": STRING, "Message": STRING, **dict.fromkeys(details, STRING)},
        ["Code", "Message"],
        additionalProperties=False,
    )


_DOCUMENTS: Final[Doc] = {
    "BlobError": _error(),
    "BlobTags": _TAGS,
    "BlockList": element(
        "BlockList", {name: _unwrapped(name) for name in ("Latest", "Committed", "Uncommitted")}, []
    ),
    "BlockListing": element(
        "BlockList",
        {
            "CommittedBlocks": _many("CommittedBlocks", _BLOCK),
            "UncommittedBlocks": _many("UncommittedBlocks", _BLOCK),
        },
        [],
        additionalProperties=False,
    ),
    "BlobListing": _page(
        ["ServiceEndpoint", "ContainerName"],
        {
            **_ASKED,
            "Delimiter": STRING,
            "Blobs": element(
                "Blobs",
                {
                    "Blob": {"type": "array", "items": _BLOB},
                    "BlobPrefix": {"type": "array", "items": _PREFIX},
                },
                [],
                additionalProperties=False,
            ),
        },
    ),
    "ContainerListing": _page(["ServiceEndpoint"], {**_ASKED, "Containers": _many("Containers", _CONTAINER)}),
    "FoundBlobs": _page(
        ["ServiceEndpoint"],
        {"Marker": STRING, "Where": STRING, "MaxResults": _INTEGER, "Blobs": _many("Blobs", _FOUND)},
    ),
    "AccessPolicies": {
        "type": "array",
        "maxItems": 5,
        "xml": {"name": "SignedIdentifiers", "wrapped": True},
        "items": element(
            "SignedIdentifier",
            {
                "Id": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$"},
                "AccessPolicy": element(
                    "AccessPolicy",
                    {
                        "Start": {"type": "string", "example": "2026-01-01T00:00:00Z"},
                        "Expiry": {"type": "string", "example": "2060-01-01T00:00:00Z"},
                        "Permission": {"type": "string", "example": "rl"},
                    },
                    [],
                    additionalProperties=False,
                ),
            },
            ["Id"],
            additionalProperties=False,
        ),
    },
    "BlobServiceProperties": element(
        "StorageServiceProperties",
        {
            "Logging": element(
                "Logging",
                {
                    "Version": STRING,
                    "Delete": _TRUTH,
                    "Read": _TRUTH,
                    "Write": _TRUTH,
                    "RetentionPolicy": _RETENTION,
                },
            ),
            "HourMetrics": element("HourMetrics", _METRICS, ["Version", "Enabled", "RetentionPolicy"]),
            "MinuteMetrics": element("MinuteMetrics", _METRICS, ["Version", "Enabled", "RetentionPolicy"]),
            "Cors": {**_many("Cors", _CORS_RULE), "maxItems": 5},
            "DefaultServiceVersion": {"type": "string", "example": "2021-12-02"},
            "DeleteRetentionPolicy": element(
                "DeleteRetentionPolicy",
                {"Enabled": _TRUTH, "Days": _INTEGER, "AllowPermanentDelete": _TRUTH},
                ["Enabled"],
            ),
            "StaticWebsite": element(
                "StaticWebsite",
                {
                    "Enabled": _TRUTH,
                    "IndexDocument": STRING,
                    "ErrorDocument404Path": STRING,
                    "DefaultIndexDocumentPath": STRING,
                },
                ["Enabled"],
            ),
        },
        [],
        additionalProperties=False,
    ),
}
"""Each by its name as a component."""


def schemas() -> Doc:
    """Return the documents by their names as components."""
    return _DOCUMENTS


EXAMPLES: Final = {
    "AccessPolicies": "<SignedIdentifiers><SignedIdentifier><Id>reading</Id><AccessPolicy>"
    "<Expiry>2060-01-01T00:00:00Z</Expiry><Permission>rl</Permission>"
    "</AccessPolicy></SignedIdentifier></SignedIdentifiers>",
    "BlobServiceProperties": "<StorageServiceProperties><Cors><CorsRule>"
    "<AllowedOrigins>https://app.example.org</AllowedOrigins><AllowedMethods>GET</AllowedMethods>"
    "<AllowedHeaders>x-ms-*</AllowedHeaders><ExposedHeaders>x-ms-*</ExposedHeaders>"
    "<MaxAgeInSeconds>60</MaxAgeInSeconds></CorsRule></Cors></StorageServiceProperties>",
    "BlobTags": "<Tags><TagSet><Tag><Key>RecordingType</Key><Value>CALL</Value></Tag></TagSet></Tags>",
    "BlockList": "<BlockList><Latest>YmxvY2stMDAx</Latest></BlockList>",
}
"""What a request may send, by document."""


def xml(name: str, *, sent: bool = False) -> Doc:
    """Return a body that is one of these documents; with its example, if it is `sent`."""
    example = {"example": EXAMPLES[name]} if sent else {}
    return {"application/xml": {"schema": ref("schemas", name), **example}}
