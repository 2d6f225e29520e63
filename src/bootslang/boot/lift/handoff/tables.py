"""The page tables that a kernel of your own starts with: rights for every page, the largest pages that fit.

They are written through the identity map that stage 4 runs in, into one piece of memory: `tables_for` says beforehand
how many are enough. Nothing is mapped that nobody asked for, address 0 least of all.
"""

from typing import Final

from bootslang.boot.lift.handoff.kernel import HandoffKernel
from bootslang.boot.lift.limits import PAGE
from bootslang.boot.lift.paging import ADDRESS, ENTRIES, TABLE, table_at
from bootslang.boot.lift.segment import EXECUTE, WRITE
from bootslang.slang import BootError, Struct, compile_for, fn, span, u32, u64, usize

compile_for("long64")

PRESENT: Final = 0x01
WRITABLE: Final = 0x02
LARGE: Final = 0x80
"""Of an entry of level 2 or 3 that is a page, and no table."""
NO_EXECUTE: Final = 1 << 63
READ_ONLY_RIGHTS: Final = PRESENT | NO_EXECUTE
DATA_RIGHTS: Final = PRESENT | WRITABLE | NO_EXECUTE
CODE_RIGHTS: Final = PRESENT

LEVEL4: Final = 39
LEVEL3: Final = 30
LEVEL2: Final = 21
LEVEL1: Final = 12
"""How far an address is shifted for the index into a table of that level: the logarithm of what an entry maps."""
LEVEL_BITS: Final = 9


class PageTables(Struct):
    root: u64
    """The physical address of the table of level 4, for CR3."""
    next: u64
    """The first byte that is no table yet."""
    end: u64
    largest: u32
    """LEVEL3 where the CPU has pages of 1 GiB, else LEVEL2."""

    @fn
    def start(self, place: u64, size: u64, huge: bool) -> None:
        """Begin with an empty root, in the `size` bytes of memory at `place`."""
        self.next = place
        self.end = place + size
        self.largest = LEVEL3 if huge else LEVEL2
        self.root = self.new_table()

    @fn
    def new_table(self) -> u64:
        if self.end - self.next < PAGE:
            raise BootError("the memory for the kernel's page tables has run out")
        place = self.next
        table_at(usize(place)).fill(0)
        self.next += PAGE
        return place

    @fn
    def map(self, virtual: u64, physical: u64, size: u64, rights: u64) -> None:
        """Map whole pages."""
        while size:
            level = self.level_of_page(virtual | physical, size)
            done = self.enter(virtual, level, physical | rights | (0 if level == LEVEL1 else LARGE), size)
            virtual += done
            physical += done
            size -= done

    @fn
    def level_of_page(self, addresses: u64, size: u64) -> u32:
        """The level of the largest page that fits: both addresses, ored, are multiples of it."""
        level = self.largest
        while level > LEVEL1 and (addresses & ((u64(1) << level) - 1) or size < u64(1) << level):
            level -= LEVEL_BITS
        return level

    @fn
    def enter(self, virtual: u64, level: u32, entry: u64, size: u64) -> u64:
        """Write the entries of pages of one level, and make the tables that lead to them.

        It ends where the table does, from where on larger pages may fit. Returns how many bytes have been mapped.
        """
        table = table_at(usize(self.root))
        at: u32 = LEVEL4
        while at > level:
            table = self.table_below(table, usize(virtual >> at) % ENTRIES)
            at -= LEVEL_BITS
        first = usize(virtual >> level) % ENTRIES
        slots = table[first : min(first + usize(size >> level), ENTRIES)]
        for index in range(len(slots)):
            if slots[index]:
                raise BootError(f"two things are to be mapped at {virtual + (index << level):#x}")
            slots[index] = entry
            entry += u64(1) << level
        return u64(len(slots)) << level

    @fn
    def table_below(self, table: span[u64], slot: usize) -> span[u64]:
        if not table[slot]:
            table[slot] = self.new_table() | TABLE
        elif table[slot] & LARGE:
            raise BootError("a page is to be mapped inside of a larger one")
        return table_at(usize(table[slot] & ADDRESS))


@fn
def tables_for(virtual: u64, size: u64, smallest: u32) -> u64:
    """At most how many tables below the root it takes to map [virtual, virtual + size).

    smallest: the level of the smallest pages.
    """
    count: u64 = 0
    level: u32 = LEVEL4
    while level > smallest:
        count += ((virtual + size - 1) >> level) - (virtual >> level) + 1
        level -= LEVEL_BITS
    return count


@fn
def map_kernel(tables: PageTables, kernel: HandoffKernel) -> None:
    """Map the kernel's segments at their shifted addresses, by their own rights, PT_GNU_RELRO read-only.

    Its rule is the dynamic linker's: from the page in which it starts to before the page in which it ends. Two segments
    with equal rights may share a page.
    """
    sealed = kernel.relro.start // PAGE * PAGE
    sealed_end = (kernel.relro.start + kernel.relro.size) // PAGE * PAGE
    mapped = kernel.low
    for segment in kernel.segments.all():
        start = max(mapped, segment.virtual // PAGE * PAGE)
        mapped = (segment.virtual + segment.memory_size + PAGE - 1) // PAGE * PAGE
        rights = rights_of(segment.flags)
        before = min(max(start, sealed), mapped)
        behind = min(max(start, sealed_end), mapped)
        if not kernel.relro.size or behind <= before:
            map_piece(tables, kernel, start, mapped, rights)
            continue
        map_piece(tables, kernel, start, before, rights)
        map_piece(tables, kernel, before, behind, rights & ~u64(WRITABLE))
        map_piece(tables, kernel, behind, mapped, rights)


@fn
def map_piece(tables: PageTables, kernel: HandoffKernel, start: u64, end: u64, rights: u64) -> None:
    """Map a part of the kernel, by its addresses in the file; nothing if it is empty."""
    if start < end:
        tables.map(start + kernel.shift, kernel.place + (start - kernel.low), end - start, rights)


@fn
def rights_of(flags: u32) -> u64:
    """A segment's rights as a page table has them: whatever is mapped can be read."""
    rights: u64 = PRESENT
    if flags & WRITE:
        rights |= WRITABLE
    if not flags & EXECUTE:
        rights |= NO_EXECUTE
    return rights
