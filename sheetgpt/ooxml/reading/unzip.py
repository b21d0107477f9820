"""The parts of an .xlsx file that someone else may have made: nothing is read that hasn't been bounded before.

A zip file says twice how large a part is: in its directory, and by where the packed data end. Readers believe one or
the other, so that a few megabytes can become gigabytes; here the two must agree. Source: PKWARE's APPNOTE.TXT,
sections 4.3 and 4.4; [MS-OI29500] and ECMA-376 part 2, 7.3, for what a package may use of it.
"""

import copy
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from zlib_ng import zlib_ng

from sheetgpt.errors import SheetGPTError
from sheetgpt.file_kinds import kind_of, unfinished_beside

# whatever reading a damaged or hostile part may raise
READ_ERRORS: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, KeyError, ValueError, OverflowError),
    *(zlib.error, cast(type[Exception], zlib_ng.error), struct.error, MemoryError),
)

MAX_DIRECTORY = 16_000_000  # bytes; 65,535 parts with names of 200 letters
MAX_PART_NAME = 1_000  # characters; a path has 255 to 4,096 bytes
MAX_XML = (
    40_000_000  # bytes of all parts together that are read as a whole; a GPT-2 that Excel saved has some 15 million
)
MAX_RATIO, ANY_RATIO = 100, 1 << 25  # unpacked bytes a packed one, beside those that any part may have; ours have 12
CHUNK = 1 << 20
_END, _END_BYTES = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_BYTES, _END_64, _END_64_BYTES = b"PK\x06\x07", 20, b"PK\x06\x06", 56


def open_zip(path: Path) -> zipfile.ZipFile:
    """The archive. Raises zipfile.BadZipFile or OSError, and SheetGPTError for what isn't a file at all."""
    require_file(path)
    with path.open("rb") as file:
        _check_directory(file)
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        found = kind_of(path)
        if found:
            raise SheetGPTError(f"{path} {found[0]}; no .xlsx workbook can be read from it: {found[1]}.") from None
        raise
    except OSError:
        raise
    except READ_ERRORS as error:
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from None


def require_file(path: Path) -> None:
    """A device or a pipe may have no end, or never begin."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        part = unfinished_beside(path)
        if part:
            raise SheetGPTError(f"{path} is still being downloaded: there is only {part.name} so far.") from None
        raise SheetGPTError(f"There is no file {path}: give the path of an .xlsx workbook.") from None
    except OSError as error:
        raise SheetGPTError(f"{path} can't be read: {error.strerror or error}.") from None
    if not stat.S_ISREG(mode):
        if (path / "config.json").is_file():
            raise SheetGPTError(f"{path} is a folder with a model: `sheetgpt build {path}` makes a workbook of it.")
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise SheetGPTError(f"{path} is {kind}: give the path of an .xlsx workbook.")


def _check_directory(file: IO[bytes]) -> None:
    """The directory's size, which `zipfile` believes: it would read that much at once."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_BYTES - 0xFFFF))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        return  # no zip file: zipfile says so
    length = int.from_bytes(tail[at + 12 : at + 16], "little")
    if at >= _LOCATOR_BYTES and tail[at - _LOCATOR_BYTES :].startswith(_LOCATOR):
        end = size - len(tail) + at - _LOCATOR_BYTES - _END_64_BYTES
        file.seek(max(0, end))
        record = file.read(_END_64_BYTES)
        if record.startswith(_END_64):
            length = int.from_bytes(record[40:48], "little")
    if length > MAX_DIRECTORY:
        raise zipfile.BadZipFile(f"its directory has {length:,} bytes, more than any workbook needs")


def is_sheet(name: str) -> bool:
    """Worksheets may be huge, and are read in pieces."""
    return name.startswith("xl/worksheets/") and name.endswith(".xml")


def is_xml(name: str) -> bool:
    return name.endswith((".xml", ".rels", ".vml"))


def bomb(archive: zipfile.ZipFile) -> str | None:
    """What would unpack to more than a reader should have to hold, in words."""
    whole = 0
    for entry in archive.infolist():
        size = f"{entry.file_size:,} bytes from {entry.compress_size:,}"
        if len(entry.filename) > MAX_PART_NAME:
            return f"the name of a part has {len(entry.filename):,} characters"
        if entry.file_size > ANY_RATIO + MAX_RATIO * entry.compress_size:
            return f"{entry.filename} would unpack to {size}, as only files do that are made to fill a memory"
        if is_xml(entry.filename) and not is_sheet(entry.filename):
            whole += entry.file_size
            if whole > MAX_XML:
                return f"its parts beside the worksheets have more than {MAX_XML:,} bytes"
    return None


def unreadable(archive: zipfile.ZipFile) -> str | None:
    """What of the archive some reader could not read, or would read otherwise than another, in words."""
    seen = set()
    for entry in archive.infolist():
        if entry.flag_bits & 0x41:
            return f"{entry.filename} is encrypted"
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"{entry.filename} is compressed by method {entry.compress_type}, not by deflate"
        if entry.filename.lower() in seen:
            return f"it has two parts {entry.filename}"
        seen.add(entry.filename.lower())
    return bomb(archive)


def chunks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """A part, a megabyte at a time. Raises one of READ_ERRORS, too, when it is longer or shorter than it says."""
    entry = archive.getinfo(name)
    deflated = entry.compress_type == zipfile.ZIP_DEFLATED
    packed = copy.copy(entry)  # read as it lies there: `zipfile` would stop at the size that the directory gives
    if deflated:
        packed.compress_type, packed.file_size = zipfile.ZIP_STORED, entry.compress_size
        del packed.CRC
    total, check = 0, 0
    with archive.open(packed) as stream:
        for data in _inflated(stream) if deflated else _pieces(stream):
            total += len(data)
            if total > entry.file_size:
                break
            check = zlib_ng.crc32(data, check)
            yield data
    if total != entry.file_size:
        raise zipfile.BadZipFile(f"it is {'longer' if total > entry.file_size else 'shorter'} than it says")
    if check != entry.CRC:
        raise zipfile.BadZipFile("its checksum is wrong")


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while data := stream.read(CHUNK):
        yield data


def _inflated(stream: IO[bytes]) -> Iterator[bytes]:
    inflate = zlib_ng.decompressobj(-15)
    for packed in _pieces(stream):
        while packed and not inflate.eof:
            if data := inflate.decompress(packed, CHUNK):
                yield data
            packed = inflate.unconsumed_tail
    while not inflate.eof and (data := inflate.decompress(b"", CHUNK)):
        yield data
    if not inflate.eof or inflate.unused_data:
        raise zipfile.BadZipFile("its packed data end early or late")


def read(archive: zipfile.ZipFile, name: str) -> bytes:
    """A whole part, of those that `bomb` has bounded."""
    return b"".join(chunks(archive, name))
