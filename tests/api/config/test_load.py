"""The configuration: strict, overridable, and the only source of its own documents."""

from __future__ import annotations

import socket
import tomllib
from pathlib import Path
from typing import Any

import pytest

from retain.api.config.credentials import is_credential
from retain.api.config.document import commented_file, reference
from retain.api.config.fields import keys_of
from retain.api.config.load import SECTIONS, TABLES, Config, ConfigError, exposed_secrets, is_loopback, load

#: A hash in the form `retain user hash` prints, of no password.
HASH = f"$argon2id$v=19$m=65536,t=3,p=4${'a' * 22}${'b' * 43}"


#: A node whose database is at the URL.
NODE = """
[storage]
payloads = "file:///none"
[cluster]
log = "postgresql://{}"
name = "n1"
link = "127.0.0.1:8079"
secret_file = "secret"
"""


def given(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "retain.toml"
    path.write_text(text)
    return path


def test_nothing_at_all_is_a_configuration() -> None:
    assert load(None, {}) == Config()


def test_the_commented_file_changes_nothing(tmp_path: Path) -> None:
    config = load(given(tmp_path, commented_file()), {})
    assert config.server == Config().server
    assert config.storage.data == str(tmp_path / "retain-data")


def test_the_commented_file_is_valid_with_every_comment_sign_taken_away(tmp_path: Path) -> None:
    lines = commented_file().splitlines()
    active = [line.removeprefix("# ") for line in lines if line.startswith(("# [[", "[")) or " = " in line]
    text = "\n".join(active).replace("$argon2id$…", HASH).replace("…base64…", "a2V5")
    tables: dict[str, Any] = tomllib.loads(text)
    for section, cls in SECTIONS.items():
        assert set(tables[section]) == {key.name for key in keys_of(cls)}
    for table, cls in TABLES.items():
        assert set(tables[table][0]) == {key.name for key in keys_of(cls)}
    # Not all examples can hold together with the others' defaults; each section alone is loadable.
    clustered = _toml({one: tables[one] for one in ("storage", "cluster")})
    load(given(tmp_path, clustered), {})
    for section in SECTIONS.keys() - {"storage", "cluster"}:
        chosen = tables[section] | ({"jwt_secret": "x" * 32} if section == "identity" else {})
        if section == "server":
            chosen["bind"] = "127.0.0.1:1"
        extra = {"server": {"trusted_proxies": ["127.0.0.1"]}} if section == "identity" else {}
        load(given(tmp_path, _toml({section: chosen, **extra})), {})


def _toml(tables: dict[str, dict[str, Any]]) -> str:
    import json

    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in table.items() if v != "")
        for name, table in tables.items()
    )


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[servr]", "servr", "unknown section"),
        ("server = 1", "server", "must be a table"),
        ("[server]\nbnd = 'x'", "server.bnd", "unknown key"),
        ("[server]\nmax_headers = 'x'", "server.max_headers", "whole number"),
        ("[server]\nmax_headers = true", "server.max_headers", "whole number"),
        ("[server]\nmax_headers = 1", "server.max_headers", "at least 10"),
        ("[server]\nmax_headers = 1000000", "server.max_headers", "at most 1000"),
        ("[server]\nbind = '127.0.0.1'", "server.bind", "host:port"),
        ("[server]\nbind = '127.0.0.1:99999'", "server.bind", "host:port"),
        ("[server]\nbehind_proxy = 'yes'", "server.behind_proxy", "true or false"),
        ("[server]\nbehind_proxy = true", "server.trusted_proxies", "is missing"),
        ("[server]\ntrusted_proxies = ['proxy']", "server.trusted_proxies", "not an IP address"),
        ("[server]\ntrusted_proxies = '127.0.0.1'", "server.trusted_proxies", "list of strings"),
        ("[server]\ntls_certificate = 'x'", "server.tls_key", "is missing"),
        ("[server]\nexternal_url = 'retain.example'", "server.external_url", "absolute"),
        ("[server]\nexternal_url = 'http://u:p@h/'", "server.external_url", "absolute"),
        ("[areas]\nunderscore_keys = 'keep'", "areas.underscore_keys", "reject, ignore"),
        ("[areas]\ndefault_ttl = 60\nmax_ttl = 30", "areas.default_ttl", "max_ttl"),
        ("[areas]\nusername = 'a'", "areas.username", "must be set together"),
        ("[areas]\nusername = 'a'\npassword = 'clear'", "areas.password", "argon2"),
        ("[areas]\nusername = 'a'\npassword = '$argon2id$…'", "areas.password", "argon2id"),
        (f"[[users]]\nname = 'a'\npassword = '{HASH[:-40]}'", "users[1].password", "complete"),
        (f"[[users]]\nname = 'a'\npassword = '{HASH.replace('2id', '2i')}'", "users[1].password", "argon2id"),
        ("[storage]\ndata = ''", "storage.data", "file or folder"),
        ('[storage]\ndata = "a\\u0000b"', "storage.data", "file or folder"),
        ("[server]\ntls_certificate = ''\ntls_key = 'x'", "server.tls_certificate", "file or folder"),
        ("[areas]\nallowed_mime_types = ['png']", "areas.allowed_mime_types", "MIME"),
        ("[areas]\ncors_allowed_origins = ['app']", "areas.cors_allowed_origins", "origin"),
        ("[identity]\njwt_secret = 'short'", "identity.jwt_secret", "32 characters"),
        ("[identity]\njwt_algorithms = ['none']", "identity.jwt_algorithms", "must contain only"),
        ("[identity]\njwt_jwks = ''", "identity.jwt_jwks", "file or folder"),
        ("[identity]\njwt_jwks = 'http://login.example.org/keys'", "identity.jwt_jwks", "https"),
        ("[identity]\njwt_user_claims = []", "identity.jwt_user_claims", "at least one"),
        ("[identity]\nproxy_user_header = 'X-User'", "identity.proxy_user_header", "trusted_proxies"),
        ("[users]\nname = 'x'", "users", "[[users]]"),
        ("[[users]]\nroles = []", "users[1].name", "is missing"),
        ("[[users]]\nname = 'a:b'", "users[1].name", "colon"),
        ("[[users]]\nname = 'a'\n[[users]]\nname = 'a'", "users", "twice"),
        ("[[tenants]]\nname = 'genesys'", "tenants[1].name", "another interface"),
        ("[[tenants]]\nname = 'abc'\ncontainers = ['A']", "tenants[1].containers", "container name"),
        ("[blobs]\nhost_suffixes = ['blob.core']", "blobs.host_suffixes", "suffix"),
        ("[server]\nbind = 'a b:80'", "server.bind", "host:port"),
        ("[server]\nexternal_url = 'http://[::1/'", "server.external_url", "absolute"),
        ("[identity]\njwt_jwks = 'https://[::1/keys'", "identity.jwt_jwks", "https"),
        ("[audit]\norigin = 'a b'", "audit.origin", "without spaces"),
        ("[settings]\nhistory_days = 40\n[retention]\naudit_days = 30", "settings.history_days", "greater"),
        ("[server]\ntrusted_proxies = ['::ffff:10.0.0.5']", "server.trusted_proxies", "write 10.0.0.5/32"),
        ("[server]\ntrusted_proxies = ['::ffff:10.0.0.0/104']", "server.trusted_proxies", "write 10.0.0.0/8"),
        ("x = = 1", "", "is not TOML"),
    ],
)
def test_what_cannot_be_stops_the_start_naming_file_key_and_reason(
    tmp_path: Path, text: str, key: str, reason: str
) -> None:
    path = given(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.source == str(path)
    assert caught.value.key == key
    assert reason in caught.value.reason


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})
    assert (caught.value.source, caught.value.reason) == (str(tmp_path), "Is a directory")


