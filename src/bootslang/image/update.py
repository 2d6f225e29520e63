"""Write a loader and a new generation into a boot partition so that the power may go at any moment.

Used for a fresh image and for a disk in service alike. The order of the writes is the whole point:

1. Loader slots, one after the other. Of a slot, the header is made invalid, then the rest is written, then the header,
   each flushed before the next. Stage 1 tries slot A, then B: one of them is whole all the time.
2. The new generation's chunks and tables go where no generation lies that is kept, and are flushed and read back.
3. Its manifest takes the slot of the older generation. From here on it boots.
4. Sector 0, in one write, last: until then a disk that booted something else goes on booting that.

The loader goes first because a new loader boots old generations, but an old loader need not know the new one's codecs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from bootslang.errors import FormatInvalid, ImageInvalid, NoRoom
from bootslang.image import format as disk
from bootslang.image.generation import (
    Generation,
    is_whole,
    manifest_offset,
    read_generation,
    read_manifest,
    slot_is_empty,
)
from bootslang.image.loader import Loader, read_slot, slot_is_whole
from bootslang.image.medium import Medium
from bootslang.image.partitions import CODE_BYTES, MBR_BYTES
from bootslang.image.payload import Advance, Payload, PlacedBlob, Room, place

COMMIT_BYTES: Final = 512
"""What every disk writes wholly or not at all. A loader header fits, and so does sector 0's code with the table."""


@dataclass(frozen=True)
class Existing:
    """What a boot partition already holds."""

    slots: tuple[bytes, bytes]
    whole_slots: tuple[bool, bool]
    last_sequence: int
    """The highest of any valid manifest; 0 if there is none."""
    used_slots: tuple[int, ...]
    """The manifest slots that are not empty, whatever they hold."""
    has_manifest: bool
    """Whether one of them holds a valid manifest, be its generation damaged or not."""
    whole: tuple[Generation, ...]
    """Generations that boot, newest first."""

    @property
    def ours(self) -> bool:
        """Whether this is a boot partition at all."""
        return any(self.whole_slots) or self.has_manifest


def examine(boot: Medium) -> Existing:
    """Read what is in a boot partition, whatever it is; there is nothing to find in one that is too small."""
    if boot.size < disk.DATA_OFFSET:
        return Existing((b"", b""), (False, False), 0, (), has_manifest=False, whole=())
    slots = (read_slot(boot, 0), read_slot(boot, 1))
    sequences: dict[int, int] = {}
    whole: list[Generation] = []
    for slot in range(disk.MANIFEST_SLOTS):
        try:
            sequences[slot] = read_manifest(boot, slot).sequence
            generation = read_generation(boot, slot)
        except FormatInvalid:
            continue
        if is_whole(boot, generation):
            whole.append(generation)
    whole.sort(key=lambda generation: generation.sequence, reverse=True)
    return Existing(
        slots=slots,
        whole_slots=(slot_is_whole(slots[0]), slot_is_whole(slots[1])),
        last_sequence=max(sequences.values(), default=0),
        used_slots=tuple(slot for slot in range(disk.MANIFEST_SLOTS) if not slot_is_empty(boot, slot)),
        has_manifest=bool(sequences),
        whole=tuple(whole),
    )


@dataclass(frozen=True)
class Plan:
    """Where the new generation goes, decided before anything is written."""

    sequence: int
    slot: int
    blobs: tuple[PlacedBlob, ...]
    protected: tuple[Generation, ...]
    """Generations that stay bootable while the new one is written."""
    invalidate: tuple[int, ...]
    """Manifest slots to make invalid first: a machine believes any manifest whose own checksum is right, so that none
    may be left whose blobs are damaged, lie outside the partition, or are about to be overwritten."""
    missing: int
    """How many bytes the partition is too small to keep a bootable generation; 0 if it does, or if there was none."""

    @property
    def kept(self) -> tuple[int, ...]:
        """The sequence numbers on the disk afterwards, newest first."""
        old = [generation.sequence for generation in self.protected if generation.slot != self.slot]
        return (self.sequence, *old)


def plan_update(payload: Payload, existing: Existing, partition_bytes: int) -> Plan:
    """Place a payload beside as many bootable generations as there is room for.

    Raises:
        NoRoom: If it does not fit even an empty partition.

    """
    if existing.last_sequence == disk.LAST_SEQUENCE:
        raise ImageInvalid(
            "The newest generation on the disk has the last sequence number, so that nothing newer can follow.",
            hint="Updates never get there. Fill the start of the boot partition with zeros, and build again.",
        )
    missing = 0
    for protected in _choices(existing.whole):
        room = Room(partition_bytes, (extent for generation in protected for extent in generation.extents))
        shortage = payload.room - room.size
        try:
            blobs = place(payload.blobs, room) if shortage <= 0 else None
        except NoRoom:  # there is enough in sum, but in too small pieces
            blobs = None
        if blobs is not None:
            return _plan(existing, protected, blobs, missing)
        missing = max(shortage, disk.ALIGNMENT)
    shortage = payload.room + disk.DATA_OFFSET - partition_bytes // disk.ALIGNMENT * disk.ALIGNMENT
    raise NoRoom(
        f"The content needs {payload.room + disk.DATA_OFFSET} bytes, the boot partition has {partition_bytes}: "
        f"it is {shortage} bytes too small.",
        hint="Make the partition larger, or pack the content (--codec bzip2).",
    )


