"""What the fuzz draws its requests from: routes, headers, bodies."""

from __future__ import annotations

AREAS = "/genesys/1/storage"
SETTINGS = "/mobileservices/Storage/v1/runtime/application"

#: Method and path; words in braces are drawn.
ROUTES: tuple[tuple[str, str], ...] = (
    ("POST", AREAS + "/{ttl}"),
    ("POST", AREAS + "/custom/{name}/{ttl}"),
    ("POST", AREAS + "/{area}/{ttl}"),
    ("GET", AREAS + "/{area}"),
    ("GET", AREAS + "/{area}/{key}"),
    ("GET", AREAS + "/binary/{area}/{key}"),
    ("DELETE", AREAS + "/{area}"),
    ("DELETE", AREAS + "/{area}/{key}"),
    *(
        (method, SETTINGS + "/app/" + level)
        for level in ("global", "global/{key}", "currentuser", "currentuser/{key}/{key}", "device/d/{key}")
        for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")
    ),
    ("GET", "/fuzzed/?comp=list&{token}"),
    ("GET", "/fuzzed/?restype=service&comp=properties&{token}"),
    ("PUT", "/fuzzed/?restype=service&comp=properties&{token}"),
    ("GET", "/fuzzed/?comp=blobs&where={where}&{token}"),
    ("PUT", "/fuzzed/{container}?restype=container&{token}"),
    ("GET", "/fuzzed/{container}?restype=container&{token}"),
    ("GET", "/fuzzed/{container}?restype=container&comp=list&prefix={name}&{token}"),
    ("PUT", "/fuzzed/{container}?restype=container&comp=metadata&{token}"),
    ("GET", "/fuzzed/{container}?restype=container&comp=acl&{token}"),
    ("PUT", "/fuzzed/{container}?comp=lease&restype=container&{token}"),
    ("DELETE", "/fuzzed/{container}?restype=container&{token}"),
    ("POST", "/fuzzed/{container}?restype=container&comp=batch&{token}"),
    *(
        (method, "/fuzzed/recordings/{blob}?{token}")
        for method in ("PUT", "GET", "HEAD", "DELETE", "OPTIONS")
    ),
    *(
        ("PUT", f"/fuzzed/recordings/{{blob}}?comp={comp}&{{token}}")
        for comp in ("metadata", "properties", "tags", "lease", "blocklist", "snapshot", "copy", "tier")
    ),
    ("PUT", "/fuzzed/recordings/{blob}?comp=block&blockid={block}&{token}"),
    ("GET", "/fuzzed/recordings/{blob}?comp=blocklist&blocklisttype=all&{token}"),
    ("GET", "/fuzzed/recordings/{blob}?comp=tags&{token}"),
    ("GET", "/fuzzed/recordings/{blob}?comp=metadata&{token}"),
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/console/"),
    ("POST", "/console/api/tokens"),
    ("GET", "/{name}/{name}"),
)
HEADERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gms_user", ("u", "", "ü")),
    ("if-match", ("*", '"0x1"', "x", "")),
    ("if-none-match", ("*", '"0x1"', 'W/"a", "b"')),
    ("if-modified-since", ("Sun, 06 Nov 1994 08:49:37 GMT", "yesterday")),
    ("range", ("bytes=0-9", "bytes=-5", "bytes=9-0", "bytes=0-1,3-4", "lines=1-2")),
    ("x-ms-blob-type", ("BlockBlob", "PageBlob", "")),
    ("x-ms-version", ("2019-12-12", "2026-10-06", "1999-01-01", "x")),
    ("x-ms-meta-a", ("1", "é")),
    ("x-ms-tags", ("a=1&b=2", "=", "a=1&a=2")),
    ("x-ms-lease-action", ("acquire", "break", "renew", "release", "x")),
    ("x-ms-lease-duration", ("15", "-1", "0")),
    ("x-ms-copy-source", ("https://localhost/fuzzed/recordings/a", "x")),
    ("content-md5", ("AAAAAAAAAAAAAAAAAAAAAA==", "x")),
    ("origin", ("https://example.org", "null")),
    ("accept-encoding", ("gzip", "*")),
    ("authorization", ("Basic eDp5", "Basic =", "Bearer a.b.c", "SharedKey fuzzed:AAAA")),
    ("x-requested-with", ("x" * 900,)),
    ("expect", ("200-ok",)),
)
KINDS = (
    "application/json",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/mixed; boundary=b",
    "application/xml",
    "text/plain;charset=utf-16",
    "",
)
PIECES = (
    b"--b\r\n",
    b"--b--\r\n",
    b"\r\n\r\n",
    b'Content-Disposition: form-data; name="k"; filename="f"\r\n',
    b'Content-Disposition: form-data; name="k"\r\n\r\nv\r\n',
    b"a=1&b=%41%zz&",
    b'{"a":{"b":[1,2,{"c":null}]}}',
    b'[{"op":"move","from":"/a","path":"/b"},{"op":"test","path":"/a","value":1e400}]',
    b'[{"op":"add","path":"/b","value":1}]',
    b"\xff\xfe\0",
    b"[" * 50,
    b'<?xml version="1.0"?><BlockList><Latest>QQ==</Latest></BlockList>',
    b"<Tags><TagSet/></Tags>",
    b'{"a":1}',
    b"<StorageServiceProperties/>",
    b"x" * 3000,
)

#: What a request to the blobs needs, by a word of its target.
MEANT: tuple[tuple[str, tuple[str, str]], ...] = (
    ("comp=lease", ("x-ms-lease-action", "break")),
    ("comp=tier", ("x-ms-access-tier", "Cool")),
    ("comp=metadata", ("x-ms-meta-a", "1")),
)
BODIES: tuple[tuple[str, bytes], ...] = (
    ("comp=blocklist", b'<?xml version="1.0"?><BlockList><Latest>QQ==</Latest></BlockList>'),
    ("comp=block&", b"block"),
    ("comp=tags", b"<Tags><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tags>"),
    ("restype=service", b"<StorageServiceProperties/>"),
)
