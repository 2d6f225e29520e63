"""A module that Python does not get through."""

from bootslang.slang import array, u8

TABLE = array[u8](256 // n for n in range(3))
