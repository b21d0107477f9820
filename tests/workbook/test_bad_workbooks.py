"""Damaged and hostile workbooks, for every command that opens one: one sentence, or a red report, within bounds."""

import contextlib
import os
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from bounds import bounded
from patching import cell_xml, patch, set_number

import sheetgpt
from sheetgpt.engines import cached, survey
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.ooxml.reading import unzip
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.layout import Layout
from sheetgpt.verification.coverage import formula_cells
from sheetgpt.workbook.build import build
from sheetgpt.workbook.info import describe

Damage = Callable[[Path, Path], object]
WHOLE = "$A$1:$XFD$1048576"
BOOK, MODEL = "xl/workbook.xml", "Model"


@pytest.fixture(autouse=True)
def within_bounds() -> Iterator[None]:
    with bounded():
        yield


@pytest.fixture(scope="module")
def layout(micro: Checkpoint) -> Layout:
    return lay_out(micro.config, 6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sheet with one cell, for `check`, which takes its time over a whole workbook."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.xlsx"
    book = openpyxl.Workbook()
    book.active["A1"] = 1  # type: ignore[index]
    book.save(path)
    return path


OPENERS: dict[str, Callable[[Path], object]] = {
    "info": lambda path: list(describe(str(path))),
    "read": lambda path: sheetgpt.read(path, "logits"),
    "verify": lambda path: sheetgpt.verify(path, engine="cached"),
    "run": lambda path: sheetgpt.run(path),
}


def refused(what: str, path: Path) -> str:
    with pytest.raises(SheetGPTError) as caught:
        (OPENERS | {"check": sheetgpt.check})[what](path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 2_000
    return sentence


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def pack(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def change(part: str, old: bytes, new: bytes) -> Damage:
    def damage(source: Path, target: Path) -> None:
        content = parts(source)
        assert old in content[part]
        pack(target, content | {part: content[part].replace(old, new, 1)})

    return damage


def directory(flag: int, value: int, size: int = 2) -> Damage:
    """A field of the first worksheet's headers, the local one and that in the directory."""

    def damage(source: Path, target: Path) -> None:
        data = bytearray(source.read_bytes())
        name = data.rindex(b"xl/worksheets/sheet1.xml")
        local = int.from_bytes(data[name - 4 : name], "little")
        for at in (local + flag, name - 46 + flag + 2):
            data[at : at + size] = value.to_bytes(size, "little")
        target.write_bytes(data)

    return damage


def another_method(method: int) -> Damage:
    return lambda source, target: pack(target, parts(source), method)


def lying(source: Path, target: Path) -> None:
    """A sheet whose packed data hold 40 MB more cells than both headers say, whose checksum is that of the rest."""
    content, name = parts(source), "xl/worksheets/sheet1.xml"
    sound = content[name]
    content[name] = sound + b"<c/>" * 10_000_000
    pack(target, content)
    with zipfile.ZipFile(target) as archive:
        packed = archive.getinfo(name).compress_size
    true = struct.pack("<III", zlib.crc32(content[name]), packed, len(content[name]))
    told = struct.pack("<III", zlib.crc32(sound), packed, len(sound))
    data = target.read_bytes()
    assert data.count(true) == 2
    target.write_bytes(data.replace(true, told))


def a_huge_directory(source: Path, target: Path) -> None:
    """The directory is said to have 3 GB, and there are as many zeros in front of it."""
    with target.open("wb") as file:
        file.truncate(3 << 30)
        file.seek(0, 2)
        file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, 3 << 30, 0, 0))


def twice(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(target, "a") as archive:
        archive.writestr(BOOK, parts(source)[BOOK])


ZIPS: dict[str, tuple[Damage, str]] = {
    "a bomb": (
        lambda source, target: pack(target, parts(source) | {"xl/worksheets/sheet1.xml": b" " * 100_000_000}),
        "would unpack to 100,000,000 bytes",
    ),
    "bombs in small parts": (
        lambda source, target: pack(
            target, parts(source) | {f"xl/charts/c{i}.xml": b"<a/>" * 2_000_000 for i in range(6)}
        ),
        "have more than 40,000,000 bytes",
    ),
    "a name that is too long": (
        lambda source, target: pack(target, parts(source) | {"xl/" + "x" * 60_000 + ".xml": b"<a/>"}),
        "the name of a part has 60,007 characters",
    ),
    "a directory of gigabytes": (a_huge_directory, "its directory has 3,221,225,472 bytes"),
    "encrypted": (directory(6, 1), "xl/worksheets/sheet1.xml is encrypted"),
    "an unknown method": (directory(8, 99), "by method 99"),
    "bzip2": (another_method(zipfile.ZIP_BZIP2), "by method 12"),
    "lzma": (another_method(zipfile.ZIP_LZMA), "by method 14"),
    "longer than it says": (lying, "longer than it says"),
    "a wrong checksum": (directory(14, 7, 4), "checksum"),
    "deflate that breaks off": (directory(18, 60, 4), "can't be read"),
    "no deflate at all": (directory(8, 0), "can't be read"),
    "two parts of one name": (twice, "two parts xl/workbook.xml"),
    "only its beginning": (lambda source, target: target.write_bytes(source.read_bytes()[:-100]), "xlsx"),
    "no zip file": (lambda source, target: target.write_bytes(b"PK\x03\x04" + bytes(5_000)), "xlsx"),
    "nothing": (lambda source, target: target.touch(), "xlsx"),
}
FINDINGS = {  # which `check` lists as broken rules, beside whatever else it finds
    *("encrypted", "an unknown method", "bzip2", "lzma", "longer than it says", "a wrong checksum"),
    *("deflate that breaks off", "no deflate at all", "two parts of one name"),
}


@pytest.mark.parametrize("what", ZIPS)
def test_an_archive_that_no_reader_should_trust_is_refused(
    what: str, micro_workbook: Path, tiny: Path, tmp_path: Path
) -> None:
    damage, words = ZIPS[what]
    path = tmp_path / "w.xlsx"
    damage(micro_workbook, path)
    for opener in OPENERS:
        sentence = refused(opener, path)
        assert words in sentence or "can't be read" in sentence, opener
    damage(tiny, path)
    if what in FINDINGS:
        assert {problem.part for problem in sheetgpt.check(path)} & {"Sheet", HOME, BOOK}
    else:
        refused("check", path)


@pytest.mark.parametrize(
    "kind", ["pipe", "endless", "sparse", "folder", "link to nothing", "link to itself", "nothing"]
)
def test_what_is_no_file_is_no_workbook(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "w.xlsx"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif kind != "nothing":
        path.symlink_to({"endless": "/dev/zero", "link to nothing": "nowhere", "link to itself": "w.xlsx"}[kind])
    for opener in (*OPENERS, "check"):
        assert str(path) in refused(opener, path), opener


FAR = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
HOME = "xl/worksheets/sheet1.xml"
LAUGHS = b"<!DOCTYPE a [" + b"".join(
    b'<!ENTITY %c "%s">' % (97 + i, b"&%c;" % (96 + i) * 100 if i else b"ha" * 50) for i in range(8)
)
XML: dict[str, Damage] = {
    "a cell in the last corner": change(HOME, b"</sheetData>", FAR),
    "that cell, written otherwise": change(HOME, b"</sheetData>", FAR.replace(b'<c r="', b'<c  s="0" r="')),
    "rows and columns without end": change(
        HOME, b"</sheetData>", b'<row r="1048500">' + b"<c/>" * 17_000 + b"</row></sheetData>"
    ),
    "a cell beyond the last": change(HOME, b"</sheetData>", FAR.replace(b"XFD1048576", b"ZZZZ9999999999")),
    "no end": change(HOME, b"</worksheet>", b""),
    "entities that grow": change(BOOK, b"<workbook", LAUGHS + b"]><workbook"),
    "a growing text": change(HOME, b"<worksheet", LAUGHS + b"]><worksheet"),
    "a sheet twice": change(BOOK, b'name="Embed"', b'name="Model"'),
}


@pytest.mark.parametrize("what", XML)
def test_xml_that_asks_for_everything_is_refused_or_red(
    what: str, micro_workbook: Path, tiny: Path, tmp_path: Path
) -> None:
    path = tmp_path / "w.xlsx"
    if what != "a sheet twice":
        XML[what](tiny, path)
        assert sheetgpt.check(path) or what == "that cell, written otherwise"
    XML[what](micro_workbook, path)
    for opener in ("info", "read"):
        with contextlib.suppress(SheetGPTError):
            OPENERS[opener](path)
    with contextlib.suppress(SheetGPTError):
        assert what in RIGHT_ALL_THE_SAME or not sheetgpt.verify(path, engine="cached").passed


RIGHT_ALL_THE_SAME = ("entities that grow", "a growing text")  # nothing refers to them


def test_what_no_memory_holds_is_not_given_to_calamine(micro_workbook: Path, tmp_path: Path) -> None:
    """It would end the process: there is no catching it."""
    path = tmp_path / "w.xlsx"
    XML["a cell in the last corner"](micro_workbook, path)
    assert "would take about 549.8 GB of memory" in refused("read", path)


def shown(found: survey.Survey) -> tuple[int, int, int]:
    return found.last_row, found.last_column, found.n_cells


@pytest.mark.parametrize(
    ("rows", "extent"),
    [
        (b'<row r="1"><c r="B2"><v>1</v></c></row>', (2, 2, 1)),
        (b'<row r="1"><c r="XFD7"/></row><row r="3"><c r="AA3"/></row>', (7, 16384, 2)),
        (b"<row><c/><c/></row><row><c/></row>", (2, 2, 3)),
        (b'<row r="5"><c r="C5"/><c/></row>', (5, 4, 2)),
        (b"<row r='5'><c s='1' r='C5'/></row>", (5, 3, 1)),
        (b'<row r="1"><c\nr="D1"/></row>', (1, 4, 1)),
        (b"", (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("prefix", [b"", b"x:"])
def test_a_survey_finds_the_outermost_cells(rows: bytes, extent: object, prefix: bytes, tmp_path: Path) -> None:
    rows = re.sub(rb"<(/?)(?=[rc])", rb"<\1" + prefix, rows)
    sheet = b'<worksheet xmlns="urn:m" xmlns:x="urn:m"><cols><col/></cols><sheetData>%s</sheetData></worksheet>' % rows
    pack(tmp_path / "w.zip", {"sheet": sheet})
    with unzip.open_zip(tmp_path / "w.zip") as archive:
        assert shown(survey.survey(archive, "sheet")) == extent


def test_a_survey_is_the_same_wherever_the_pieces_end(micro_workbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with unzip.open_zip(micro_workbook) as archive:
        names = [name for name in archive.namelist() if unzip.is_sheet(name)]
        whole = [survey.survey(archive, name) for name in names]
        assert whole == [survey._exactly(archive, name) for name in names] or all(
            shown(one) == shown(survey._exactly(archive, name)) for one, name in zip(whole, names, strict=True)
        )
        monkeypatch.setattr(unzip, "CHUNK", 997)
        assert [survey.survey(archive, name) for name in names] == whole


def name_of(text: bytes, name: str) -> re.Match[bytes]:
    found = re.search(rb'<definedName name="%s"[^>]*>([^<]*)</definedName>' % name.encode(), text)
    assert found, name
    return found


@pytest.mark.parametrize("name", ["token_ids", "n_vocab", "prompt_ids", "top_ids", "built_ids"])
def test_a_name_over_a_whole_sheet_is_refused(name: str, micro_workbook: Path, tmp_path: Path) -> None:
    found = name_of(parts(micro_workbook)[BOOK], name)
    wider = found[0].replace(found[1], f"Home!{WHOLE}".encode())
    change(BOOK, found[0], wider)(micro_workbook, path := tmp_path / "w.xlsx")
    refusals = 0
    for opener in ("info", "run", "verify"):
        try:
            answer = OPENERS[opener](path)
            assert opener != "verify" or not answer.passed  # type: ignore[attr-defined]
        except SheetGPTError as error:
            refusals += "covers 17,179,869,184 cells" in str(error)
    assert refusals


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("prompt_bytes", value) for value in (10**9, 1 << 20, -1, 0.5)),
        *(("merge_rounds", value) for value in (10**9, -1)),
        *(("context", value) for value in (10**9, 16, 0, 6.5)),
        *(("n_layer", value) for value in (10**9, 9_000, 2.5)),
        *(("n_head", value) for value in (10**9, 16)),
        *(("n_vocab", value) for value in (10**9, 1 << 20, 64.25, 1e300)),
        *(("n_positions", value) for value in (1 << 20, 17)),
        *(("end_of_text", value) for value in (-5, 64, 0.5, 3)),
        *(("tied", value) for value in (7, -1, 0.5)),
        ("layer_norm_epsilon", 1e-4),
    ],
)
def test_no_constant_of_the_model_sheet_can_be_another(
    name: str, value: float, micro_workbook: Path, layout: Layout, tmp_path: Path
) -> None:
    path = patch(micro_workbook, tmp_path / "w.xlsx", {MODEL: set_number(layout[name].cells, value)})
    assert not sheetgpt.verify(path, engine="cached").passed


@pytest.mark.parametrize("place", ["'Embed'!$A$1:$B$2", "'Model'!$A$1:$B$9", "'Model'!$F$7"])
def test_settings_of_another_number_are_no_traceback(place: str, micro_workbook: Path, tmp_path: Path) -> None:
    found = name_of(parts(micro_workbook)[BOOK], "built_settings")
    elsewhere = found[0].replace(found[1], place.encode())
    change(BOOK, found[0], elsewhere)(micro_workbook, path := tmp_path / "w.xlsx")
    assert not sheetgpt.verify(path, engine="cached").passed


def test_a_model_that_thinks_nothing_passes(write_checkpoint: Callable[..., Path], hf_tensors: Any) -> None:
    """All logits are 0, and the self-check on Home divides by the largest."""
    folder = write_checkpoint(tensors={name: 0 * tensor for name, tensor in hf_tensors.items()}, vocab=False)
    book = sheetgpt.build(str(folder), folder / "w.xlsx", ids=[1, 2], context=3, new_tokens=0, sheets="none")
    assert sheetgpt.verify(book).passed


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["built_ids", "built_logits"])
@pytest.mark.parametrize("text", [b"0", b"1e999"])
def test_what_was_built_may_be_any_number(
    name: str, text: bytes, micro_workbook: Path, layout: Layout, tmp_path: Path
) -> None:
    content = parts(micro_workbook)
    places = [area.reference for area in [layout[name]]]
    _, first, *_ = re.split(r"[!:]", places[0].replace("$", ""))
    sheet = next(part for part, data in content.items() if b">end_of_text<" in data and b">fingerprint<" in data)
    for cell in {first, first[0] + str(int(first[1:]) + 1)}:
        content[sheet] = re.sub(rb'(<c r="%s"[^>]*><v>)[^<]*' % cell.encode(), rb"\g<1>" + text, content[sheet])
    pack(path := tmp_path / "w.xlsx", content)
    with contextlib.suppress(SheetGPTError):
        assert not sheetgpt.verify(path, engine="cached").passed


ROUNDED = ("logits_max_difference", "logits_rms_difference", "top_1_agreement", "compared_tokens")


def test_what_rounding_changes_is_computed_again(micro: Checkpoint, tmp_path: Path) -> None:
    sound = build(micro, tmp_path / "sound.xlsx", ids=[5, 9, 33], context=6, weights="int8")
    assert sheetgpt.verify(sound, engine="cached").passed
    cells = lay_out(micro.config, 6, weights="int8")
    for name in ROUNDED:
        path = patch(sound, tmp_path / "w.xlsx", {MODEL: set_number(cells[name].cells, 0.125)})
        assert not sheetgpt.verify(path, engine="cached").passed, name


@pytest.mark.parametrize(
    ("name", "row", "value", "words"),
    [
        ("built_settings", 0, 5.5, "whole numbers"),
        ("built_settings", 1, 1e9, "The temperature must be"),
        ("built_settings", 2, 0, "top_k"),
        ("built_settings", 4, -1, "seed"),
        ("built_settings", 0, 5, "3 token ids"),
        ("built_ids", 0, 64, "64"),
        ("built_ids", 0, 0.5, "is empty"),
        ("built_ids", 0, 6, "logits at build time"),
        ("built_logits", 0, 99.0, "logits at build time"),
        ("built_logits", 9, -99.0, "logits at build time"),
    ],
)
def test_the_build_is_what_the_evaluator_makes_of_it(
    name: str, row: int, value: float, words: str, micro_workbook: Path, layout: Layout, tmp_path: Path
) -> None:
    """Other inputs stand in the yellow cells, so that no self-check on Home compares the build's logits."""
    cell = layout[name].line(row).cells.partition(":")[0]
    seed = layout["seed"]
    other = patch(micro_workbook, tmp_path / "other.xlsx", {"Home": set_number(seed.cells, 7)})
    path = patch(other, tmp_path / "w.xlsx", {MODEL: set_number(cell, value)})
    problems = " ".join(sheetgpt.verify(path, engine="cached").problems)
    assert "at build time" in problems
    assert words in problems
    assert "at build time" not in " ".join(sheetgpt.verify(other, engine="cached").problems)


def test_a_text_that_is_not_the_builds_is_named(reader_workbook: Path, tmp_path: Path) -> None:
    def other(sheet: str) -> str:
        found = re.search(r'<c r="F6".*?</c>', sheet)
        assert found
        assert "the king" in found[0]
        return sheet.replace(found[0], found[0].replace("the king", "the kings"))

    path = patch(reader_workbook, tmp_path / "w.xlsx", {MODEL: other})
    report = sheetgpt.verify(path, engine="cached")
    assert "the token ids are not those of the prompt" in " ".join(report.problems)


def test_a_formula_cell_with_endless_digits_is_none(micro_workbook: Path, tmp_path: Path) -> None:
    def far(sheet: str) -> str:
        return sheet.replace("</sheetData>", '<row r="9"><c r="A99999999999999999999"><f>1</f></c></row></sheetData>')

    path = patch(micro_workbook, tmp_path / "w.xlsx", {"Embed": far})
    assert formula_cells(path).keys() == formula_cells(micro_workbook).keys()
    assert cell_xml(parts(path)["xl/worksheets/sheet1.xml"].decode(), "A1")


def test_parts_are_unpacked_as_zipfile_does(micro_workbook: Path) -> None:
    with unzip.open_zip(micro_workbook) as archive:
        assert unzip.unreadable(archive) is None
        assert {name: unzip.read(archive, name) for name in archive.namelist()} == parts(micro_workbook)


def test_a_shared_text_is_not_multiplied_beyond_memory(micro_workbook: Path, tmp_path: Path) -> None:
    """A text of a megabyte that 200,000 cells refer to: 6 MB in the file, 200 GB in a reader."""
    text = b'<sst xmlns="urn:s"><si><t>' + b"x" * 1_000_000 + b"</t></si></sst>"
    cells = b'<row r="900">' + b'<c r="A900" t="s"><v>0</v></c>' * 200_000 + b"</row></sheetData>"
    content = parts(micro_workbook)
    content |= {"xl/sharedStrings.xml": text, HOME: content[HOME].replace(b"</sheetData>", cells)}
    pack(tmp_path / "w.xlsx", content)
    assert "GB of memory" in refused("read", tmp_path / "w.xlsx")
    assert cached.package(tmp_path / "w.xlsx").sheets


@pytest.mark.parametrize(
    ("name", "value"), [("prompt_bytes", 10**9), ("prompt_bytes", 100_000), ("merge_rounds", 10**9)]
)
def test_room_for_a_text_that_the_file_does_not_have_is_not_made(
    name: str, value: int, reader: Checkpoint, reader_workbook: Path, tmp_path: Path
) -> None:
    cell = lay_out(reader.config, 12, 80, 6)[name].cells
    path = patch(reader_workbook, tmp_path / "w.xlsx", {MODEL: set_number(cell, value)})
    problems = " ".join(sheetgpt.verify(path, engine="cached").problems)
    assert "cells (n_layer is 1), and the file has only" in problems
    assert str(path) in refused("run", path)
