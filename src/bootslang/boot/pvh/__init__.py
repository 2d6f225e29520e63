"""Xen PVH: the notes by which a machine monitor knows us, and the information that it hands over."""
