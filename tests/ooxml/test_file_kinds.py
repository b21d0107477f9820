"""Files that are not what they are given as: one sentence that says what it is and what to do, by every command."""

import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

import sheetgpt
from sheetgpt.engines import cached
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.verification.coverage import formula_cells

Write = Callable[..., Path]
HEADER = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'

FILES: dict[str, tuple[bytes, str]] = {
    "a password": (bytes.fromhex("d0cf11e0a1b11ae1") + b"0" * 4088, "without a password"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run `git lfs pull` in its folder"),
    "a page": (b"\n<!DOCTYPE HTML><title>x</title>", "is a web page under another name"),
    "a table as a page": (b"\xef\xbb\xbf<html xmlns:x='urn'><table>", "is a web page under another name"),
    "Excel 2003": (b'<?xml version="1.0"?><Workbook/>', "is an XML file"),
    "PDF": (b"%PDF-1.7\n", "is a PDF file"),
    "gzip": (b"\x1f\x8b\x08\0abc", "unpack it first"),
    "zeros": (bytes(5000), "holds nothing but zeros"),
    "nothing": (b"", "is empty (0 bytes)"),
    "weights": (struct.pack("<Q", len(HEADER)) + HEADER, "`sheetgpt build` makes a workbook of them"),
    "CSV": ("a;b\n1,5;é\n".encode(), "is a text file"),
    "UTF-16": ("a\tb\n1\t2\n".encode("utf-16"), "is a text file"),
}
PACKAGES = {
    "ods": ("content.xml", "a document of LibreOffice's"),
    "xlsb": ("xl/workbook.bin", "a binary workbook of Excel's (.xlsb)"),
    "docx": ("word/document.xml", "a document of Word's"),
    "zip": ("folder/Model.XLSX", "a zip file with a workbook inside, folder/Model.XLSX: unpack it first"),
}
OPENERS: dict[str, Callable[[Path], object]] = {
    "verify": lambda path: sheetgpt.verify(path, engine="cached"),
    "check": sheetgpt.check,
    "read": lambda path: sheetgpt.read(path, "logits"),
    "package": cached.package,
    "cells": formula_cells,
}


def refused(call: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(SheetGPTError) as caught:
        call(path)
    assert str(caught.value).endswith(".")
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("what", FILES)
def test_what_is_no_workbook_is_named(what: str, tmp_path: Path) -> None:
    data, words = FILES[what]
    path = tmp_path / "w.xlsx"
    path.write_bytes(data)
    for name, call in OPENERS.items():
        assert words in refused(call, path), name


@pytest.mark.parametrize("what", PACKAGES)
def test_another_programs_package_is_named(what: str, tmp_path: Path) -> None:
    part, words = PACKAGES[what]
    with zipfile.ZipFile(tmp_path / "w.xlsx", "w") as package:
        package.writestr(part, "<a/>")
    assert words in refused(OPENERS["verify"], tmp_path / "w.xlsx")


def test_unfinished_downloads_locks_and_folders_are_named(write_checkpoint: Write, tmp_path: Path) -> None:
    (tmp_path / "w.xlsx.crdownload").write_bytes(b"PK")
    assert "there is only w.xlsx.crdownload so far" in refused(OPENERS["verify"], tmp_path / "w.xlsx")
    assert "is still being downloaded" in refused(OPENERS["verify"], tmp_path / "w.xlsx.crdownload")
    (tmp_path / "~$w.xlsx").write_bytes(bytes(165))
    assert "beside an open workbook" in refused(OPENERS["verify"], tmp_path / "~$w.xlsx")
    assert "makes a workbook of it" in refused(OPENERS["verify"], write_checkpoint())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!doctype html><html>", "is a web page under another name"),
        (b"PK\3\4" + bytes(100), "is a zip file, as PyTorch's .bin files are"),
        (b"", "is empty (0 bytes)"),
        (bytes(5000), "holds nothing but zeros"),
        (b"GGUF" + bytes(100), "holds weights in another program's format"),
    ],
)
def test_what_holds_no_weights_is_named(data: bytes, words: str, write_checkpoint: Write) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").write_bytes(data)
    assert words in refused(load, folder)


def test_what_is_given_in_a_models_place_is_named(write_checkpoint: Write, tmp_path: Path) -> None:
    (tmp_path / "w.xlsx").write_bytes(b"PK")
    assert "is a workbook, and a model is wanted" in refused(load, tmp_path / "w.xlsx")
    (tmp_path / "outer").mkdir()
    inside = write_checkpoint("outer/tiny")
    assert f"has its model in a folder inside: give {inside}." in refused(load, tmp_path / "outer")
    (inside / "model.safetensors").rename(inside / "model.safetensors.crdownload")
    assert "model.safetensors.crdownload is still being downloaded" in refused(load, inside)


@pytest.mark.parametrize("refs", ["newline", "missing", "another commit"])
def test_a_cache_that_was_filled_by_hand_is_read_or_its_folder_named(
    refs: str, write_checkpoint: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    place, commit = tmp_path / "hub" / "models--me--tiny", "0123456789abcdef0123456789abcdef01234567"
    snapshot = shutil.copytree(write_checkpoint(), place / "snapshots" / commit)
    if refs != "missing":
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text(f"{commit if refs == 'newline' else 'f' * 40}\n")
    if refs == "newline":
        assert np.isfinite(load("me/tiny", quiet=True).params["wte"]).all()
    else:
        with pytest.raises(SheetGPTError, match="as the model") as caught:
            load("me/tiny", quiet=True)
        assert str(snapshot) in str(caught.value)
    assert f"give {snapshot}." in refused(load, place)
