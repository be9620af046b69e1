"""``hallctl enroll`` at the centre, with files: a small CA, what it has signed, and the broker's lists."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from hallctl.cli.language import _
from hallctl.cli.output import EX_OK, json_option, local_time, print_json, print_table
from hallctl.cli.who import by_option, who
from hallctl.clock import SystemClock
from hallctl.enroll import files
from hallctl.enroll.acl import access_list
from hallctl.enroll.authority import Authority
from hallctl.enroll.keys import read_csr
from hallctl.enroll.ledger import Entry
from hallctl.enroll.names import holder_of
from hallctl.errors import EnrollError

PASSPHRASE_VARIABLE = "HALLCTL_CA_PASSPHRASE"  # noqa: S105  # the name of a variable

ca_option = click.option(
    "--ca",
    "folder",
    required=True,
    envvar="HALLCTL_CA",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"The CA's folder; default: $HALLCTL_CA. Its passphrase, if it has one, comes from ${PASSPHRASE_VARIABLE}.",
)
days_option = click.option("--days", type=click.FloatRange(0, min_open=True), help="How long it holds; default: 365.")


def passphrase() -> bytes:
    """Of the CA's key; empty: it has none."""
    return os.environ.get(PASSPHRASE_VARIABLE, "").encode()


@click.command("ca-init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", default="hallctl CA", show_default=True, help="The CA's name.")
@click.option("--days", default=7305.0, show_default=True, type=click.FloatRange(1), help="How long it holds.")
def ca_init(*, folder: Path, name: str, days: float) -> int:
    """Make a small CA in FOLDER: ca.key (keep it offline, or back it up well), ca.pem, crl.pem.

    With $HALLCTL_CA_PASSPHRASE its key is encrypted.
    """
    made = Authority.create(folder, name, SystemClock().now(), days=days, passphrase=passphrase())
    click.echo(
        _("{folder}: ca.pem goes to the broker and to every box; crl.pem to the broker; ca.key nowhere").format(
            folder=folder
        )
    )
    if not passphrase():
        click.echo(
            _("warning: ca.key has no passphrase (${variable})").format(variable=PASSPHRASE_VARIABLE),
            err=True,
        )
    click.echo(_("it holds until {time}").format(time=local_time(made.certificate.not_valid_after_utc)))
    return EX_OK


@click.command()
@click.argument("request", type=click.Path(path_type=Path, dir_okay=False))
@ca_option
@days_option
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Where to; default: it is printed."
)
@by_option
@json_option
def sign(*, request: Path, folder: Path, days: float | None, output: Path | None, as_json: bool) -> int:
    """Sign a REQUEST (CSR file) whose name has the form. Compare its fingerprint first. --json prints one document."""
    data = files.read(request)
    if data is None:
        raise EnrollError(
            _("there is no {request}").format(request=request),
            code="enroll.file",
            hint=_("`hallctl enroll request --csr FILE` writes it"),
        )
    csr = read_csr(data, str(request))
    certificate = Authority.open(folder, passphrase()).sign(csr, SystemClock().now(), by=who(), days=days)
    if output is not None:
        files.write(output, certificate.encode(), files.PUBLIC)
    if as_json:
        print_json({"name": csr.common_name, "fingerprint": csr.fingerprint, "certificate": certificate})
        return EX_OK
    click.echo(
        _("name:        {name}\nfingerprint: {fingerprint}").format(name=csr.common_name, fingerprint=csr.fingerprint),
        err=True,
    )
    if output is None:
        click.echo(certificate, nl=False)
    return EX_OK


@click.command("list")
@ca_option
@click.option("--all", "everything", is_flag=True, help="Also what is revoked or has expired.")
@json_option
def list_(*, folder: Path, everything: bool, as_json: bool) -> int:
    """List what the CA has signed. --json prints one document a certificate and line."""
    now = SystemClock().now()
    entries = [one for one in Authority.open(folder, passphrase()).entries if everything or one.holds(now)]
    if as_json:
        for one in entries:
            print_json(_described(one, now))
        return EX_OK
    rows = [(one.name, one.serial, local_time(one.not_after), _state(one, now), one.by) for one in entries]
    print_table(("name", "serial", "until", "state", "signed by"), rows)
    return EX_OK


@click.command()
@click.argument("name_or_serial")
@ca_option
@click.option("--reason", default="", help="Why; it stands in the ledger.")
@by_option
def revoke(*, name_or_serial: str, folder: Path, reason: str) -> int:
    """Revoke the certificates of a name, or one serial number, and write crl.pem anew."""
    authority = Authority.open(folder, passphrase())
    revoked = authority.revoke(name_or_serial, SystemClock().now(), by=who(), reason=reason)
    for one in revoked:
        click.echo(_("revoked: {name} {serial}").format(name=one.name, serial=one.serial))
    if not revoked:
        click.echo(_("all of them were revoked already"))
    click.echo(
        _("copy {crl_path} to the broker and reload it. An open connection goes on until then and beyond:").format(
            crl_path=authority.crl_path
        )
    )
    click.echo(_("copy what `hallctl enroll acl` writes too: it silences those of revoked names at the reload"))
    return EX_OK


@click.command()
@ca_option
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Where to; default: it is printed."
)
def acl(*, folder: Path, output: Path | None) -> int:
    """Write mosquitto's access list: every controller by pattern, every person and service that has a certificate."""
    now = SystemClock().now()
    entries = Authority.open(folder, passphrase()).entries
    holders = {one.name for one in entries if one.holds(now)}
    gone = {one.name for one in entries if one.revoked_at is not None} - holders
    text = access_list((holder_of(name) for name in holders), gone)
    if output is None:
        click.echo(text, nl=False)
    else:
        files.write(output, text.encode(), files.PUBLIC)
    return EX_OK


def _state(one: Entry, now: datetime) -> str:
    if one.revoked_at is not None:
        return _("revoked {time} {reason}").format(time=local_time(one.revoked_at), reason=one.reason).rstrip()
    return _("holds") if one.holds(now) else _("expired")


def _described(one: Entry, now: datetime) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "serial": one.serial,
        "fingerprint": one.fingerprint,
        "from": one.not_before,
        "until": one.not_after,
        "signed_at": one.at,
        "by": one.by,
        "holds": one.holds(now),
        "revoked_at": one.revoked_at,
        "reason": one.reason,
    }


COMMANDS = (ca_init, sign, list_, revoke, acl)
