"""How a command reaches a hall: options and settings, the broker, or the socket of the daemon on this very box.

The socket goes first where the controller.yaml that is meant is this box's and no --broker is given; where nobody
listens at it, the broker is asked as from anywhere else.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from hallctl.cli.language import _
from hallctl.cli.output import json_option
from hallctl.cli.where import config_option, find_config
from hallctl.config import load_controller, resolve
from hallctl.config.controller import Broker, ControllerConfig
from hallctl.errors import ConfigError, HallctlError, LocalError
from hallctl.link import BrokerSettings, Session, Tls, Topics
from hallctl.local import LocalClient, is_there, socket_paths

_TLS_KEY = "hallctl.tls"
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
TLS_VARIABLES = {"cafile": "HALLCTL_CAFILE", "cert": "HALLCTL_CERT", "key": "HALLCTL_KEY"}
BROKER_VARIABLE = "HALLCTL_BROKER"
PASSWORD_VARIABLE = "HALLCTL_BROKER_PASSWORD"  # noqa: S105  # the name of a variable, not a password


@dataclass(frozen=True, slots=True)
class Target:
    """Which broker, and which controller behind it; ``+`` means every one.

    ``sockets``: where the controller's own daemon may listen, when it is the one of this box. ``no_broker``: why there
    are no ``settings``.
    """

    settings: BrokerSettings | None
    site: str = "+"
    controller: str = "+"
    sockets: tuple[Path, ...] = ()
    no_broker: HallctlError | None = None

    @property
    def topics(self) -> Topics:
        """The one controller's topics. Raises ``click.UsageError`` when none is named."""
        if "+" in (self.site, self.controller):
            raise click.UsageError(_("Name one controller: --site SITE --controller ID."))
        return Topics(self.site, self.controller)


def link_options(function: F) -> F:
    """The options of every command that talks to a hall."""
    for option in (
        json_option,
        *tls_options(),
        click.option("--controller", metavar="ID", help="Which controller; default: the one of --config."),
        click.option("--site", metavar="SITE", help="Which site; default: the one of --config."),
        click.option(
            "--broker",
            metavar="URL",
            envvar=BROKER_VARIABLE,
            help=f"mqtt://[user@]host[:port] or mqtts://...; or ${BROKER_VARIABLE}; password: ${PASSWORD_VARIABLE}.",
        ),
        config_option,
    ):
        function = option(function)
    return function


def tls_options() -> tuple[Callable[[F], F], ...]:
    """Files of a desk's own certificate. ``target_of`` reads them: no command needs to pass them on."""
    texts = {
        "cafile": "CA certificates that may have signed the broker's (PEM)",
        "cert": "Your certificate; the key may stand in the same file",
        "key": "Your private key",
    }
    return tuple(
        click.option(
            f"--{name}",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            expose_value=False,
            callback=_remember,
            help=f"{text}; default: ${TLS_VARIABLES[name]}.",
        )
        for name, text in texts.items()
    )


def target_of(config: Path | None, broker: str | None, site: str | None, controller: str | None) -> Target:
    """What the options mean. Raises ``ConfigError``, ``ConfigErrors`` or ``click.UsageError``."""
    if broker is not None and not (config is not None and _is_from_variable("broker")):
        return Target(_from_url(broker), site or "+", controller or "+")
    path = find_config(config)
    document = load_controller(path)
    own = (site or document.site, controller or document.controller) == (document.site, document.controller)
    sockets = socket_paths(document.state_dir) if own else ()
    settings, no_broker = _broker_of(document, str(path))
    if document.broker is not None and no_broker is not None and not any(map(is_there, sockets)):
        raise no_broker
    return Target(settings, site or document.site, controller or document.controller, sockets, no_broker)


def _broker_of(document: ControllerConfig, path: str) -> tuple[BrokerSettings | None, HallctlError | None]:
    if document.broker is None:
        hint = "start its daemon and ask at the box, add a broker to it, or give --broker mqtt://HOST"
        return None, ConfigError(_("names no broker: this box works alone"), path=path, hint=hint)
    try:
        return _from_document(document.broker, path), None
    except HallctlError as exc:
        return None, exc