def test_a_whole_number_of_seconds_is_a_number(tmp_path: Path) -> None:
    config = load(given(tmp_path, "[server]\nheader_timeout = 7"), {})
    assert config.server.header_timeout == 7.0
    assert isinstance(config.server.header_timeout, float)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="retain init"):
        load(tmp_path / "none.toml", {})


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "value"),
    [
        ("RETAIN_SERVER_BIND", "127.0.0.1:9", "server", "bind", "127.0.0.1:9"),
        ("RETAIN_AREAS_MAX_TTL", "90", "areas", "max_ttl", 90),
        ("RETAIN_SERVER_HEADER_TIMEOUT", "2.5", "server", "header_timeout", 2.5),
        ("RETAIN_AREAS_RELATIVE_URL", "TRUE", "areas", "relative_url", True),
        ("RETAIN_SETTINGS_ADMIN_ROLES", "a, b", "settings", "admin_roles", ("a", "b")),
        ("RETAIN_SETTINGS_ADMIN_ROLES", "", "settings", "admin_roles", ()),
    ],
)
def test_the_environment_wins(
    tmp_path: Path, name: str, text: str, section: str, key: str, value: object
) -> None:
    path = given(tmp_path, "[server]\nbind = '127.0.0.1:1'\n[areas]\nmax_ttl = 80")
    assert getattr(getattr(load(path, {name: text}), section), key) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RETAIN_SERVER_BNID", "127.0.0.1:9"),
        ("RETAIN_AREAS_MAX_TTL", "x"),
        ("RETAIN_AREAS_MAX_TTL", "0"),
        ("RETAIN_AREAS_RELATIVE_URL", "1"),
        ("RETAIN_SERVER_BIND", "0.0.0.0:8080"),
    ],
)
def test_the_environment_is_checked_as_strictly(name: str, text: str) -> None:
    with pytest.raises(ConfigError):
        load(None, {name: text})


