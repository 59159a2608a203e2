"""Data as people really have them: long names in many scripts, many containers, deep settings."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any, Final
from urllib.parse import quote, urlencode

from tests.kit.passwords import cheap_hash
from tests.kit.site import PASSWORD, Site

ADMINISTRATOR: Final = "ann.keller"
TENANT: Final = "harbour"
CONTAINERS: Final = tuple(
    f"call-recordings-of-the-southern-contact-centre-{number:02}" for number in range(40)
)
CONTAINER: Final = f"/console/containers/{TENANT}/{CONTAINERS[0]}"
"""The container with the names below."""
APPLICATION: Final = "com.example." + "a-very-long-application-id." * 8 + "phone"
PERSON: Final = "Grüße-an-" + "Maria-del-Carmen-" * 10 + "مها"
DEVICE: Final = "device-" + "0123456789abcdef" * 14

NAMES: Final = (
    "x" * 1024,  # nowhere a place to break a line
    "/".join(["a folder whose name has spaces in it"] * 27),
    "תיקייה/הקלטה של שיחה ארוכה מאוד עם לקוח.wav",  # right to left
    "مجلد/" + "تسجيل" * 60 + ".wav",
    "👩‍👩‍👧‍👦" * 40 + "/🏳️‍🌈.wav",  # joined emoji
    "Z" + "a\u0300\u0301\u0302\u0303\u0304" * 60 + ".wav",  # combining characters in stacks
    "evil\u202egpj.wav",  # turns what follows around
    "中文录音" * 100 + ".wav",
    "short.wav",
)
FOUND: Final = "RecordingType = 'CALL'"
TAGS: Final = {"k" * 128: "v" * 256, "RecordingType": "CALL", "customer": "4711"}
_HASH = cheap_hash(PASSWORD)
CONFIG: Final = (
    "".join(
        f"[[users]]\nname = {json.dumps(name)}\npassword = '{_HASH}'\nroles = ['Administrator']\n"
        for name in (ADMINISTRATOR, PERSON)
    )
    + f"[[tenants]]\nname = '{TENANT}'\ncontainers = {json.dumps(CONTAINERS)}\n"
)


def document(depth: int = 40) -> dict[str, Any]:
    """Settings that are deep, and have long names and values."""
    deep: dict[str, Any] = {"innermost": "value " * 100}
    for number in range(depth):
        deep = {f"level-{number:02}": deep}
    return {
        "deep": deep,
        "n" * 200: "v" * 2000,
        "العربية": "مرحبا " * 50,
        "many": {f"key-{number:03}": number for number in range(120)},
        "list": list(range(200)),
    }


def fill(site: Site, *, areas: int = 10, revisions: int = 3) -> str:
    """Fill the server of `CONFIG`; return the page of an area with long keys."""
    key = site.key(TENANT)
    for number, name in enumerate(NAMES):
        site.upload(TENANT, key, CONTAINERS[0], name, b"RIFF a voice", TAGS if number < 3 else {})
    root = f"/mobileservices/Storage/v1/runtime/application/{quote(APPLICATION, safe='')}"
    for revision in range(revisions):
        value = {"appearance": document(), "revision": {"number": revision}}
        _sent(site, f"{root}/global", value, "PUT" if revision else "POST")
    _sent(site, f"{root}/user/{quote(PERSON, safe='')}", {"appearance": document(12)}, user=PERSON)
    term = {"tenant": TENANT, "expiry": "2100-01-01T00:00", "timezone": "Europe/Berlin"}
    _sent(site, "/console/api/tokens", {**term, "containers": list(CONTAINERS)})
    for number in range(areas):
        _area(site, 3600 + 7200 * number, {"Key1": "Value1"})
    keys = {("K" * 250) + f"{number:04}": "V" * 3000 for number in range(4)}
    keys |= {f"مفتاح-{number}": "قيمة " * 40 for number in range(20)}
    return f"/console/areas/area?{urlencode({'id': _area(site, 1200, keys)})}"


def pages(area: str) -> dict[str, str]:
    """The paths of the pages that show it, each with a word for it."""
    settings = {"application": APPLICATION}
    user = {**settings, "user": PERSON}
    blob = {"name": NAMES[0]}
    filters = {"resource": "*" + "y" * 300, "actor": f"user:{PERSON}"}
    wrong = "RecordingType = 'CALL' AND customer = '4711' AND x" * 6
    return {
        "overview": "/console",
        "containers": "/console/containers",
        "container": CONTAINER,
        "folder": f"{CONTAINER}?{urlencode({'prefix': NAMES[1][:600]})}",
        "search": f"{CONTAINER}?{urlencode({'where': wrong})}",
        "found": f"{CONTAINER}?{urlencode({'where': FOUND})}",
        **{
            f"blob {number}": f"{CONTAINER}/blob?{urlencode({'name': NAMES[number]})}"
            for number in (0, 1, 3, 6)
        },
        **{
            f"preview {number}": f"{CONTAINER}?{urlencode({'selected': NAMES[number]})}"
            for number in (0, 1, 3, 6)
        },
        "delete": f"{CONTAINER}/blob/delete?{urlencode(blob)}",
        "retention": f"{CONTAINER}/retention?keep=days&days=1",
        "holds": f"{CONTAINER}/holds",
        "remove": f"{CONTAINER}/remove",
        "areas": "/console/areas",
        "area": area,
        "applications": "/console/settings",
        "settings": f"/console/settings?{urlencode({**user, 'device': DEVICE})}",
        "editor": f"/console/settings?{urlencode({**user, 'edit': 'user'})}",
        "settings, delete": f"/console/settings?{urlencode({**user, 'delete': 'user'})}",
        "tokens": "/console/tokens",
        "audit": "/console/audit",
        "audit of settings": "/console/audit?interface=settings",
        "audit, filtered": f"/console/audit?{urlencode(filters)}",
        "persons": "/console/persons",
        "notifications": "/console/notifications",
    }


def _area(site: Site, ttl: int, keys: dict[str, str]) -> str:
    request = urllib.request.Request(f"{site.server.url}/genesys/1/storage/{ttl}", urlencode(keys).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["id"])


def _sent(site: Site, path: str, value: Any, method: str = "POST", user: str = ADMINISTRATOR) -> None:
    credentials = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
    request = urllib.request.Request(
        f"{site.server.url}{path}", json.dumps(value).encode(), headers, method=method
    )
    urllib.request.urlopen(request, timeout=60).close()