def with_session(target: Target, work: Callable[[Session], Awaitable[T]]) -> T:
    """Connect to the broker, do the work, say good-bye. Raises ``LinkError``, or why no broker can be asked."""
    settings = target.settings
    if settings is None:
        raise target.no_broker or ConfigError("no broker is named")

    async def run() -> T:
        session = Session(settings)
        await session.connect()
        try:
            return await work(session)
        finally:
            await session.disconnect()

    return asyncio.run(run())


def reach(target: Target, here: Callable[[LocalClient], Awaitable[T]], there: Callable[[Session], Awaitable[T]]) -> T:
    """Do the work over the daemon's socket where it listens on this box, else over the broker.

    Raises ``LocalError`` or ``LinkError``.
    """
    done = asyncio.run(_at_the_box(target, here))
    return done[0] if done else with_session(target, there)


async def _at_the_box(target: Target, work: Callable[[LocalClient], Awaitable[T]]) -> tuple[T] | None:
    """``None``: the daemon can't be asked here, but a broker can be."""
    client = await open_local(target)
    if client is None:
        return None
    async with client:
        return (await work(client),)


async def open_local(target: Target, *, or_broker: bool = True) -> LocalClient | None:
    """The daemon of this box; ``None``: a broker has to be asked.

    Raises ``LocalError`` where there is none either, or where it is no way out (``or_broker``).
    """
    if not target.sockets:
        return None
    try:
        return await LocalClient.find(target.sockets, target.site, target.controller)
    except LocalError as exc:
        if not or_broker:
            raise
        if target.settings is None and isinstance(target.no_broker, ConfigError) and exc.code != "local.other":
            raise
        return None


def _client_id() -> str:
    """A name of its own: with the controller's, the broker would throw the daemon out."""
    return f"hallctl-cli-{secrets.token_hex(6)}"


def _from_document(broker: Broker, path: str) -> BrokerSettings:
    own = _own_tls()
    tls = broker.tls
    if tls is not None and (tls.identity or tls.cert_file) and own.cert_file is None:
        raise ConfigError(
            _("this box's certificate is for its daemon: a second connection with it would throw the daemon out"),
            path=path,
            hint=_("use a certificate of your own: --cert FILE (--broker mqtts://HOST:8884), docs/security.md"),
        )
    return BrokerSettings(
        host=broker.host,
        port=broker.port,
        client_id=_client_id(),
        protocol=broker.protocol,
        username=broker.username,
        password=resolve(broker.password) if broker.password else None,
        tls=Tls(own.ca_file or tls.ca_file, own.cert_file, own.key_file) if tls else None,
        keepalive_s=broker.keepalive_s,
        max_in_flight=broker.max_in_flight,
    )


def _from_url(url: str) -> BrokerSettings:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise click.UsageError(_("--broker {url}: {exc}; write mqtt://HOST:PORT.").format(url=url, exc=exc)) from exc
    if parts.scheme not in ("mqtt", "mqtts") or not host or parts.path not in ("", "/"):
        raise click.UsageError(_("--broker: write mqtt://[user@]HOST[:PORT], or mqtts:// for TLS."))
    if parts.password is not None:
        raise click.UsageError(
            _("--broker: a password in the URL is seen by everybody here; set ${variable}.").format(
                variable=PASSWORD_VARIABLE
            )
        )
    secure = parts.scheme == "mqtts"
    own = _own_tls()
    if not secure and _given():
        raise click.UsageError(_("--cafile, --cert and --key are for TLS: write --broker mqtts://HOST."))
    return BrokerSettings(
        host=host,
        port=port or (8883 if secure else 1883),
        client_id=_client_id(),
        username=parts.username,
        password=os.environ.get(PASSWORD_VARIABLE),
        tls=own if secure else None,
    )


def _is_from_variable(option: str) -> bool:
    """A document that is named goes before what only the environment says."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(option) is ParameterSource.ENVIRONMENT


def _given() -> dict[str, Path]:
    context = click.get_current_context(silent=True)
    return context.meta.get(_TLS_KEY, {}) if context is not None else {}


def _own_tls() -> Tls:
    """What the options say, else the variables."""
    given = _given()
    named = {name: given.get(name) or _path(os.environ.get(variable)) for name, variable in TLS_VARIABLES.items()}
    if named["key"] is not None and named["cert"] is None:
        raise click.UsageError(_("--key goes with --cert."))
    return Tls(named["cafile"], named["cert"], named["key"])


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _remember(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    if value is not None and parameter.name is not None:
        context.meta.setdefault(_TLS_KEY, {})[parameter.name] = value
