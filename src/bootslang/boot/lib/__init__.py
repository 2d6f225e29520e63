"""What every stage shares: console, memory, text, checksums."""
