"""``hallctl enroll`` on the machine that the certificate is for: a box, a desk, or the broker."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from hallctl.cli.enroll.answer import ask_over_mqtt
from hallctl.cli.language import _
from hallctl.cli.link import tls_options
from hallctl.cli.output import EX_FAILED, EX_OK, json_option, local_time, print_json
from hallctl.cli.where import config_option, find_config
from hallctl.clock import SystemClock
from hallctl.config import load_controller
from hallctl.enroll import Holder, Identity, Pair, Role, holder_of
from hallctl.enroll.identity import read_anchors
from hallctl.enroll.keys import fingerprint
from hallctl.errors import ConfigError, EnrollError

FOLDER = Path("/var/lib/hallctl")


@dataclass(frozen=True, slots=True)
class Place:
    """Whose identity it is, where it stands, and which CAs may have signed it."""

    holder: Holder
    identity: Identity
    ca_file: Path | None


def name_options(function: Any) -> Any:
    """Which identity a command is about."""
    for option in (
        click.option(
            "--identity", type=click.Path(path_type=Path, dir_okay=False), help="File with key and certificate."
        ),
        click.option("--name", metavar="ROLE:NAME", help="Not a box: operator:lina, recorder:centre, broker:mq-1 ..."),
        config_option,
    ):
        function = option(function)
    return function


@click.command()
@name_options
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A broker's name or address; again for more.")
@click.option("--csr", type=click.Path(path_type=Path, dir_okay=False), help="Write the request here too.")
@click.option("--anew", is_flag=True, help="Make a new key although a request waits already.")
@click.option("--send", is_flag=True, help="Ask over MQTT with a bootstrap credential (--broker, --cert), and wait.")
@click.option("--broker", metavar="URL", help="Where to ask: mqtts://HOST:PORT.")
@click.option("--wait", "wait_s", default=600.0, show_default=True, metavar="S", help="So long, seconds.")
@json_option
def request(
    *,
    config: Path | None,
    name: str | None,
    identity: Path | None,
    hosts: tuple[str, ...],
    csr: Path | None,
    anew: bool,
    send: bool,
    broker: str | None,
    wait_s: float,
    as_json: bool,
) -> int:
    """Make a key on this machine and a request for a certificate. The key never leaves it.

    The request is printed (PEM); take it to the centre as a file, or --send it. Called again, it gives the same request
    until a certificate is installed. Compare the fingerprint with the person who signs. --json prints one document.
    """
    place = place_of(config, name, identity)
    asked = place.identity.ask(place.holder.common_name, hosts, anew=anew)
    if csr is not None:
        _write(csr, asked.csr)
    if as_json:
        print_json({"name": asked.name, "fingerprint": asked.fingerprint, "csr": asked.csr.decode()})
    else:
        click.echo(
            _("name:        {name}\nfingerprint: {fingerprint}").format(name=asked.name, fingerprint=asked.fingerprint),
            err=True,
        )
        if csr is None and not send:
            click.echo(asked.csr.decode(), nl=False)
    if not send:
        return EX_OK
    if place.holder.role is not Role.CONTROLLER:
        raise click.UsageError(
            _("--send is for boxes; take the request of a person or a broker to the centre as a file.")
        )
    certificate = ask_over_mqtt(place.holder.topics, asked, config, broker, wait_s)
    return _installed(place, certificate.encode(), _("the desk's answer"), as_json=as_json)


for _option in tls_options():
    request = _option(request)


@click.command()
@click.argument("certificate", type=click.Path(path_type=Path, dir_okay=False))
@name_options
@click.option("--cafile", type=click.Path(path_type=Path, dir_okay=False), help="CAs that may have signed it.")
@json_option
def install(
    *,
    certificate: Path,
    config: Path | None,
    name: str | None,
    identity: Path | None,
    cafile: Path | None,
    as_json: bool,
) -> int:
    """Put a signed CERTIFICATE (PEM) in place beside its key, after checking key, name, dates, use and chain.

    A daemon that runs uses it at its next connect: systemctl restart hallctl. --json prints one document.
    """
    place = place_of(config, name, identity)
    if cafile is not None:
        place = Place(place.holder, place.identity, cafile)
    try:
        data = certificate.read_bytes()
    except OSError as exc:
        raise EnrollError(
            _("{certificate} can't be read: {strerror}").format(certificate=certificate, strerror=exc.strerror),
            code="enroll.file",
            hint=_("name the signed certificate"),
        ) from exc
    return _installed(place, data, str(certificate), as_json=as_json)


@click.command()
@name_options
@json_option
def status(*, config: Path | None, name: str | None, identity: Path | None, as_json: bool) -> int:
    """Show the certificate: whose, by whom, days left, and a request that waits. Exit code 1 where none holds.

    --json prints one document.
    """
    place = place_of(config, name, identity)
    pair, asked, now = place.identity.current(), place.identity.asked(), SystemClock().now()
    document: dict[str, Any] = {"name": place.holder.common_name, "file": str(place.identity.path), "certificate": None}
    document["request"] = {"fingerprint": asked.fingerprint, "name": asked.name} if asked is not None else None
    if pair is not None:
        document["certificate"] = _described(pair, now)
    if as_json:
        print_json(document)
    else:
        click.echo(_words(document))
    return EX_OK if pair is not None and pair.lifetime[0] <= now < pair.lifetime[1] else EX_FAILED


def place_of(config: Path | None, name: str | None, identity: Path | None) -> Place:
    """What the options mean: a person's or a broker's identity by name, else the box's of controller.yaml."""
    if name is not None:
        holder = holder_of(name)
        if holder.role is Role.CONTROLLER:
            raise click.UsageError(_("A box takes its name from its controller.yaml: --config FILE."))
        return Place(holder, Identity(identity or Path(f"{holder.common_name.replace(':', '-')}.pem")), None)
    path = find_config(config)
    document = load_controller(path)
    tls = document.broker.tls if document.broker is not None else None
    own = identity or (tls.identity if tls is not None else None)
    if own is None:
        hint = f"broker: tls: identity: {FOLDER / 'identity.pem'} (docs/security.md)"
        raise ConfigError(_("names no identity for the box's key and certificate"), path=str(path), hint=hint)
    return Place(holder_of(f"{document.site}/{document.controller}"), Identity(own), tls.ca_file if tls else None)


