"""The evaluation pad on any tablet: a small web page that the daemon serves."""

from hallctl.driver import Attachment, Capability, DriverPlugin, TerminalContext, TerminalDriver
from hallctl.errors import ConfigError
from hallctl_drivers.webpad.config import WebPadOptions
from hallctl_drivers.webpad.sim import WebPadSimulator

__all__ = ["PLUGIN"]


def _make(context: TerminalContext, options: WebPadOptions) -> TerminalDriver:
    try:
        from hallctl_drivers.webpad.driver import WebPad  # noqa: PLC0415  # needs the extra, which few boxes install
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "websockets":
            raise
        raise ConfigError(
            "web pads need websockets, which is not installed",
            hint="pip install 'hallctl[web]', then start hallctl again",
        ) from exc
    return WebPad(context, options)


PLUGIN = DriverPlugin(
    name="web-pad",
    summary="evaluation pad on any tablet: a web page that the daemon serves",
    attachment=Attachment.NONE,
    capabilities=frozenset({Capability.PAD}),
    options=WebPadOptions,
    make=_make,
    simulate=lambda fault, _address: WebPadSimulator(fault),
    faults={
        "pad.absent": "open the pad's address (it stands in the hint, and in info as url) in the tablet's browser; "
        "then look at the tablet's power and network, and at the options listen and allow",
    },
    book="hallctl_drivers.webpad",
)
