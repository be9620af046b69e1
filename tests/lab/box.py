"""A hall controller in the lab: its disk, its power, what hangs on it, and the centre that it reports to."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from hallctl.model import Reply
from lab.bench import until
from lab.broken import BAD_VERSION
from lab.centre import PASSWORD, Centre
from lab.machine import Machine, Ran, overlay

CONTROLLER = """\
site: lab-hall
controller: box-1
broker:
  host: 10.0.2.100
  username: box-1
  password: {file: secrets/broker.password}
trust_clock: true           # the lab has no time server
heartbeat_s: 2
lease_s: 30
"""
HALL = Path(__file__).with_name("hall.yaml")
TERMINALS = frozenset({"printer-usb", "printer-lp", "display-1", "pad-1", "pad-2", "camera-1"})
STICK = "/mnt/stick"
UNPACKED = "/root/bundles"


class Box:
    """The box of one run of the lab."""

    def __init__(self, lab: Path, centre: Centre) -> None:
        self.lab = lab
        (self.good,) = (
            path.name.split("-")[1] for path in (lab / "stick").glob("*.gz") if BAD_VERSION not in path.name
        )
        self.centre = centre
        self.paper: dict[str, list[list[str]]] = defaultdict(list)
        self._disk = lab / "box.qcow2"
        self._machine: Machine | None = None

    @property
    def machine(self) -> Machine:
        """The guest that is switched on."""
        assert self._machine is not None, "the box is off"
        return self._machine

    @property
    def on(self) -> bool:
        """Whether it has power."""
        return self._machine is not None

    def new(self, base: Path, kind: str) -> None:
        """A box with the disk of another one."""
        self.cut()
        self.centre.forget()
        self.paper.clear()
        overlay(self._disk, base, kind)

    def keep(self, name: Path) -> None:
        """Keep the disk of a box that is off, for new ones."""
        assert not self.on
        self._disk.replace(name)

    def boot(self) -> None:
        """Switch it on."""
        self._machine = Machine(self.lab, self._disk, self.centre.port, self._note_paper)
        self._machine.wait_for_agent()

    def cut(self) -> None:
        """The power fails."""
        if self._machine is not None:
            self._machine.cut()
            self._machine = None

    def off(self) -> None:
        """Shut down in order."""
        self.machine.off()
        self._machine = None

    def run(self, *argv: str) -> Ran:
        """Run a command on it as root."""
        return self.machine.run(*argv)

    def sh(self, script: str) -> str:
        """Run a shell script on it as root; gives its output."""
        return self.machine.run("bash", "-euc", script).well()

    def device(self, order: str, name: str = "", **arguments: Any) -> Any:
        """Do something to what is plugged in."""
        return self.machine.device(order, name, **arguments)

    def show(self, *properties: str) -> list[str]:
        """Properties of the daemon's unit."""
        return [
            self.run("systemctl", "show", "hallctl.service", f"--property={one}", "--value").well()
            for one in properties
        ]

    @property
    def pid(self) -> int:
        """The daemon's main process; 0 while there is none."""
        return int(self.show("MainPID")[0])

    def unpack(self, version: str) -> str:
        """Bring a bundle from the stick, as a technician does; gives its folder."""
        name = f"hallctl-{version}-linux-x86_64"
        self.sh(
            f"mkdir -p {STICK} {UNPACKED}; mountpoint -q {STICK} || mount -o ro /dev/vdc {STICK}; cd {STICK}\n"
            f"sha256sum --quiet -c {name}.tar.gz.sha256; [ -d {UNPACKED}/{name} ] ||\n"
            f"tar xzf {name}.tar.gz -C {UNPACKED}"
        )
        return f"{UNPACKED}/{name}"

    def configure(self) -> None:
        """Write the configuration as a technician does, with the broker's password in a file of the daemon's user."""
        for path, text in (("controller.yaml", CONTROLLER), ("hall.yaml", HALL.read_text(encoding="utf-8"))):
            self.machine.order("write", path=f"/etc/hallctl/{path}", text=text, mode=0o640, owner="root:hallctl")
        path = "/etc/hallctl/secrets/broker.password"
        self.machine.order("write", path=path, text=PASSWORD + "\n", mode=0o600, owner="hallctl:hallctl")

    def ready(self) -> None:
        """Wait until the daemon works with everything that is plugged in."""
        until("the daemon is active", lambda: self.run("systemctl", "is-active", "hallctl").code == 0)
        boot = self.boot_number()
        until("the centre hears of this boot", lambda: self.centre.state.get("boot", 0) >= boot)
        until("every terminal is online", lambda: self.centre.online() >= TERMINALS)

    def boot_number(self) -> int:
        """How often this daemon has begun, as its log says."""
        return int(self.query("SELECT value FROM numbers WHERE name='boot'")[0][0])

    def query(self, question: str) -> list[list[Any]]:
        """Ask the daemon's log itself."""
        code = (
            "import json,sqlite3,sys; print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))"
        )
        as_daemon = ("runuser", "-u", "hallctl", "--", "python3", "-c", code)  # what sqlite makes beside it stays his
        answer = self.run(*as_daemon, "/var/lib/hallctl/outbox.db", question).well()
        return list(json.loads(answer))

    def print_ticket(self, printer: str, number: str) -> str:
        """Send a ticket; gives the command's id."""
        return self.centre.send("ticket.print", {"printer": printer, "fields": {"number": number}})

    def prints(self, printer: str, number: str) -> Reply:
        """Print one ticket, and hold the reply against what the device got."""
        reply = self.centre.answer(self.print_ticket(printer, number))
        assert (str(reply.state), reply.data.get("printer")) == ("succeeded", printer), reply
        until(f"{number} is on the paper of {printer}", lambda: self.on_paper(number) == [printer], 20)
        return reply

    def on_paper(self, number: str) -> list[str]:
        """Printers whose paper has this number, once for each time."""
        papers = [(name, lines) for name, tickets in list(self.paper.items()) for lines in list(tickets)]
        return [name for name, lines in papers if any(number in line for line in lines)]

    def _note_paper(self, printer: str, lines: list[str]) -> None:
        self.paper[printer].append(lines)
