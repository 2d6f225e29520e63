"""No Python."""

def broken(:
    pass
