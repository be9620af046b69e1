"""An RTSP server by others: GStreamer's, run by the system's Python, which alone has its bindings.

    python3 gst_server.py --codec h264|h265|mjpeg --size 640x360 --fps 10 --gop 10 --scene NAME=FRAMES.i420 ...

Each scene is a file of raw I420 frames that are shown in turns. Prints {"port": N} when it serves rtsp://127.0.0.1:N/stream
and obeys JSON lines: {"do": "scene", "name": ...}, "cut" (every client), "stall" and "resume". Ends with its input.
"""

import argparse
import json
import sys
import threading
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402  # after their versions are chosen

SAME = "tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate=2000"
ENCODERS = {
    "h264": "x264enc {same} ! rtph264pay config-interval=1",
    "h265": "x265enc {same} option-string=log-level=none ! rtph265pay config-interval=1",
    "mjpeg": "jpegenc quality=85 ! rtpjpegpay",
}


class Camera(GstRtspServer.RTSPMediaFactory):
    """One picture source for all clients."""

    def __init__(self, options, scenes):
        super().__init__()
        self.options, self.scenes = options, scenes
        self.scene, self.number, self.stalled, self.sources = next(iter(scenes)), 0, False, []
        self.set_shared(True)
        self.set_eos_shutdown(True)
        if options.transport != "both":
            self.set_protocols(getattr(GstRtsp.RTSPLowerTrans, options.transport.upper()))

    def do_create_element(self, _url):
        width, height = self.options.size
        caps = f"video/x-raw,format=I420,width={width},height={height},framerate={self.options.fps}/1"
        encoder = ENCODERS[self.options.codec].format(same=SAME.format(gop=self.options.gop))
        source = f"appsrc name=source is-live=true do-timestamp=true format=time caps={caps}"
        return Gst.parse_launch(f"( {source} ! queue ! {encoder} name=pay0 pt=96 )")

    def do_configure(self, media):
        element = media.get_element().get_by_name_recurse_up("source")
        self.sources.append(element)
        GLib.timeout_add(1000 // self.options.fps, self.push, element)

    def push(self, element):
        if self.stalled:
            return True
        frames = self.scenes[self.scene]
        self.number += 1
        data = frames[self.number % len(frames)]
        return element.emit("push-buffer", Gst.Buffer.new_wrapped(data)) == Gst.FlowReturn.OK


def read_frames(path, size):
    length = size[0] * size[1] * 3 // 2
    data = Path(path).read_bytes()
    return [data[start : start + length] for start in range(0, len(data), length)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--codec", choices=sorted(ENCODERS), default="h264")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(640, 360))
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--gop", type=int, default=10)
    parser.add_argument("--transport", choices=["tcp", "udp", "both"], default="both")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--scene", action="append", default=[])
    options = parser.parse_args()
    Gst.init(None)
    scenes = {name: read_frames(path, options.size) for name, _, path in (one.partition("=") for one in options.scene)}
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    camera = Camera(options, scenes)
    if options.user:
        protect(server, camera, options)
    server.get_mount_points().add_factory("/stream", camera)
    server.attach(None)
    loop = GLib.MainLoop()

    def obey(order):
        if order["do"] == "scene":
            camera.scene = order["name"]
        elif order["do"] == "cut":
            server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)
        else:
            camera.stalled = order["do"] == "stall"
        return False

    def listen():
        for line in sys.stdin:
            GLib.idle_add(obey, json.loads(line))
        GLib.idle_add(loop.quit)

    threading.Thread(target=listen, daemon=True).start()
    print(json.dumps({"port": server.get_bound_port()}), flush=True)
    loop.run()


def protect(server, camera, options):
    """Basic authentication, as GStreamer has it."""
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    camera.set_permissions(permissions)


if __name__ == "__main__":
    main()
