"""A terminal's wire as people read it: records of what passed, frames in words, and the file that keeps them."""

from hallctl.trace.decode import Decoder, Told
from hallctl.trace.file import FORMAT, TraceHeader, TraceReading, TraceWriter, read_trace, trace_text

__all__ = ["FORMAT", "Decoder", "Told", "TraceHeader", "TraceReading", "TraceWriter", "read_trace", "trace_text"]
