"""The centre: a broker on the host, which outlives every power cut of the box, and a memory of all that it was told."""

import json
import socket
import subprocess
import threading
import uuid
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from hallctl.link.payloads import command_envelope, read_reply
from hallctl.link.topics import Topics, filters, read_topic
from hallctl.model import Command, Reply
from lab.bench import until

TOPICS = Topics("lab-hall", "box-1")
PASSWORD = "a word that only box and centre know"  # noqa: S105  # of a broker that lives for one run
EXPIRES_S = 900.0


class Centre:
    """What is true at the centre. ``entries``: the box's log by sequence number; ``heard``: how often each was told."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self.entries: dict[int, dict[str, Any]] = {}
        self.heard: Counter[int] = Counter()
        self.contradictions: list[str] = []
        self.replies: dict[str, list[Reply]] = defaultdict(list)
        self.state: dict[str, Any] = {}
        self.terminals: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._broker = _start_broker(folder, self.port)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="centre", protocol=mqtt.MQTTv5)
        self._client.username_pw_set("box-1", PASSWORD)
        self._client.on_message = self._note
        heard = [(one, 1) for one in (*filters(), TOPICS.reply("+"))]
        self._client.on_connect = lambda client, *_rest: client.subscribe(heard)
        until("the broker listens", self._connects, seconds=20)
        self._client.loop_start()

    def close(self) -> None:
        """Stop the broker."""
        self._client.loop_stop()
        self._broker.terminate()
        self._broker.wait()

    def forget(self) -> None:
        """Another box begins: nothing that was said before counts."""
        with self._lock:
            for topic in (TOPICS.state, *(TOPICS.terminal(name) for name in self.terminals)):
                self._client.publish(topic, b"", qos=1, retain=True).wait_for_publish(10)
            for memory in (self.entries, self.heard, self.contradictions, self.replies, self.state, self.terminals):
                memory.clear()  # type: ignore[attr-defined]  # each has it

    def send(self, name: str, arguments: dict[str, Any], command: str = "") -> str:
        """Send a command; gives its id. The same ``command`` again is the same command again."""
        now = datetime.now(UTC)
        one = Command(command or str(uuid.uuid4()), name, now + timedelta(seconds=EXPIRES_S), arguments)
        self._client.publish(TOPICS.command(name), command_envelope(one, "lab", now).encode(), qos=1)
        return one.id

    def answer(self, command: str) -> Reply:
        """The final reply to a command."""
        return until(f"the command {command} is answered", lambda: self.final(command))

    def final(self, command: str) -> Reply | None:
        """The final reply, if there is one."""
        return next((reply for reply in list(self.replies[command]) if reply.state.final), None)

    def ask(self, name: str, **arguments: Any) -> Reply:
        """Send and wait."""
        return self.answer(self.send(name, arguments))

    def events(self, kind: str, after: int = 0) -> list[dict[str, Any]]:
        """Data of the events of a kind whose number is above ``after``."""
        entries = sorted(self.entries.items())
        return [entry["data"] for seq, entry in entries if seq > after and entry["type"] == f"hallctl.event.{kind}"]

    @property
    def last_seq(self) -> int:
        """The newest number that was heard."""
        return max(self.entries, default=0)

    def online(self) -> set[str]:
        """Terminals that are online now, in the box's present boot."""
        boot = self.state.get("boot")
        known = list(self.terminals.items())
        return {name for name, state in known if state.get("boot") == boot and state["status"] == "online"}

    def _connects(self) -> bool:
        try:
            self._client.connect("127.0.0.1", self.port)
        except OSError:
            return False
        return True

    def _note(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        place = read_topic(message.topic)
        if place is None or not message.payload:
            return
        with self._lock:
            match place.kind:
                case "reply":
                    reply = read_reply(message.payload)
                    self.replies[reply.command].append(reply)
                case "state":
                    self.state = json.loads(message.payload)
                case "terminal":
                    self.terminals[place.name] = json.loads(message.payload)
                case "event" | "alert":
                    self._enter(json.loads(message.payload))

    def _enter(self, entry: dict[str, Any]) -> None:
        """The same number with other words would be a lie of the log."""
        seq = entry.get("seq")
        if seq is None:
            return
        self.heard[seq] += 1
        known = self.entries.setdefault(seq, entry)
        if (known["type"], known["data"], known["boot"]) != (entry["type"], entry["data"], entry["boot"]):
            self.contradictions.append(f"{seq} was {known} and is {entry}")


def _start_broker(folder: Path, port: int) -> subprocess.Popen[bytes]:
    words = folder / "broker.passwords"
    words.unlink(missing_ok=True)
    subprocess.run(("mosquitto_passwd", "-b", "-c", str(words), "box-1", PASSWORD), check=True, capture_output=True)
    words.chmod(0o644)  # the broker gives its root rights up before it reads it
    config = folder / "broker.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {words.resolve()}\nuser root\n",
        encoding="utf-8",
    )
    log = (folder / "broker.log").open("wb")
    return subprocess.Popen(("mosquitto", "-c", str(config)), stdout=log, stderr=log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
