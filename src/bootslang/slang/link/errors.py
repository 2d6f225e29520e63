"""What the linker says when a program cannot be put together."""


class LinkError(Exception):
    """The objects do not make an image. The text names the image and says what, where, and what to do."""
