"""The 64-bit hand-off: kernels of your own (docs/handoff.md)."""
