"""Detectors that an operator may choose instead of the default one: any file with a known head, or a vendor's plug-in.

A watcher calls ``load_detector`` and sees the interface ``hallctl.camera.detector.Detector`` only. Importing a module
of this package registers its head; ``loading`` says how a package of yours adds one.
"""

from hallctl.camera.detectors.loading import load_detector
from hallctl.camera.detectors.nanodet import NanoDet
from hallctl.camera.detectors.yolox import YoloX

__all__ = ["NanoDet", "YoloX", "load_detector"]
