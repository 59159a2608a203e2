"""``retain settings``: applications out and in, with a dry run and a diff."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from retain.api.cli.main import DONE, FAILED, WRONG, main
from retain.api.settings.transfer import FORMAT, differences, line_of, pack, read_export, unpack
from retain.engine import Invalid
from retain.engine.settings import MISSING, Level, Place
from retain.engine.settings.value import same
from tests.engine.settings.strategies import OBJECTS

GLOBAL = Place("app", Level.GLOBAL)
USER = Place("app", Level.USER, user="änn")
DEVICE = Place("app", Level.DEVICE, "d1", "änn")
DOCUMENTS = {
    GLOBAL: {"c": {"x": 10**30, "__metadata": {"readRoles": ["R"]}}, "managed": {"list": [{"name": "x"}]}},
    USER: {"c": {"x": None}},
    DEVICE: {"c": {"y": 1.5}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("RETAIN_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    assert (
        CliRunner().invoke(main, ["tenant", "add", "mytenant", "--data", "./retain-data"]).exit_code == DONE
    )
    return tmp_path


def retain(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, ["settings", *arguments], input=text, catch_exceptions=False)


def export(documents: dict[Place, Any] = DOCUMENTS) -> str:
    return json.dumps(pack("app", documents))


def exported(application: str = "app") -> Any:
    result = retain("export", application)
    assert result.exit_code == DONE
    return json.loads(result.stdout)


def test_what_is_imported_can_be_exported(folder: Path) -> None:
    result = retain("import", "-", text=export())
    assert result.exit_code == DONE
    assert "3 of 3 documents of app changed." in result.stderr
    assert exported() == pack("app", DOCUMENTS)
    again = retain("import", "-", text=export())
    assert (again.exit_code, again.stdout) == (DONE, "")
    assert "0 of 3 documents of app changed." in again.stderr


def test_a_dry_run_shows_the_differences_and_changes_nothing(folder: Path) -> None:
    retain("import", "-", text=export())
    other = {GLOBAL: {"c": {"x": 1, "new": [1]}}, USER: DOCUMENTS[USER]}
    result = retain("import", "-", "--dry-run", "--replace", text=export(other))
    assert result.stdout.splitlines() == [
        "~ global: c/x = 1000000000000000000000000000000 → 1",
        '- global: c/__metadata = {"readRoles": ["R"]}',
        "+ global: c/new = [1]",
        '- global: managed = {"list": [{"name": "x"}]}',
        '- device d1 änn = {"c": {"y": 1.5}}',
    ]
    assert "2 of 2 documents of app would change." in result.stderr
    assert exported() == pack("app", DOCUMENTS)
    rows = json.loads(retain("import", "-", "--dry-run", "--json", text=export(other)).stdout)
    assert rows[0] == {"sign": "~", "document": "global", "path": ["c", "x"], "old": 10**30, "new": 1}
    assert [row["sign"] for row in rows] == ["~", "-", "+", "-"]


def test_documents_that_are_not_imported_end_only_on_request(folder: Path) -> None:
    retain("import", "-", text=export())
    assert retain("import", "-", text=export({USER: {}})).exit_code == DONE
    assert exported() == pack("app", {**DOCUMENTS, USER: {}})
    assert retain("import", "-", "--replace", text=export({USER: {}})).exit_code == DONE
    assert exported() == pack("app", {USER: {}})


def test_an_application_can_be_imported_under_another_id(folder: Path) -> None:
    file = folder / "export.json"
    retain("import", "-", text=export())
    assert retain("export", "app", "--output", str(file)).exit_code == DONE
    assert retain("import", str(file), "--application", "copy").exit_code == DONE
    assert exported("copy")["documents"] == exported("app")["documents"]
    rows = json.loads(retain("list", "--json").stdout)
    assert [row["application"] for row in rows] == ["app", "copy"]
    assert rows[0] == {**rows[1], "application": "app", "global": 1, "users": 1, "devices": 1}
    assert "copy" in retain("list").stdout


def test_a_large_import_is_sent_in_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retain.api.cli.commands.settings.CHUNK_BYTES", 100)
    many = {Place("app", Level.USER, user=f"u{number:02}"): {"c": {"x": "x" * 40}} for number in range(9)}
    assert retain("import", "-", "--replace", text=export(many)).exit_code == DONE
    assert len(exported()["documents"]) == 9
    assert retain("import", "-", "--replace", text=export({})).exit_code == DONE
    assert retain("export", "app").exit_code == FAILED


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "nonsense", '{"format":"other"}',
        json.dumps({"format": FORMAT}),
        json.dumps({"format": FORMAT, "application": "a", "documents": {}}),
        json.dumps({"format": FORMAT, "application": "a", "documents": [1]}),
        json.dumps({"format": FORMAT, "application": "a", "documents": [{"level": "none", "value": {}}]}),
        json.dumps({"format": FORMAT, "application": "a", "documents": [{"level": "global", "value": 5}]}),
        json.dumps(
            {"format": FORMAT, "application": "a", "documents": [{"level": "global", "value": {}}] * 2}
        ),
        json.dumps({"format": FORMAT, "application": "a", "documents": [{"level": "user", "value": {}}]}),
        json.dumps({"format": FORMAT, "application": "..", "documents": [{"level": "global", "value": {}}]}),
        json.dumps({"format": FORMAT, "application": "a", "documents": [
            {"level": "device", "device": "\0", "user": "u", "value": {}}]}),
        '{"format":"retain-settings-1","format":"retain-settings-1","application":"a","documents":[]}',
    ],
)  # fmt: skip
def test_what_is_no_export_is_refused(folder: Path, text: str) -> None:
    result = retain("import", "-", text=text)
    assert result.exit_code == WRONG
    assert "Error" in result.stderr

    def read() -> None:
        document = read_export(text.encode(), 10)
        unpack(document["application"], document["documents"])

    with pytest.raises(Invalid) as refused:
        read()
    is_json = text.startswith(("{", "[")) and text.count('"format"') < 2
    assert refused.value.reason == ("format" if is_json else "json")


def test_a_file_that_is_too_long_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = export()
    monkeypatch.setattr("retain.api.cli.commands.settings.FILE_BYTES_MAX", len(text.encode()) - 1)
    result = retain("import", "-", text=text)
    assert result.exit_code == WRONG
    assert f"longer than {len(text.encode()) - 1} bytes" in result.stderr
    monkeypatch.setattr("retain.api.cli.commands.settings.FILE_BYTES_MAX", len(text.encode()))
    assert retain("import", "-", text=text).exit_code == DONE


def test_files_that_cannot_be_used(folder: Path) -> None:
    assert retain("import", str(folder / "none.json")).exit_code != DONE
    assert retain("export", "none").exit_code == FAILED
    retain("import", "-", text=export())
    assert retain("export", "app", "--output", str(folder / "none" / "x.json")).exit_code != DONE


@given(OBJECTS, OBJECTS)
def test_the_differences_lead_from_one_to_the_other(old: Any, new: Any) -> None:
    result = json.loads(json.dumps(old))
    for difference in differences({GLOBAL: old}, {GLOBAL: new}, replace=False):
        assert line_of(difference).startswith(difference.sign)
        if not difference.path:
            result = difference.new
            continue
        target = result
        for name in difference.path[:-1]:
            target = target[name]
        if difference.new is MISSING:
            del target[difference.path[-1]]
        else:
            target[difference.path[-1]] = difference.new
    assert same(result, json.loads(json.dumps(new)))


@given(st.dictionaries(st.sampled_from([GLOBAL, USER, DEVICE]), OBJECTS))
def test_an_export_comes_back(documents: dict[Place, Any]) -> None:
    read = read_export(json.dumps(pack("app", documents)).encode(), 64)
    again = unpack(read["application"], read["documents"])
    assert again.keys() == documents.keys()
    assert all(same(again[place], documents[place]) for place in documents)


def test_an_export_is_read_strictly() -> None:
    with pytest.raises(Invalid):
        read_export(b'{"format":NaN}', 64)
