"""An area with a file, and a user's settings that override the application's."""

from __future__ import annotations

import os

import requests

URL = os.environ.get("RETAIN_URL", "http://127.0.0.1:8080")
STORAGE = f"{URL}/genesys/1/storage"
SETTINGS = f"{URL}/mobileservices/Storage/v1/runtime/application/example-python"


def use_areas(http: requests.Session) -> None:
    """Store a text and a file for an hour, and read the file by the link that the listing has."""
    made = http.post(f"{STORAGE}/3600", data={"topic": "billing"}, files={"note": ("note.txt", b"hello")})
    made.raise_for_status()
    area = f"{STORAGE}/{made.json()['id']}"
    keys = http.get(area).json()
    print(f"file: {len(http.get(keys['note']).content)} bytes")
    http.delete(area).raise_for_status()


def use_settings(http: requests.Session) -> None:
    """Read a merged value, and change it only if nobody else did."""
    http.auth = (os.environ.get("RETAIN_USER", "ann"), os.environ.get("RETAIN_PASSWORD", "secret"))
    for level in ("global", "currentuser"):
        http.delete(f"{SETTINGS}/{level}")
    http.post(f"{SETTINGS}/global", json={"ui": {"theme": "light", "size": 10}}).raise_for_status()
    http.patch(f"{SETTINGS}/currentuser/ui", json={"theme": "dark"}).raise_for_status()
    seen = http.get(f"{SETTINGS}/currentuser/ui")
    print(f"settings: {seen.json()}")

    http.patch(f"{SETTINGS}/currentuser/ui", json={"size": 12}).raise_for_status()
    late = http.patch(
        f"{SETTINGS}/currentuser/ui", json={"size": 14}, headers={"If-Match": seen.headers["ETag"]}
    )
    print(f"kept the other's change: {late.status_code}")


if __name__ == "__main__":
    with requests.Session() as session:
        use_areas(session)
        use_settings(session)
