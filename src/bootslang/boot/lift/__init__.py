"""Stage 4, shared by every door: read, check, decompress, place, hand over."""
