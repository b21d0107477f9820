"""What a file is that isn't what it was given as, told by its first bytes, and what to do about it.

A line a kind; a reader asks when it can't read a file. Sources of the bytes: [MS-CFB] 2.2 for OLE, the Git LFS
specification, the formats' own documents for the others.
"""

import os
from pathlib import Path

MOST = 4096  # bytes that are looked at
_OFFICE = "open it in Excel or LibreOffice and save it as an .xlsx workbook"
_PAGE = "if it was downloaded, the page came in the file's place: fetch the file itself"

# first bytes, in small letters -> what it is, and what to do where a workbook is wanted
KINDS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    (
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",),
        "is encrypted with a password (or a company's sensitivity label), or is an old .xls workbook",
        f"{_OFFICE} without a password or label",
    ),
    (
        (b"version https://git-lfs.github.com/spec/",),
        "is only a Git LFS pointer, not the file itself",
        "run `git lfs pull` in its folder",
    ),
    ((b"<!doctype html", b"<html", b"<head", b"<table"), "is a web page under another name", f"{_OFFICE}, or, {_PAGE}"),
    ((b"<?xml",), "is an XML file, as Excel 2003 and LibreOffice's .fods are", _OFFICE),
    ((b"%pdf",), "is a PDF file", "give the workbook itself"),
    ((b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"rar!", b"\x28\xb5\x2f\xfd", b"bzh"), "is packed", "unpack it first"),
    ((b"\x89hdf", b"gguf", b"ggml"), "holds weights in another program's format", "give a workbook"),
    ((bytes(64),), "holds nothing but zeros where it should begin", "its copy or download broke off: copy it again"),
)
UNFINISHED = (".crdownload", ".part", ".partial", ".download", ".opdownload", ".incomplete")


def kind_of(path: Path) -> tuple[str, str] | None:
    """What the file is, and what to do where a workbook is wanted; None for what isn't known. Reads regular files."""
    if path.name.endswith(UNFINISHED):
        return "is still being downloaded, or its download broke off", "wait for it, or fetch it again"
    if path.name.startswith("~$") or path.name.startswith(".~lock."):
        return "is the note that Excel and LibreOffice keep beside an open workbook", "give the workbook itself"
    try:
        with path.open("rb") as file:
            begin = file.read(MOST)
    except OSError:
        return None
    if not begin:
        return "is empty (0 bytes)", "build or copy it again"
    plain = begin.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for starts, what, to_do in KINDS:
        if begin.lower().startswith(starts) or plain.startswith(starts):
            return what, to_do
    if begin[8:9] == b"{" and 0 < int.from_bytes(begin[:8], "little") < 1 << 28:
        return "holds weights (safetensors)", "`sheetgpt build` makes a workbook of them"
    if _is_text(begin):
        return "is a text file, such as a .csv", "it holds no formulas: give a workbook that `sheetgpt build` made"
    return None


def unfinished_beside(path: Path) -> Path | None:
    """What a browser has so far of a file that isn't there yet."""
    return next((found for end in UNFINISHED if os.path.isfile(found := Path(f"{path}{end}"))), None)


def _is_text(begin: bytes) -> bool:
    encoding = "utf-16" if begin.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    text = begin.decode(encoding, "replace")
    return sum(c.isprintable() or c in "\r\n\t" for c in text) > 0.97 * len(text) and text.count("\ufffd") < 4
