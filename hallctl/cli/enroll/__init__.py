"""``hallctl enroll``: certificates, from the box's request to the centre's signature."""

import click

from hallctl.cli.language import _
from hallctl.errors import EnrollError


@click.group()
def enroll() -> None:
    """Make, sign, install and renew the certificates of boxes and people.

    On the box: request, install, status. At the centre, with files: ca-init, sign, list, revoke, acl; over MQTT:
    pending, approve, refuse, serve.
    """


def _missing() -> None:
    raise EnrollError(
        _("this needs the package cryptography"), code="enroll.not_installed", hint=_("pip install 'hallctl[enroll]'")
    )


try:
    from hallctl.cli.enroll import box, centre, desk

    for command in (*box.COMMANDS, *centre.COMMANDS, *desk.COMMANDS):
        enroll.add_command(command)
except ModuleNotFoundError as exc:
    if exc.name is None or exc.name.partition(".")[0] != "cryptography":
        raise
    enroll.invoke_without_command = True
    enroll.callback = _missing
