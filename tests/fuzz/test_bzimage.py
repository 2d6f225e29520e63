"""Does the bzImage reader of stage 4 accept only what can be placed, whatever the header says?"""

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.context import BootContext
from bootslang.boot.lift import bzimage as reader
from bootslang.boot.lift.bzimage import BzImage
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.slang import BootError, span
from support.fuzzing import fuzzed, mutations
from support.payloads import MIB, SETUP_FIELDS, bzimage, pc, taken

FOUR_GIB = 1 << 32


def check(image: BzImage, size: int, memory: MemoryMap, context: BootContext) -> None:
    """What everybody behind the reader relies on."""
    assert image.setup_bytes + image.protected_bytes == size
    assert image.protected_bytes > 0
    try:
        reader.place(image, memory, context)
    except BootError:
        return
    assert image.init_size >= image.protected_bytes
    assert (image.part.place, image.init_size) in taken(context)
    assert image.part.place >= MIB
    assert image.part.place + image.init_size <= FOUR_GIB


@fuzzed
@given(mutations(bzimage()[:0x290]))
def test_damaged_headers_are_refused_or_credible(data: bytes) -> None:
    image = BzImage.zeroed()
    size = 1 << 20
    try:
        reader.read_header(span(data), size, image)
    except BootError:
        pass
    else:
        check(image, size, *pc(256))


@fuzzed
@given(st.dictionaries(st.sampled_from(sorted(SETUP_FIELDS)), st.integers(0, (1 << 64) - 1), max_size=4))
def test_any_numbers_are_refused_or_credible(fields: dict[str, int]) -> None:
    kept = {name: value & ((1 << 8 * SETUP_FIELDS[name][1]) - 1) for name, value in fields.items()}
    file = bzimage(kept)
    image = BzImage.zeroed()
    try:
        reader.read_header(span(file), len(file), image)
    except BootError:
        pass
    else:
        check(image, len(file), *pc(256))
