"""Capture in a child process, the detector, clips and their retention."""
