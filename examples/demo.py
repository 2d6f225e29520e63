"""Build a disk and boot it."""
