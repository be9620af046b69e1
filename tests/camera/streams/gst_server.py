"""An RTSP server that we didn't write: GStreamer's, run by the system's Python, which alone has its bindings.

    python3 gst_server.py --codec h264 --size 640x360 --fps 10 --gop 10 --scene present=present.i420 --scene empty=e.png

A scene is a file whose frames are shown in turns for ever: raw I420 (``.i420``), or anything that GStreamer decodes (a
picture, which is a frozen camera, or a short recording). Prints ``{"port": N}`` when rtsp://127.0.0.1:N/stream is
served, then obeys JSON lines on standard input, and ends with it:

    {"do": "scene", "name": NAME}   another scene from the next frame on
    {"do": "cut"}                   drops every client; new ones are welcome
    {"do": "stall"}                 no frames any more; connections, keep-alives and RTCP go on
    {"do": "resume"}
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

# As cameras encode: no B frames, key frames at a fixed interval and nowhere else, parameter sets before each of them.
ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} option-string=scenecut=0 {rate}"
    " ! rtph264pay config-interval=-1 name=pay0 pt=96",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={gop}"
    " option-string=log-level=none:scenecut=0:open-gop=0 {rate} ! rtph265pay config-interval=-1 name=pay0 pt=96",
    "mjpeg": "videoconvert ! video/x-raw,format=I420,colorimetry=1:4:0:0 ! jpegenc quality=85"
    " ! rtpjpegpay name=pay0 pt=26",
}
# Without a bitrate the quantiser is constant: then equal frames are equal key frames, too.
CONSTANT = {"h264": "pass=quant quantizer=24", "h265": "qp=24", "mjpeg": ""}
PROTOCOLS = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "both": GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP,
}
METHODS = {
    "basic": [GstRtsp.RTSPAuthMethod.BASIC],
    "digest": [GstRtsp.RTSPAuthMethod.DIGEST],
    "both": [GstRtsp.RTSPAuthMethod.BASIC, GstRtsp.RTSPAuthMethod.DIGEST],
}


class Camera:
    """One sensor, whose frames go to every medium that the factory has made (one, since it is shared)."""

    def __init__(self, scenes, fps):
        self.scenes, self.scene = scenes, next(iter(scenes))
        self.stalled, self._number, self._sources = False, 0, []
        GLib.timeout_add(1000 // fps, self._tick)

    def plug(self, _factory, media):
        source = media.get_element().get_child_by_name("source")
        self._sources.append(source)
        media.connect("unprepared", lambda _media: self._sources.remove(source))

    def _tick(self):
        frames = self.scenes[self.scene]
        self._number += 1
        for source in [] if self.stalled else list(self._sources):
            source.emit("push-buffer", Gst.Buffer.new_wrapped(frames[self._number % len(frames)]))
        return True


def make_factory(options):
    width, height = options.size
    caps = f"video/x-raw,format=I420,width={width},height={height},framerate={options.fps}/1"
    # leaky: a sensor doesn't wait for an encoder that is too slow
    source = f"appsrc name=source is-live=true do-timestamp=true format=time max-buffers=4 leaky-type=downstream"
    source += f" caps={caps}"
    rate = f"bitrate={options.bitrate}" if options.bitrate else CONSTANT[options.codec]
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {source} ! {ENCODERS[options.codec].format(gop=options.gop, rate=rate)} )")
    factory.set_shared(True)
    factory.set_protocols(PROTOCOLS[options.transport])
    return factory


def protect(server, factory, options):
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    methods = METHODS[options.auth]
    auth.set_supported_methods(sum(int(method) for method in methods))
    if GstRtsp.RTSPAuthMethod.BASIC in methods:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    if GstRtsp.RTSPAuthMethod.DIGEST in methods:
        auth.add_digest(options.user, options.password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)


def read_frames(path, size):
    width, height = size
    if path.suffix != ".i420":
        return decode(path, size)
    data, length = path.read_bytes(), width * height * 3 // 2
    if not data or len(data) % length:
        raise SystemExit(f"{path}: not a number of I420 frames of {width}x{height}")
    return [data[start : start + length] for start in range(0, len(data), length)]


def decode(path, size):
    """All frames of a picture or a recording; they stay in memory."""
    caps = f"video/x-raw,format=I420,width={size[0]},height={size[1]}"
    pipeline = Gst.parse_launch(
        f"filesrc name=file ! decodebin ! videoconvert ! videoscale ! {caps} ! appsink name=sink sync=false"
    )
    pipeline.get_by_name("file").set_property("location", str(path))
    pipeline.set_state(Gst.State.PLAYING)
    sink, frames = pipeline.get_by_name("sink"), []
    while (sample := sink.emit("try-pull-sample", 10 * Gst.SECOND)) is not None:
        buffer = sample.get_buffer()
        frames.append(buffer.extract_dup(0, buffer.get_size()))
    pipeline.set_state(Gst.State.NULL)
    if not frames:
        raise SystemExit(f"{path}: GStreamer finds no picture in it")
    return frames


def obey(server, camera, order):
    match order["do"]:
        case "scene":
            camera.scene = order["name"]
        case "cut":
            server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)
            # else a session over UDP is served on until it times out
            server.get_session_pool().filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)
        case "stall" | "resume":
            camera.stalled = order["do"] == "stall"


def listen(loop, server, camera):
    for line in sys.stdin:
        GLib.idle_add(obey, server, camera, json.loads(line))
    GLib.idle_add(loop.quit)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--codec", choices=sorted(ENCODERS), default="h264")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(640, 360))
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--gop", type=int, default=10)
    parser.add_argument("--bitrate", type=int, help="kbit/s; default: a constant quantiser")
    parser.add_argument("--transport", choices=sorted(PROTOCOLS), default="both")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=sorted(METHODS), default="both")
    parser.add_argument("--scene", action="append", required=True, metavar="NAME=FILE")
    return parser.parse_args()


def main():
    options = parse_arguments()
    Gst.init(None)
    files = dict(one.split("=", 1) for one in options.scene)
    camera = Camera({name: read_frames(Path(file), options.size) for name, file in files.items()}, options.fps)
    server, factory, loop = GstRtspServer.RTSPServer(), make_factory(options), GLib.MainLoop()
    factory.connect("media-configure", camera.plug)
    server.set_address("127.0.0.1")
    server.set_service("0")
    if options.user:
        protect(server, factory, options)
    server.get_mount_points().add_factory("/stream", factory)
    server.attach(None)
    threading.Thread(target=listen, args=(loop, server, camera), daemon=True).start()
    print(json.dumps({"port": server.get_bound_port()}), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
