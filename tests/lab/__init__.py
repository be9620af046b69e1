"""The lab of scripts/lab: a whole hall controller in qemu, installed as a technician would, and the host that drives it."""