SERVICE_LINKS = {
    "SERVICE_HOST": "10.0.0.1",
    "SERVICE_PORT": "80",
    "SERVICE_PORT_HTTP": "80",
    "PORT": "tcp://10.0.0.1:80",
    "PORT_80_TCP": "tcp://10.0.0.1:80",
    "PORT_80_TCP_PROTO": "tcp",
    "PORT_80_TCP_PORT": "80",
    "PORT_80_TCP_ADDR": "10.0.0.1",
}


@pytest.mark.parametrize("service", ["RETAIN", "RETAIN_SERVER", "RETAIN_STORAGE", "RETAIN_USERS"])
def test_variables_of_a_kubernetes_service_are_not_ours(service: str) -> None:
    """Also where the Service is called like a section: retain-server."""
    assert load(None, {f"{service}_{name}": text for name, text in SERVICE_LINKS.items()}) == load(None, {})


def test_only_variables_that_begin_with_a_section_are_ours() -> None:
    assert load(None, {"RETAIN_VERSION": "1", "RETAIN_": "x", "RETAINER_SERVER_X": "y"}) == load(None, {})
    for name in ("RETAIN_SERVER_PORT", "RETAIN_USERS_NAME", "RETAIN_LOG_"):
        with pytest.raises(ConfigError, match=f"environment: {name}: names no key"):
            load(None, {name: "8080"})


@pytest.mark.parametrize("bind", ["nonsense", ":8080", "0.0.0.0:80"])
def test_what_the_command_line_says_is_blamed_on_it(tmp_path: Path, bind: str) -> None:
    """Whatever file and environment say besides."""
    path = given(tmp_path, "[server]\nbind = '127.0.0.1:1'")
    with pytest.raises(ConfigError, match=r"^command line: --bind: "):
        load(path, {"RETAIN_SERVER_BIND": "127.0.0.1:2"}, {"server.bind": ("--bind", bind)})
    with pytest.raises(ConfigError, match=r"^environment: RETAIN_SERVER_BIND: "):
        load(path, {"RETAIN_SERVER_BIND": bind})


def test_what_the_command_line_says_wins(tmp_path: Path) -> None:
    path = given(tmp_path, "[storage]\ndata = 'a'")
    environ = {"RETAIN_STORAGE_DATA": "b"}
    assert load(path, environ, {"storage.data": ("--data", "c")}).storage.data == "c"


def test_a_key_outside_its_section_is_told_its_section(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bind: belongs in the section \[server\]"):
        load(given(tmp_path, "bind = '127.0.0.1:1'"), {})
    with pytest.raises(ConfigError, match=r"fish: unknown section"):
        load(given(tmp_path, "fish = 1"), {})


@pytest.mark.parametrize("bind", ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "no-such-host.invalid:80"])
def test_an_address_others_reach_needs_an_explicit_word(tmp_path: Path, bind: str) -> None:
    with pytest.raises(ConfigError, match="without encryption"):
        load(given(tmp_path, f"[server]\nbind = '{bind}'"), {})
    load(given(tmp_path, f"[server]\nbind = '{bind}'\ninsecure_bind = true"), {})
    proxied = f"[server]\nbind = '{bind}'\nbehind_proxy = true\ntrusted_proxies = ['192.0.2.9']"
    load(given(tmp_path, proxied), {})
    load(given(tmp_path, f"[server]\nbind = '{bind}'\ntls_certificate = 'c'\ntls_key = 'k'"), {})