def _installed(place: Place, data: bytes, where: str, *, as_json: bool) -> int:
    anchors, now = read_anchors(place.ca_file), SystemClock().now()
    server = place.holder.role is Role.BROKER
    name = place.holder.common_name
    pair = place.identity.install(data, where, name=name, anchors=anchors, now=now, server=server)
    if place.holder.role is not Role.CONTROLLER:
        place.identity.confirm()  # nobody but a box's daemon tries the new pair and goes back
    if as_json:
        print_json({"file": str(place.identity.path), **_described(pair, now)})
        return EX_OK
    click.echo(
        _("{path}: certificate of {name}, until {time}").format(
            path=place.identity.path, name=pair.name, time=local_time(pair.lifetime[1])
        )
    )
    if not anchors:
        click.echo(_("warning: no CA is named (tls.ca_file, --cafile): who signed it was not checked"), err=True)
    return EX_OK


def _described(pair: Pair, now: datetime) -> dict[str, Any]:
    begins, ends = pair.lifetime
    return {
        "name": pair.name,
        "issuer": common_name_of_issuer(pair),
        "serial": pair.serial,
        "fingerprint": fingerprint(pair.key.public_key()),
        "from": begins,
        "until": ends,
        "days_left": round((ends - now).total_seconds() / 86400, 1),
    }


def common_name_of_issuer(pair: Pair) -> str:
    """Who signed it."""
    return pair.chain[0].issuer.rfc4514_string()


def _words(document: dict[str, Any]) -> str:
    found, asked = document["certificate"], document["request"]
    if found is None:
        lines = [_("{name}: there is no certificate in {file}").format(name=document["name"], file=document["file"])]
    else:
        left = found["days_left"]
        life = _("{left} days left").format(left=left) if left > 0 else _("EXPIRED")
        lines = [
            _("{name}: {life}, until {time}").format(
                name=found["name"], life=life, time=local_time(found["until"].astimezone(UTC))
            ),
            _("file:        {file}").format(file=document["file"]),
            _("issuer:      {issuer}").format(issuer=found["issuer"]),
            _("serial:      {serial}").format(serial=found["serial"]),
            _("fingerprint: {fingerprint}").format(fingerprint=found["fingerprint"]),
        ]
    if asked is not None:
        lines.append(
            _("a request waits for its certificate; its fingerprint: {fingerprint}").format(
                fingerprint=asked["fingerprint"]
            )
        )
    return "\n".join(lines)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as exc:
        raise EnrollError(
            _("{path} can't be written: {strerror}").format(path=path, strerror=exc.strerror),
            code="enroll.file",
            hint=_("name another file"),
        ) from exc


COMMANDS = (request, install, status)