def _choices(whole: tuple[Generation, ...]) -> Iterable[tuple[Generation, ...]]:
    """What to protect, best first: all, the newest, nothing."""
    return dict.fromkeys((whole, whole[:1], ()))


def _plan(existing: Existing, protected: tuple[Generation, ...], blobs: list[PlacedBlob], missing: int) -> Plan:
    held = {generation.slot for generation in protected}
    free = [slot for slot in range(disk.MANIFEST_SLOTS) if slot not in held]
    return Plan(
        sequence=existing.last_sequence + 1,
        slot=free[0] if free else protected[-1].slot,
        blobs=tuple(blobs),
        protected=protected,
        invalidate=tuple(slot for slot in existing.used_slots if slot not in held),
        missing=missing if existing.whole and not protected else 0,
    )


@dataclass(frozen=True)
class WriteRecord:
    """One thing that was written, in bytes from the start of the boot partition (of the disk for sector 0)."""

    what: str
    offset: int
    size: int


@dataclass
class Installer:
    """Carries out a plan on a disk."""

    whole_disk: Medium
    boot: Medium
    writes: list[WriteRecord] = field(default_factory=list)

    def install(self, loader: Loader, payload: Payload, existing: Existing, plan: Plan, advance: Advance) -> None:
        """Everything, in the order that the head of this file explains."""
        if not existing.ours:
            self._clear_head()
        self._write_loader(loader.slot, existing)
        for slot in plan.invalidate:
            self.boot.write(manifest_offset(slot), bytes(COMMIT_BYTES))
            self.boot.flush()
        self._write_data(payload, plan, advance)
        self._write_manifest(plan)
        self._write_boot_code(loader.boot_code)

    def _clear_head(self) -> None:
        """Whatever was here before: leave none of its magic numbers to be found, and no manifest."""
        self.boot.write(disk.MANIFEST_OFFSET, bytes(disk.DATA_OFFSET - disk.MANIFEST_OFFSET))
        self.boot.flush()

    def _write_loader(self, slot: bytes, existing: Existing) -> None:
        order = (1, 0) if existing.whole_slots[0] else (0, 1)
        for index in order:
            if existing.slots[index] == slot:
                continue
            start = index * disk.LOADER_SLOT_BYTES
            self.boot.write(start, bytes(COMMIT_BYTES))
            self.boot.flush()
            self.boot.write(start + COMMIT_BYTES, slot[COMMIT_BYTES:])
            self.boot.flush()
            self.boot.write(start, slot[:COMMIT_BYTES])
            self.boot.flush()
            self._note(f"loader slot {'AB'[index]}", start, len(slot))
            if read_slot(self.boot, index) != slot:
                raise _differs(f"loader slot {'AB'[index]}")

    def _write_data(self, payload: Payload, plan: Plan, advance: Advance) -> None:
        for blob in plan.blobs:
            self._write_padded(blob.record.table, disk.encode_table(blob.chunks))
            self._note(f"chunk table of {blob.packed.name}", blob.record.table, blob.record.table_bytes)
            for data, chunk in zip(payload.read(blob.packed), blob.chunks, strict=True):
                self._write_padded(chunk.offset, data)
                advance(chunk.unpacked)
            self._note(blob.packed.name, blob.chunks[0].offset, blob.packed.packed_bytes)
        self.boot.flush()
        for blob in plan.blobs:
            self._read_back(blob)

    def _read_back(self, blob: PlacedBlob) -> None:
        if disk.xxh64(self.boot.read(blob.record.table, blob.record.table_bytes)) != blob.record.table_checksum:
            raise _differs(f"the chunk table of {blob.packed.name}")
        for chunk in blob.chunks:
            if disk.xxh64(self.boot.read(chunk.offset, chunk.packed)) != chunk.checksum:
                raise _differs(f"{blob.packed.name} at {chunk.offset:#x}")

    def _write_manifest(self, plan: Plan) -> None:
        manifest = disk.Manifest(plan.sequence, tuple(blob.record for blob in plan.blobs)).encode()
        slot = manifest.ljust(disk.MANIFEST_SLOT_BYTES, b"\0")
        self.boot.write(manifest_offset(plan.slot), slot)
        self.boot.flush()
        self._note(f"manifest of generation {plan.sequence}", manifest_offset(plan.slot), len(manifest))
        if self.boot.read(manifest_offset(plan.slot), len(slot)) != slot:
            raise _differs("the manifest")

    def _write_boot_code(self, code: bytes) -> None:
        sector = self.whole_disk.read(0, MBR_BYTES)
        if sector[:CODE_BYTES] == code:
            return
        self.whole_disk.write(0, code + sector[CODE_BYTES:])
        self.whole_disk.flush()
        self._note("boot code in sector 0", 0, CODE_BYTES)
        if self.whole_disk.read(0, MBR_BYTES) != code + sector[CODE_BYTES:]:
            raise _differs("sector 0")

    def _write_padded(self, offset: int, data: bytes) -> None:
        """Fill up the last alignment unit with zeros, so that nothing old is left in it."""
        self.boot.write(offset, data.ljust(disk.aligned(len(data)), b"\0"))

    def _note(self, what: str, offset: int, size: int) -> None:
        self.writes.append(WriteRecord(what, offset, size))


def _differs(what: str) -> ImageInvalid:
    return ImageInvalid(
        f"What was written differs from what reads back: {what}.", hint="The disk is failing; do not trust it."
    )
