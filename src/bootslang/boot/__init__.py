"""What runs on the bare machine. All of it is slang."""
