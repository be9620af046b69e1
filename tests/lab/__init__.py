"""The lab of scripts/lab: a hall controller in qemu, installed as a technician would, and the host that drives it."""
