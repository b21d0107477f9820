"""Nothing is fetched or run for a workbook, and nobody is asked for what it names: pictures, data, objects, models."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hostile
import openpyxl
import pytest
from huggingface_hub import constants
from patching import patch

import sheetgpt
from sheetgpt.engines import Step, formulas, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.ooxml.reading import foreign
from sheetgpt.workbook.checkpoints import MODELS
from sheetgpt.workbook.reopen import open_workbook

UNREAD = 1_000  # a moment in 1970: reading a file moves its access time on


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """The workbook, and what was asked for so far."""
    for name in hostile.FILES:
        (tmp_path / name).write_bytes(hostile.PIXEL)
        os.utime(tmp_path / name, (UNREAD, UNREAD + 1))
    with hostile.listener() as (address, heard):
        yield hostile.write(tmp_path / "hostile.xlsx", hostile.parts(address, tmp_path)), heard


def read_files(folder: Path) -> list[str]:
    return [name for name in hostile.FILES if (folder / name).stat().st_atime != UNREAD]


def test_the_trap_sees_a_file_that_is_read(trap: tuple[Path, list[str]]) -> None:
    folder = trap[0].parent
    (folder / "fill.png").read_bytes()
    assert read_files(folder) == ["fill.png"]


def test_libreoffice_fetches_nothing_for_a_workbook(trap: tuple[Path, list[str]]) -> None:
    workbook, heard = trap
    steps = [Step({}, ["Sheet1!A1:A10"]), Step({"Sheet1!B1": 7}, ["Sheet1!A1:A10"], hard=False)]
    libreoffice.run(workbook, steps)
    libreoffice.run(workbook.rename(workbook.with_suffix(".ods")), steps[:1])
    assert (heard, read_files(workbook.parent)) == ([], [])


def test_its_own_settings_keep_it_from_the_network_too(
    trap: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `without` overlooks a thing; a file that fills a shape is all that they let through."""
    workbook, heard = trap
    monkeypatch.setattr(foreign, "without", lambda *_: False)
    libreoffice.run(workbook, [Step({}, ["Sheet1!A1:A10"])])
    assert (heard, read_files(workbook.parent)) == ([], ["fill.png"])


def test_the_type_of_a_relationship_excuses_nothing(trap: tuple[Path, list[str]], tmp_path: Path) -> None:
    """LibreOffice takes a shape's picture from wherever its relationship leads: nothing types it as a picture here."""
    workbook = trap[0]
    clicks = {
        name: text.replace("/image", "/hyperlink") if name.endswith("drawing1.xml.rels") else text
        for name, text in hostile.parts("http://127.0.0.1:1", tmp_path).items()
        if not name.startswith("xl/media/")
    }
    clicks["xl/drawings/_rels/drawing1.xml.rels"] = clicks["xl/drawings/_rels/drawing1.xml.rels"].replace(
        "media", "own"
    )
    clicks["xl/own/drawn.svg"] = hostile.parts("http://127.0.0.1:1", tmp_path)["xl/media/drawn.svg"]
    hostile.write(workbook, clicks)
    libreoffice.run(workbook, [Step({}, ["Sheet1!A1:A10"])])
    assert read_files(tmp_path) == []
    said = [str(each) for each in foreign.foreign(workbook)]
    for words in ("http://127.0.0.1:1/picture.png", (tmp_path / "fill.png").as_uri()):
        assert f"a link to something outside the workbook in xl/drawings/drawing1.xml ({words})" in said
    assert "a picture other than pixels in xl/own/drawn.svg" in said


def test_a_link_to_click_is_not_called_active(plain_workbook: Path, tmp_path: Path) -> None:
    target = tmp_path / "links.xlsx"
    shutil.copy(plain_workbook, target)
    link = hostile.relations(("rId1", "hyperlink", "http://127.0.0.1:1/page"))
    with zipfile.ZipFile(target, "a") as package:
        package.writestr("xl/worksheets/_rels/sheet9.xml.rels", link)
        package.writestr("xl/drawings/drawing9.xml", '<x><a:hlinkClick xmlns:r="r" r:id="rId1"/></x>')
        package.writestr("xl/drawings/_rels/drawing9.xml.rels", link)
    assert foreign.foreign(target) == []
    assert foreign.without(target, tmp_path / "copy.xlsx")


