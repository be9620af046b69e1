"""Network cameras, USB cameras and recordings as sources of presence."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.camera.config import CameraOptions
from hallctl_drivers.camera.driver import StreamCamera
from hallctl_drivers.camera.sim import CameraSimulator

PLUGIN = DriverPlugin(
    name="camera",
    summary="presence camera: RTSP, HTTP MJPEG, V4L2 or a file",
    attachment=Attachment.STREAM,
    capabilities=frozenset({Capability.CAMERA}),
    options=CameraOptions,
    make=StreamCamera,
    simulate=lambda fault, _address: CameraSimulator(fault),
    faults={},
    example={"url": "rtsp://127.0.0.1/stream"},
)