def test_relative_paths_of_a_file_start_at_its_folder(tmp_path: Path) -> None:
    path = given(tmp_path, "[identity]\njwt_jwks = 'keys.json'\n[audit]\ncheckpoint_folder = 'out'\n")
    config = load(path, {"RETAIN_STORAGE_DATA": "data"})
    assert config.identity.jwt_jwks == str(tmp_path / "keys.json")
    assert config.audit.checkpoint_folder == str(tmp_path / "out")
    assert config.storage.data == "data"
    url = "https://login.example.org/keys"
    assert load(given(tmp_path, f"[identity]\njwt_jwks = '{url}'"), {}).identity.jwt_jwks == url
    assert load(path, {"RETAIN_IDENTITY_JWT_JWKS": "k"}).identity.jwt_jwks == "k"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_loopback_is_told(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("addresses", "loopback"),
    [
        (["127.0.0.1"], True),
        (["127.0.0.1", "::1"], True),
        (["127.0.0.1", "192.0.2.1"], False),
        (["192.0.2.1", "127.0.0.1"], False),
        (["::1", "2001:db8::1"], False),
        ([], False),
        (None, False),
    ],
)
def test_a_name_is_loopback_if_all_its_addresses_are(
    addresses: list[str] | None, loopback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: None, **_: Any) -> list[Any]:
        assert (host, port) == ("inside", None)
        if addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(None, None, 0, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert is_loopback("inside") is loopback


def test_secrets_are_not_in_the_repr() -> None:
    config = load(None, {"RETAIN_IDENTITY_JWT_SECRET": "s" * 40})
    assert "ssss" not in repr(config)


def test_every_key_has_a_meaning_and_stands_in_the_reference() -> None:
    text = reference()
    for cls in [*SECTIONS.values(), *TABLES.values()]:
        for key in keys_of(cls):
            assert key.rule.doc.endswith("…") or key.rule.doc[-1] in ".)", key.name
            assert f"| `{key.name}` |" in text


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_switches_nothing_off(tmp_path: Path, blank: str) -> None:
    """No string of any section may be blank: in the file, in the environment."""
    for section, cls in SECTIONS.items():
        for key in keys_of(cls):
            if key.kind not in (str, str | None) or key.default == blank:
                continue
            with pytest.raises(ConfigError):
                load(None, {f"RETAIN_{section}_{key.name}".upper(): blank})
            with pytest.raises(ConfigError):
                load(given(tmp_path, f"[{section}]\n{key.name} = '{blank}'"), {})


@pytest.mark.parametrize(
    ("mode", "text", "warned"),
    [
        (0o644, f"[identity]\njwt_secret = '{'s' * 40}'", "identity.jwt_secret"),
        (0o644, f"[[tenants]]\nname = 'mytenant'\nkey = '{'a' * 88}'", "tenants.mytenant.key"),
        (0o600, f"[identity]\njwt_secret = '{'s' * 40}'", None),
        (0o640, f"[identity]\njwt_secret = '{'s' * 40}'", None),
        (0o644, "[areas]\nmax_ttl = 80", None),
        (0o644, NODE.format("retain:secret@db1/retain"), "cluster.log"),
        (0o644, NODE.format("retain@db1/retain?password=secret"), "cluster.log"),
        (0o644, NODE.format("retain@db1/retain?passfile=/etc/retain/pgpass"), None),
    ],
)
def test_secrets_that_everyone_can_read_are_pointed_out(
    tmp_path: Path, mode: int, text: str, warned: str | None
) -> None:
    path = given(tmp_path, text)
    path.chmod(mode)
    found = exposed_secrets(path, load(path, {}))
    assert (found is not None) is (warned is not None)
    if found is not None:
        assert f"can read {path}, which holds {warned}; chmod 600 it" in found
        assert "s" * 40 not in found


def test_a_key_that_moved_is_read_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "retain.toml"
    path.write_text("[areas]\nsweep_interval = 7.5\n")
    assert load(path, {}).retention.sweep_interval == 7.5
    assert "areas.sweep_interval is called retention.sweep_interval now" in caplog.text
    caplog.clear()
    assert load(None, {"RETAIN_AREAS_SWEEP_INTERVAL": "8"}).retention.sweep_interval == 8
    assert "RETAIN_AREAS_SWEEP_INTERVAL is called RETAIN_RETENTION_SWEEP_INTERVAL now" in caplog.text
    caplog.clear()
    path.write_text("[retention]\nsweep_interval = 7.5\n")
    assert load(path, {}).retention.sweep_interval == 7.5
    assert caplog.text == ""


def test_a_key_under_both_its_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "retain.toml"
    path.write_text("[areas]\nsweep_interval = 7.5\n[retention]\nsweep_interval = 7.5\n")
    with pytest.raises(ConfigError, match=r"areas\.sweep_interval: is the old name"):
        load(path, {})
    both = {"RETAIN_AREAS_SWEEP_INTERVAL": "8", "RETAIN_RETENTION_SWEEP_INTERVAL": "8"}
    with pytest.raises(ConfigError, match="RETAIN_AREAS_SWEEP_INTERVAL: is the old name"):
        load(None, both)


def test_a_moved_key_is_checked_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "retain.toml"
    path.write_text("[areas]\nsweep_interval = 0\n")
    with pytest.raises(ConfigError, match=r"retention.sweep_interval"):
        load(path, {})


RESTRICTING = {"settings.applications", "settings.global_create_roles"}
"""Lists that restrict, where an empty one restricts nothing."""


@pytest.mark.parametrize("blank", ["", " ", ","])
def test_a_blank_variable_empties_no_list_that_restricts(tmp_path: Path, blank: str) -> None:
    lists = {
        f"{s}.{key.name}": key for s, cls in SECTIONS.items() for key in keys_of(cls) if key.default == ()
    }
    assert {place for place, key in lists.items() if key.rule.empty_opens} == RESTRICTING
    for place in RESTRICTING:
        section, _, name = place.partition(".")
        path = given(tmp_path, f"[{section}]\n{name} = ['one']")
        variable = f"RETAIN_{section}_{name}".upper()
        with pytest.raises(ConfigError, match="restricts nothing") as refused:
            load(path, {variable: blank})
        assert refused.value.key == variable
        assert getattr(getattr(load(path, {variable: "two,three"}), section), name) == ("two", "three")


def test_lists_say_in_their_text_what_an_empty_one_opens() -> None:
    """Whoever adds such a key marks it: the word is in its explanation."""
    for section, cls in SECTIONS.items():
        for key in keys_of(cls):
            if key.default == () and ("without any" in key.rule.doc or "open without" in key.rule.doc):
                assert key.rule.empty_opens, f"{section}.{key.name}"


def test_credentials_give_secrets_and_the_paths_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "identity.jwt_secret").write_text("s" * 40 + "\n")
    (folder / "server.tls_key").write_text("a key")
    (folder / "server.tls_certificate").write_text("a certificate")
    (folder / "another-program.token").write_text("x")
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    config = load(given(tmp_path, '[identity]\njwt_secret = "' + "f" * 40 + '"\n'), environ)
    assert config.identity.jwt_secret == "s" * 40
    assert config.server.tls_key == str(folder / "server.tls_key")
    assert is_credential(str(folder / "server.tls_key"), environ)
    assert not is_credential(str(tmp_path / "server.tls_key"), environ)
    assert not is_credential(str(folder / "server.tls_key"), {})
    changed = load(None, {**environ, "RETAIN_IDENTITY_JWT_SECRET": "e" * 40})
    assert changed.identity.jwt_secret == "e" * 40


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("identity.jwt_secrets", b"x", "names no key"),
        ("identity.jwt_secret", b"short", "at least 32 characters"),
        ("identity.jwt_secret", b"\xff" * 40, "is not UTF-8"),
        ("identity.jwt_secret", b"x" * 70000, "is longer than"),
    ],
)
def test_a_credential_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=reason) as refused:
        load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert str(tmp_path / name) in str(refused.value)
    with pytest.raises(ConfigError, match="CREDENTIALS_DIRECTORY names a folder that cannot be read"):
        load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")})
