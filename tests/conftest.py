"""What all tests share."""

from hypothesis import settings

# The first call of a slang function compiles it: no deadline holds for one example.
settings.register_profile("bootslang", deadline=None)
settings.load_profile("bootslang")
