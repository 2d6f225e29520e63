"""Boot partitions in memory, written chunk by chunk: what stage 4 reads."""

from __future__ import annotations

import bz2
import struct

import xxhash

from bootslang.boot.disk import ALIGNMENT, CHUNK_BYTES, CODEC_BZIP2, CODEC_NONE, DATA_OFFSET, BlobRecord


class Partition:
    """Grows as blobs are added; `data` is what a source reads."""

    def __init__(self) -> None:
        self.data = bytearray(DATA_OFFSET)

    def add(self, kind: int, *parts: bytes, bzip2: bool = False, gap: int = 0) -> BlobRecord:
        """Write a blob whose chunks break between `parts`; `gap` bytes are left free before each chunk."""
        records = b""
        chunks = [part[at : at + CHUNK_BYTES] for part in parts for at in range(0, len(part), CHUNK_BYTES)]
        for chunk in chunks:
            packed = min(bz2.compress(chunk), chunk, key=len) if bzip2 else chunk
            self.data += bytes(gap)
            offset = self.append(packed)
            codec = CODEC_NONE if packed is chunk else CODEC_BZIP2
            records += struct.pack("<QIIQHHI", offset, len(packed), len(chunk), checksum(packed), codec, 0, 0)
        table = self.append(records)
        whole = b"".join(parts)
        self.data += bytes(-len(self.data) % ALIGNMENT)
        return BlobRecord(
            kind=kind,
            flags=0,
            size=len(whole),
            checksum=checksum(whole),
            table=table,
            table_checksum=checksum(records),
            chunks=len(chunks),
        )

    def append(self, content: bytes) -> int:
        """Write at the next multiple of ALIGNMENT; return where that is."""
        self.data += bytes(-len(self.data) % ALIGNMENT)
        offset = len(self.data)
        self.data += content
        return offset


def checksum(data: bytes) -> int:
    return xxhash.xxh64(data).intdigest()