def test_check_s_own_kinds_are_all_named(trap: tuple[Path, list[str]]) -> None:
    said = [re.sub(r"http://[\d.:]+|file://.*/", "~/", str(each)) for each in foreign.foreign(trap[0])]
    for words in (
        "a link to a picture in xl/drawings/drawing1.xml (~//picture.png)",
        "a link to a picture in xl/drawings/drawing1.xml (~/picture.png)",
        "a link to a picture in xl/charts/chart1.xml (~//chart.png)",
        "a link to a picture in xl/worksheets/sheet1.xml (~//background.png)",
        "a linked picture in xl/drawings/vmlDrawing1.vml",
        "a picture other than pixels in xl/media/drawn.svg",
        "a link to another workbook in xl/workbook.xml (~//book.xlsx)",
        "a DDE link in xl/workbook.xml (soffice|~//dde.ods)",
        "a linked object in xl/workbook.xml (~//ole.xlsx)",
        "a data connection in xl/workbook.xml",
        "a query to a data connection in xl/worksheets/sheet1.xml",
        "a function that fetches data in xl/worksheets/sheet1.xml (WEBSERVICE)",
    ):
        assert words in said


def test_what_is_taken_out_is_all_that_a_copy_lacks(trap: tuple[Path, list[str]], tmp_path: Path) -> None:
    copy = tmp_path / "copy.xlsx"
    assert foreign.without(trap[0], copy)
    assert [each.what for each in foreign.foreign(copy)] == ["a function that fetches data"]
    with zipfile.ZipFile(trap[0]) as old, zipfile.ZipFile(copy) as new:
        assert new.testzip() is None
        assert new.namelist() == old.namelist()
        differ = [name for name in old.namelist() if old.read(name) != new.read(name)]
    assert {name.rpartition(".")[2] for name in differ} == {"rels", "svg", "vml"}
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.xlsx"]


def test_two_parts_of_one_name_do_not_get_by(plain_workbook: Path, tmp_path: Path) -> None:
    """Another program may read the first of them."""
    twice = tmp_path / "twice.xlsx"
    twice.write_bytes(plain_workbook.read_bytes())
    with zipfile.ZipFile(twice, "a") as package, pytest.warns(UserWarning, match="Duplicate"):
        package.writestr("_rels/.rels", package.read("_rels/.rels"))
    assert foreign.without(twice, tmp_path / "copy.xlsx")
    with zipfile.ZipFile(tmp_path / "copy.xlsx") as package:
        assert len(package.namelist()) == len(set(package.namelist()))


def test_a_workbook_of_ours_has_nothing_of_the_kind(plain_workbook: Path, tmp_path: Path) -> None:
    assert foreign.foreign(plain_workbook) == []
    assert not foreign.without(plain_workbook, tmp_path / "copy.xlsx")
    assert not any(tmp_path.iterdir())


@pytest.fixture
def linked(plain_workbook: Path, tmp_path: Path) -> Path:
    """The micro workbook with a picture from elsewhere, and a name that asks a server."""
    name = '<definedName name="asks">_xlfn.WEBSERVICE("http://127.0.0.1:1/x")</definedName></definedNames>'
    target = tmp_path / "linked.xlsx"
    patch(plain_workbook, target, {"xl/workbook.xml": lambda xml: xml.replace("</definedNames>", name)})
    with zipfile.ZipFile(target, "a") as package:
        package.writestr(
            "xl/worksheets/_rels/sheet9.xml.rels", hostile.relations(("rId77", "image", "http://127.0.0.1:1/p.png"))
        )
    return target


NOT_LOADED = (
    "Not loaded: a link to a picture in xl/worksheets/sheet9.xml (http://127.0.0.1:1/p.png).",
    "Not loaded: a function that fetches data in xl/workbook.xml (WEBSERVICE).",
)


def test_verify_and_run_say_what_was_not_loaded(linked: Path) -> None:
    report = sheetgpt.verify(linked, engine="cached")
    assert report.not_loaded == NOT_LOADED
    assert json.loads(report.to_json())["not_loaded"] == [*NOT_LOADED]
    assert sheetgpt.run(linked, ids=[1]).not_loaded == NOT_LOADED


def test_the_formulas_package_reads_no_other_workbook(tmp_path: Path) -> None:
    for name, content in (("other", 77), ("mine", "='[other.xlsx]S'!A1")):
        book = openpyxl.Workbook()
        book.worksheets[0].title = "S"
        book.worksheets[0]["A1"] = content
        book.save(tmp_path / f"{name}.xlsx")
    found = formulas.recalculate(tmp_path / "mine.xlsx", {}, ["S!A1"])["S!A1"]
    assert found is not None
    assert found.texts == {(0, 0): "#REF!"}


@pytest.fixture
def nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another computer's workbook: no build here has left its fingerprint."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))


