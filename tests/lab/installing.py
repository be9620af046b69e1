"""Installing from the stick, the way a technician does it."""

from lab.bench import scenario
from lab.box import Box

_TREE = "find /opt/hallctl /etc /usr/local /var/lib/hallctl -printf '%p %y %s %m %u %g %T@ %l\\n' | sort"


@scenario("install: from the stick, without internet and without python3-venv; it says what to do next", fresh=True)
def installs(box: Box) -> None:
    assert box.run("python3", "-c", "import ensurepip").code, "python3-venv is there: this proves less than it says"
    folder = box.unpack(box.good)
    said = box.run(f"{folder}/install.sh").well()
    assert "/etc/hallctl/controller.yaml" in said, said
    assert box.run("hallctl", "--version").well() == f"hallctl {box.good}"
    assert box.run("systemctl", "is-enabled", "hallctl").well() == "enabled"
    assert box.run("systemctl", "is-active", "hallctl").code, "it runs without a configuration"


@scenario("install: running it a second time changes nothing", fresh=True)
def again(box: Box) -> None:
    before = box.sh(_TREE).splitlines()
    box.run(f"{box.unpack(box.good)}/install.sh").well()
    after = box.sh(_TREE).splitlines()
    assert before == after, "\n".join(sorted(set(before) ^ set(after))[:20])


@scenario("install: a configuration that is there is checked, started, and not touched", fresh=True)
def starts(box: Box) -> None:
    box.configure()
    before = box.sh("cd /etc/hallctl; sha256sum controller.yaml hall.yaml secrets/*; stat -c %U:%a secrets/*")
    box.run(f"{box.unpack(box.good)}/install.sh").well()
    box.ready()
    assert box.sh("cd /etc/hallctl; sha256sum controller.yaml hall.yaml secrets/*; stat -c %U:%a secrets/*") == before


@scenario("boot: the daemon starts by itself and takes everything that is plugged in")
def boots(box: Box) -> None:
    assert box.show("NRestarts", "Type") == ["0", "notify"]
    assert box.sh("readlink /proc/$(systemctl show hallctl -P MainPID)/exe")
