"""The access list for mosquitto: what each role may read and write, as lines of its ``acl_file``.

The broker knows a client by its certificate's common name (``use_identity_as_username``), and its patterns put that
name in for ``%u`` as it is, so one block serves every controller. It has no groups: each person gets a block.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hallctl.enroll.names import Holder, Role

CONTROLLER = """\
# Every controller: its common name SITE/CONTROLLER stands in for %u. It writes its own topics only, and of those
# not what the centre writes.
pattern read hall/v1/%u/#
pattern write hall/v1/%u/state
pattern write hall/v1/%u/terminal/+/state
pattern write hall/v1/%u/event/+
pattern write hall/v1/%u/alert/+
pattern write hall/v1/%u/reply/+
pattern write hall/v1/%u/config/reported
pattern write hall/v1/%u/enroll/request
"""
_WATCH = ("read state", "read terminal/+/state", "read event/+", "read alert/+", "read reply/+")
RIGHTS: Mapping[Role, tuple[str, ...]] = MappingProxyType(
    {
        # Steers halls: configuration and every command.
        Role.OPERATOR: ("read #", "write command/+", "write config/desired"),
        # Watches, takes alerts, looks at their evidence.
        Role.SUPERVISOR: (*_WATCH, "write command/alert.acknowledge", "write command/evidence.fetch"),
        # Keeps events for good: asks for what it missed and says what it has.
        Role.RECORDER: (*_WATCH, "write command/replay", "write command/recorded"),
        # Signs certificates (hallctl enroll serve).
        Role.REGISTRAR: ("read state", "read enroll/request", "write enroll/request", "write enroll/certificate"),
        # First contact of a new box: it asks, and reads the answer. Nothing else.
        Role.BOOTSTRAP: ("write enroll/request", "read enroll/certificate"),
    }
)
_WHAT = {
    Role.OPERATOR: "steers halls: configuration and every command",
    Role.SUPERVISOR: "watches, takes alerts, looks at their evidence",
    Role.RECORDER: "keeps events for good, asks for what it missed",
    Role.REGISTRAR: "signs certificates",
    Role.BOOTSTRAP: "first contact of a new box: asks for its certificate",
}
FLEET = "hall-fleet/v1/#"


def access_list(holders: Iterable[Holder], revoked: Iterable[str] = ()) -> str:
    """The file. ``revoked``: names whose open connections are to be silenced, whatever else is written of them."""
    people = sorted({one for one in holders if one.role in RIGHTS}, key=lambda one: (one.role, one.common_name))
    blocks = [_header(), CONTROLLER, *(_block(one) for one in people), *(_silenced(name) for name in sorted(revoked))]
    return "\n".join(blocks)


def _header() -> str:
    return (
        "# Access list of mosquitto for hallctl, written by `hallctl enroll acl`.\n"
        "# Who is not named here has no rights.\n"
        "# After a change: systemctl reload mosquitto (SIGHUP); it holds for open connections too.\n"
    )


def _block(holder: Holder) -> str:
    lines = [f"topic {_right(right)}" for right in RIGHTS[holder.role]]
    if holder.role is Role.OPERATOR:
        lines.append(f"topic readwrite {FLEET}")
    return "\n".join([f"# {holder.role}: {_WHAT[holder.role]}", f"user {holder.common_name}", *lines, ""])


def _right(right: str) -> str:
    access, topic = right.split(" ")
    return f"{access} hall/v1/{'' if topic == '#' else '+/+/'}{topic}"


def _silenced(name: str) -> str:
    return f"# revoked: an open connection of this name neither hears nor says anything\nuser {name}\ntopic deny #\n"
