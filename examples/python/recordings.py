"""Upload recordings with tags, find them, download one."""

from __future__ import annotations

import os

from azure.storage.blob import BlobServiceClient, ContentSettings

CALLS = (("calls/1.mp3", "otto", 1000), ("calls/2.mp3", "uwe", 2000))


def main() -> None:
    """Use the container recordings of the tenant in RETAIN_BLOBS, a connection string."""
    with BlobServiceClient.from_connection_string(os.environ["RETAIN_BLOBS"]) as service:
        recordings = service.get_container_client("recordings")
        for name, agent, size in CALLS:
            recordings.upload_blob(
                name,
                b"\0" * size,
                overwrite=True,
                tags={"RecordingType": "CALL", "Agent": agent, "StoredTime": "2026-11-22"},
                content_settings=ContentSettings(content_type="audio/mpeg"),
            )
        wanted = "RecordingType='CALL' AND Agent='uwe' AND StoredTime>='2026-11-01'"
        for found in recordings.find_blobs_by_tags(wanted):
            print(f"found: {found.name}")
            print(f"downloaded: {len(recordings.download_blob(found.name).readall())} bytes")


if __name__ == "__main__":
    main()
