"""Runs inside the guest of scripts/usb-lab: hallctl's USB ports against a real kernel with simulated devices."""
