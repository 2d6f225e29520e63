"""The doors of the loader that other loaders start: what they hand over becomes a BootContext."""
