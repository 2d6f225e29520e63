"""Multiboot 1 and 2: the headers by which a loader knows us, and the information that it hands over."""
