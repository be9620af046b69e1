"""What a certificate's common name may be: it is the user name at the broker, and the access list builds on it.

A controller is ``site/controller``, which stands in its topics as it is (``pattern ... hall/v1/%u/...``). Everybody
else is ``role:name``: a colon is in no site's id, so that such a name fits no controller's topics.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from hallctl.errors import EnrollError
from hallctl.link import Topics
from hallctl.model import IDENTIFIER

MAX_LENGTH = 64  # ub-common-name, RFC 5280 appendix A.1
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,57}")


class Role(StrEnum):
    """What the holder of a certificate may do."""

    CONTROLLER = "controller"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    RECORDER = "recorder"
    REGISTRAR = "registrar"
    BOOTSTRAP = "bootstrap"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose certificate it is. ``common_name`` is the user name at the broker."""

    role: Role
    common_name: str

    @property
    def topics(self) -> Topics:
        """The topics of a controller."""
        site, _, controller = self.common_name.partition("/")
        return Topics(site, controller)


def holder_of(common_name: str) -> Holder:
    """Take a common name apart. Raises ``EnrollError`` when it has none of the two forms."""
    if len(common_name) > MAX_LENGTH:
        raise _wrong(common_name, f"it is longer than {MAX_LENGTH} characters")
    if "/" in common_name:
        parts = common_name.split("/")
        if len(parts) != 2 or not all(re.fullmatch(IDENTIFIER, part) for part in parts):
            raise _wrong(common_name, "a controller is SITE/CONTROLLER, both as in its controller.yaml")
        return Holder(Role.CONTROLLER, common_name)
    role, colon, name = common_name.partition(":")
    if not colon or role not in set(Role) - {Role.CONTROLLER} or not _NAME.fullmatch(name):
        raise _wrong(common_name, "lower-case letters, digits, dots and dashes behind the role")
    return Holder(Role(role), common_name)


def _wrong(common_name: str, why: str) -> EnrollError:
    roles = ", ".join(f"{role}:NAME" for role in Role if role is not Role.CONTROLLER)
    return EnrollError(
        f"{common_name[:100]!r} is no name for a certificate: {why}",
        code="enroll.name",
        hint=f"SITE/CONTROLLER for a box; {roles}",
    )
