"""The BIOS door: boot sector, loader and survey, and the gate through which the BIOS is called."""
