"""Real streams for tests: GStreamer's RTSP server, and MJPEG over HTTP as cameras have it."""
