"""Recognise what already lives in a partition, so that `build` does not write over somebody's data.

One line for each kind: where its magic bytes stand. `blkid` knows more of each; whether something is there is all that
matters here, so a match that is too easily had is better than one missed.
"""

from typing import Final

from bootslang.image.medium import Medium

_FIXED: Final[tuple[tuple[str, int, bytes], ...]] = (
    ("an ext2, ext3 or ext4 file system", 0x438, b"\x53\xef"),
    ("an NTFS file system", 3, b"NTFS    "),
    ("an exFAT file system", 3, b"EXFAT   "),
    ("a BitLocker volume", 3, b"-FVE-FS-"),
    ("a FAT file system", 0x36, b"FAT12   "),
    ("a FAT file system", 0x36, b"FAT16   "),
    ("a FAT file system", 0x52, b"FAT32   "),
    ("an XFS file system", 0, b"XFSB"),
    ("a btrfs file system", 0x1_0040, b"_BHRfS_M"),
    ("a LUKS volume", 0, b"LUKS\xba\xbe"),
    ("a squashfs file system", 0, b"hsqs"),
    ("an EROFS file system", 1024, b"\xe2\xe1\xf5\xe0"),
    ("an F2FS file system", 1024, b"\x10\x20\xf5\xf2"),
    ("a cramfs file system", 0, b"\x45\x3d\xcd\x28"),
    ("a romfs file system", 0, b"-rom1fs-"),
    ("a ReiserFS file system", 0x1_0034, b"ReIsEr"),
    ("a JFS file system", 0x8000, b"JFS1"),
    ("a NILFS2 file system", 0x406, b"\x34\x34"),
    ("a bcachefs file system", 0x1018, bytes.fromhex("c68573f66ace90a9d96a60cf803df7ef")),
    ("an APFS container", 32, b"NXSB"),
    ("an HFS+ file system", 1024, b"H+\x00\x04"),
    ("an ISO 9660 file system", 0x8001, b"CD001"),
    ("a UDF file system", 0x8001, b"BEA01"),
    ("a Linux RAID member", 0, b"\xfc\x4e\x2b\xa9"),
    ("a Linux RAID member", 0x1000, b"\xfc\x4e\x2b\xa9"),
    ("a VMFS volume", 0x10_0000, b"\x0d\xd0\x01\xc0"),
    *(("an LVM physical volume", sector * 512, b"LABELONE") for sector in range(4)),
    *(("a minix file system", 0x410, magic) for magic in (b"\x7f\x13", b"\x8f\x13", b"\x68\x24", b"\x78\x24")),
    *(
        ("a swap area", page - 10, magic)
        for page in (0x1000, 0x4000, 0x1_0000)
        for magic in (b"SWAPSPACE2", b"SWAP-SPACE")
    ),
    *(("a ZFS pool member", 0x2_0000 + step * 0x400, b"\x0c\xb1\xba\x00\x00\x00\x00\x00") for step in range(128)),
    *(("an UFS file system", place, b"\x19\x01\x54\x19") for place in (0x2000 + 1372, 0x1_0000 + 1372)),
)
_LENGTH: Final = 0x10_1000
_RAID_AT_END: Final = b"\xfc\x4e\x2b\xa9"


def recognise(medium: Medium) -> str | None:
    """What the partition holds, as words for a sentence ("an XFS file system"), or None if nothing is known of it."""
    head = medium.read(0, min(medium.size, _LENGTH))
    for name, offset, magic in _FIXED:
        if head[offset : offset + len(magic)] == magic:
            return name
    return _old_fat(head) or _raid_at_end(medium)


def _old_fat(head: bytes) -> str | None:
    """FAT without its name in the boot sector: a jump, a sound BPB and 55 AA (DOS 3 and some cameras write that)."""
    if len(head) < 512 or head[510:512] != b"\x55\xaa" or head[0] not in {0xEB, 0xE9}:
        return None
    sector_size = int.from_bytes(head[11:13], "little")
    sound = (
        sector_size in {512, 1024, 2048, 4096} and head[13].bit_count() == 1 and head[16] in {1, 2} and head[21] >= 0xF0
    )
    return "a FAT file system" if sound else None


def _raid_at_end(medium: Medium) -> str | None:
    """Linux RAID metadata 1.0 (8 KiB before the end, down to 4 KiB) and 0.90 (the last whole 64 KiB)."""
    places = [(medium.size - 0x2000) // 0x1000 * 0x1000, medium.size // 0x1_0000 * 0x1_0000 - 0x1_0000]
    found = any(place >= 0 and medium.read(place, 4) == _RAID_AT_END for place in places)
    return "a Linux RAID member" if found else None