def renamed(workbook: Path, target: Path, model: str) -> Path:
    """A copy whose Model sheet names another model, at the same place."""
    old = open_workbook(workbook).model
    return patch(workbook, target, {"Model": lambda xml: xml.replace(old, model)})


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the hub is asked for: a listener in its place, and an empty cache."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with hostile.listener() as (address, heard):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield heard


@pytest.mark.usefixtures("nothing_remembered")
@pytest.mark.parametrize("name", ["gpt2", "someone/secret-model", "distilgpt2"])
def test_nobody_is_asked_for_the_model_that_a_workbook_names(
    plain_workbook: Path, tmp_path: Path, name: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a folder of that name taken that happens to be where the command is run."""
    workbook = renamed(plain_workbook, tmp_path / "w.xlsx", name)
    (tmp_path / "here" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for act in (
        lambda: sheetgpt.verify(workbook, engine="cached"),
        lambda: [*sheetgpt.evaluate(workbook, ids=[1])],
    ):
        with pytest.raises(SheetGPTError, match=r"name it with --model.*isn't in the cache"):
            act()
    sheetgpt.read(workbook, "logits")
    assert asked == []


def test_the_hub_is_asked_for_a_model_that_the_user_names(plain_workbook: Path, asked: list[str]) -> None:
    with pytest.raises(SheetGPTError, match="There is no model someone/model"):
        sheetgpt.verify(plain_workbook, engine="cached", model="someone/model")
    assert "/someone/model/resolve/main/config.json" in asked


@pytest.mark.usefixtures("nothing_remembered")
def test_a_workbook_from_the_hub_s_model_is_verified_from_the_cache(
    micro: Checkpoint, tmp_path: Path, asked: list[str]
) -> None:
    snapshot = tmp_path / "cache" / "models--someone--micro" / "snapshots" / ("0" * 40)
    shutil.copytree(micro.source, snapshot)
    lacking = snapshot.parents[1] / ".no_exist" / snapshot.name
    lacking.mkdir(parents=True)
    for name in ("vocab.json", "merges.txt"):
        (lacking / name).touch()
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    workbook = sheetgpt.build(replace(micro, source="someone/micro"), tmp_path / "w.xlsx", ids=[1], context=2)
    report = sheetgpt.verify(workbook, engine="cached")
    assert report.passed, report
    assert asked == []


@pytest.mark.usefixtures("nothing_remembered")
@pytest.mark.parametrize("way", ["../micro", "/absolute", "micro", "inside/../../micro", "~/micro"])
def test_a_path_in_a_workbook_is_followed_only_beside_it(
    micro: Checkpoint, plain_workbook: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = tmp_path / "books"
    (books / "inside").mkdir(parents=True)
    shutil.copytree(micro.source, tmp_path / "micro")
    (books / "micro").symlink_to(tmp_path / "micro")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(MODELS)
    named = str(tmp_path / "micro") if way == "/absolute" else way
    workbook = renamed(plain_workbook, books / "w.xlsx", named)
    with pytest.raises(SheetGPTError, match=r"name it with --model\. \(It is named .*not in the workbook's own folder"):
        sheetgpt.verify(workbook, engine="cached")
    assert sheetgpt.verify(workbook, engine="cached", model=tmp_path / "micro").passed
    if way != "~/micro":
        monkeypatch.setenv(MODELS, os.pathsep.join(("~/elsewhere", "~/micro")))
        assert sheetgpt.verify(workbook, engine="cached").passed


@pytest.mark.usefixtures("nothing_remembered")
def test_a_path_beside_the_workbook_is_followed(
    micro: Checkpoint, plain_workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MODELS)
    shutil.copytree(micro.source, tmp_path / "sub" / "micro")
    report = sheetgpt.verify(renamed(plain_workbook, tmp_path / "w.xlsx", "sub/micro"), engine="cached")
    assert report.passed, [t for t in report.tensors if not t.passed]


@pytest.mark.parametrize(
    "call",
    [
        'DDE("a")',
        "dde (1)",
        "_xlfn.WEBSERVICE&#40;1)",
        "RTD&#10;(1)",
        "CUBEVALUE\u00a0(1)",
        "webservice\u3000(1)",
        "W&#69;BS&#x45;RVICE(1)",
    ],
)
def test_a_call_is_found_however_it_is_spelt(call: str, tmp_path: Path) -> None:
    formulas = f'<f>{call}</f><f>"sudden call"&amp;DDE</f>'
    with zipfile.ZipFile(tmp_path / "w.xlsx", "w") as package:
        package.writestr("xl/worksheets/sheet1.xml", f"<worksheet><c>{formulas}</c></worksheet>")
    assert len(foreign.foreign(tmp_path / "w.xlsx")) == 1
