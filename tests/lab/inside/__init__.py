"""What runs inside the guest: an agent that obeys the host, and the devices' side of everything that is plugged in."""
