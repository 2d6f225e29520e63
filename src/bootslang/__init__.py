"""Bootslang: an x86 boot loader written in Python, and what turns a kernel into a bootable disk."""
