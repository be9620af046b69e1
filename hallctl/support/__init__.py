"""One file that tells a vendor or the maintainers everything about a box, and nothing that is secret."""

from hallctl.support.archive import Archive
from hallctl.support.scrub import Scrubber
from hallctl.support.secret_places import Secrets, secrets_of
from hallctl.support.system import system_facts

__all__ = ["Archive", "Scrubber", "Secrets", "secrets_of", "system_facts"]
