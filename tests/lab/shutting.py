"""What the daemon may not do, tried out where it runs."""

import re

from lab.bench import scenario, until
from lab.box import Box

MOST = 1.5


@scenario("sandbox: systemd-analyze gives 1.5 or better")
def exposure(box: Box) -> None:
    said = box.run("systemd-analyze", "security", "--no-pager", "hallctl.service").out
    found = re.search(r"Overall exposure level for hallctl.service: ([0-9.]+)", said)
    assert found and float(found[1]) <= MOST, said


@scenario("sandbox: nothing of it runs as root, has a capability, or may get one")
def not_root(box: Box) -> None:
    words = box.sh(
        "for pid in $(cat /sys/fs/cgroup/system.slice/hallctl.service/cgroup.procs); do\n"
        "grep -hE '^(Uid|CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status; done; id -u hallctl"
    ).splitlines()
    user = words.pop()
    seen = {tuple(word.split()) for word in words}
    nothing = "0" * 16
    wanted = {("Uid:", *[user] * 4), ("NoNewPrivs:", "1"), ("Seccomp:", "2")}
    wanted |= {(f"{one}:", nothing) for one in ("CapEff", "CapPrm", "CapBnd")}
    assert user != "0"
    assert seen == wanted, seen
    assert len(words) >= len(wanted) * 2, "the camera's process is not among them"


@scenario("sandbox: it sees nothing of /root and /home, and can write neither /etc nor its own program")
def shut_in(box: Box) -> None:
    box.sh("echo secret > /root/lab-secret; mkdir -p /home/lab; echo secret > /home/lab/secret")
    inside = ("nsenter", "--mount", f"--target={box.pid}")
    for path in ("/root/lab-secret", "/home/lab/secret"):
        assert box.run("test", "-e", path).code == 0
        assert box.run(*inside, "test", "-e", path).code, f"{path} is seen"
    for path in ("/etc/lab", "/usr/lab", "/opt/hallctl/current/lab", "/etc/hallctl/lab"):
        tried = box.run(*inside, "touch", path)  # even as root
        assert "Read-only file system" in tried.out, f"{path}: {tried}"


@scenario("sandbox: of all devices it gets those that halls have, and no disk")
def devices(box: Box) -> None:
    group = "/sys/fs/cgroup/system.slice/hallctl.service/cgroup.procs"
    for device in ("/dev/vda", "/dev/kmsg", "/dev/mem"):
        tried = box.run("bash", "-c", f"echo $$ > {group}; : < {device}")  # root, but in the daemon's group
        assert "Operation not permitted" in tried.out, f"{device}: {tried}"


@scenario(
    "clock: inside the sandbox a clock that nobody has set is noticed, and commands with a side effect are refused"
)
def clock(box: Box) -> None:
    config = "/etc/hallctl/controller.yaml"
    box.sh(f"cp -p {config} /root/kept; sed -i /^trust_clock/d {config}; systemctl restart hallctl")
    try:
        box.ready()
        reply = box.centre.ask("ticket.print", printer="printer-usb", fields={"number": "K001"})
        assert (str(reply.state), reply.code) == ("rejected", "clock.unsynchronised"), reply
        assert box.on_paper("K001") == []
    finally:
        box.sh(f"cp -p /root/kept {config}; systemctl restart hallctl")
    box.ready()


@scenario("sandbox: its log says nothing of a denial that it did not expect")
def no_denials(box: Box) -> None:
    until("the journal is there", lambda: box.run("journalctl", "-q", "-u", "hallctl", "-n", "1", "--no-pager").out)
    said = box.run("journalctl", "-q", "-b", "-u", "hallctl", "--no-pager", "-o", "cat").out
    denied = [line for line in said.splitlines() if re.search(r"not permitted|Permission denied|EPERM|EACCES", line)]
    assert denied == [], "\n".join(denied[:10])
