"""Decompressors: one file each, span to span."""
