"""What the labs share: a Debian guest in qemu, and a line for every result."""
