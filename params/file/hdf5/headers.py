"""Superblock and object headers: an address becomes a list of messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from params.errors import CorruptFile, UnsafeFile
from params.file.hdf5.buffer import Buffer, expect, integer, unpack

SIGNATURE = b"\x89HDF\r\n\x1a\n"

NIL, DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES = 0x00, 0x01, 0x02, 0x03, 0x06, 0x07
LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x08, 0x0B, 0x0C, 0x10, 0x11, 0x15


class Message(NamedTuple):
    """One header message: its type and its bytes."""

    kind: int
    data: memoryview


def root_address(file: Buffer) -> int:
    """Where the root group's object header is."""
    if bytes(file.take(0, 8)) != SIGNATURE:
        raise CorruptFile("not an HDF5 file: it does not begin with the HDF5 signature")
    head = file.take(0, min(96, file.size))
    (version,) = unpack("B", head, 8)
    expect(version, (0, 1, 2, 3), "HDF5 superblock version")
    sizes = unpack("BB", head, 13 if version < 2 else 9)
    if sizes != (8, 8):
        raise CorruptFile(f"HDF5 addresses of {sizes} bytes; 8 is what h5py writes")
    if version < 2:
        base, _, end, _, _, root = unpack("6Q", head, 24 + 4 * version)
    else:
        base, _, end, root = unpack("4Q", head, 12)
    if base != 0:
        raise CorruptFile("an HDF5 file inside another file is not read")
    if end > file.size:
        raise CorruptFile(f"truncated: {end} bytes were written, {file.size} are there")
    return root


def messages(file: Buffer, address: int) -> list[Message]:
    """The messages of the object header at `address`, which nobody else may have read."""
    file.enter(address, "object")
    version = file.take(address, 1)[0]
    found = list(_messages_v1(file, address) if version == 1 else _messages_v2(file, address))
    if any(message.kind == EXTERNAL_FILES for message in found):
        raise UnsafeFile("an array's bytes are in another file (HDF5 external storage)")
    return found


def _messages_v1(file: Buffer, address: int) -> Iterator[Message]:
    _, _, count, _, size = unpack("BBHII", file.take(address, 12))
    blocks = [file.take(address + 16, size)]
    while blocks:
        block, at = blocks.pop(0), 0
        while count > 0 and at + 8 <= len(block):
            kind, length, flags = unpack("HHB", block, at)
            message = _message(file, kind, flags, block, at + 8, length)
            at += 8 + length
            count -= 1
            if kind == CONTINUATION:
                start, length = unpack("QQ", message.data)
                file.enter(start, "header continuation")
                blocks.append(file.take(start, length))
            elif kind != NIL:
                yield message


def _messages_v2(file: Buffer, address: int) -> Iterator[Message]:
    file.signature(address, b"OHDR")
    version, flags = unpack("BB", file.take(address + 4, 2))
    expect(version, 2, "object header version")
    at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = integer(file.take(at, width), 0, width)
    blocks = [file.take(at + width, size)]
    prefix = 6 if flags & 4 else 4
    while blocks:
        block, at = blocks.pop(0), 0
        while at + prefix <= len(block):
            kind, length, message_flags = unpack("BHB", block, at)
            message = _message(file, kind, message_flags, block, at + prefix, length)
            at += prefix + length
            if kind == CONTINUATION:
                start, length = unpack("QQ", message.data)
                file.enter(start, "header continuation")
                file.signature(start, b"OCHK")
                blocks.append(file.take(start, length)[4:-4])
            elif kind != NIL:
                yield message


def _message(file: Buffer, kind: int, flags: int, block: memoryview, at: int, length: int) -> Message:
    file.step()
    if at + length > len(block):
        raise CorruptFile("a header message reaches past the end of its header")
    if flags & 2 and kind != NIL:
        raise CorruptFile("a header message is shared between objects, which h5py does for named types only")
    return Message(kind, block[at : at + length])


def only(found: list[Message], kind: int, what: str) -> memoryview | None:
    """The data of the single message of a kind, or None."""
    datas = [message.data for message in found if message.kind == kind]
    if len(datas) > 1:
        raise CorruptFile(f"an object has {len(datas)} {what} messages")
    return datas[0] if datas else None
