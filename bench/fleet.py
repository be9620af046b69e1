"""A configuration to a whole fleet through one broker: time, processor and memory, beside bare paho clients.

Run: python bench/fleet.py [--controllers 1058 5000] [--no-kill]. Needs mosquitto. Asserts no time.

"hallctl" is the simulated fleet (real session, uplink, outbox and twin; no devices) in two processes and a desk in one
of its own, which pushes one document to all in one wave and waits for every report. "bare" does the same exchange with
paho alone: as many clients, which connect, subscribe to one topic and answer the document with a report of the same
size; a desk that publishes all documents, retained, and counts the reports. Both at QoS 1, one after the other, each
on a fresh mosquitto, on this machine.

"killed": the broker is killed with SIGKILL when a third has reported, and started again half a second later, with
nothing persisted. "storm": it is restarted while nothing else goes on, until every controller is connected again.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import resource
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import yaml
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from hallctl.clock import SystemClock
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import read_source
from hallctl.fleet.pushing import PushRequest, begin, prepare, see_through
from hallctl.fleet.selector import EVERYONE
from hallctl.fleet.simulate.halls import hall_document
from hallctl.fleet.simulate.running import Processes, Share, allow_files, shares
from hallctl.link import BrokerSettings
from hallctl.link.configuration import ApplyStatus, HealthRule, Reported, document_hash
from hallctl.link.rollouts import RolloutRules

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 10000
max_queued_bytes 16777216
max_inflight_messages 20
max_packet_size 262144
"""
PROCESSES = 2
WINDOW_S = 5.0


@dataclass
class Row:
    """One round's figures."""

    name: str
    seconds: float = 0.0
    connect_s: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)


class Broker:
    """mosquitto, which can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        self._config.write_text(CONFIG.format(port=self.port) + user)
        self.start()

    def start(self) -> None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        self.process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def broker() -> Iterator[Broker]:
    with tempfile.TemporaryDirectory() as folder:
        made = Broker(Path(folder))
        try:
            yield made
        finally:
            made.kill()


def cpu_s(pid: int) -> float:
    """Processor time of a process and its threads so far, seconds."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / TICKS


def memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6


# --- hallctl ---------------------------------------------------------------------------------------------------------


def push_document(port: int, path: str, expect: int, pipe: Connection) -> None:
    """The desk's process: says when it has everybody's report."""

    async def run() -> tuple[str, dict[str, int]]:
        desk = Desk(BrokerSettings("127.0.0.1", port), SystemClock(), "bench@centre")
        rules = RolloutRules.model_validate({"first": expect, "observe_s": 0, "wait_s": 120, "resend_s": 5})
        request = PushRequest(
            read_source(Path(path), merge=False), EVERYONE, rules, HealthRule(window_s=WINDOW_S), expect=expect
        )
        started = time.monotonic()

        async def start() -> Any:
            return await begin(desk, request, await prepare(desk, request), lambda _notice: None)

        driver = await see_through(desk, start, lambda _notice: None)
        pipe.send(time.monotonic() - started)
        return driver.rollout.phase.value, dict(driver.rollout.counts)

    outcome = asyncio.run(run())
    used = resource.getrusage(resource.RUSAGE_SELF)
    pipe.send({"outcome": outcome, "cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1e3})


class Watcher(threading.Thread):
    """Counts the controllers that have reported a version: when to kill the broker."""

    def __init__(self, port: int, wanted: str) -> None:
        super().__init__(daemon=True)
        self.reported: set[str] = set()
        self._wanted = wanted
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="watcher")
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_rest: client.subscribe("hall/v1/+/+/config/reported", 0)
        self._client.connect("127.0.0.1", port)

    def run(self) -> None:
        self._client.loop_forever(retry_first_connection=True)

    def stop(self) -> None:
        self._client.disconnect()

    def _take(self, _client: Any, _user: Any, message: mqtt.MQTTMessage) -> None:
        if self._wanted.encode() in message.payload and b'"applied"' in message.payload:
            self.reported.add(message.topic)


def hallctl_rounds(count: int, *, kill: bool) -> list[Row]:
    rows = [Row("hallctl")]
    with broker() as server, tempfile.TemporaryDirectory() as folder:
        whole = Share(BrokerSettings("127.0.0.1", server.port), Path(folder) / "boxes", 1, count)
        started = time.monotonic()
        with Processes(shares(whole, PROCESSES)) as fleet:
            wait_connected(fleet, count)
            rows[0].connect_s = time.monotonic() - started
            push_round(rows[0], server, fleet, count, Path(folder), "新年好")
            if kill:
                rows.append(Row("hallctl, killed"))
                push_round(rows[1], server, fleet, count, Path(folder), "春节快乐", kill=True)
                rows.append(storm(server, fleet, count))
    return rows


def wait_connected(fleet: Processes, count: int) -> None:
    while fleet.look(0.2) < count:
        pass


def push_round(
    row: Row, server: Broker, fleet: Processes, count: int, folder: Path, welcome: str, *, kill: bool = False
) -> None:
    document = hall_document(8, texts={"welcome": welcome})
    path = folder / "hall.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    pids = [process.pid for process in fleet._processes if process.pid]
    before = {"broker": cpu_s(server.process.pid), "fleet": sum(map(cpu_s, pids))}
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    watcher = Watcher(server.port, document_hash(document)) if kill else None
    if watcher is not None:
        watcher.start()
    desk = context.Process(target=push_document, args=(server.port, str(path), count, there))
    desk.start()
    if watcher is not None:
        while len(watcher.reported) < count // 3:
            time.sleep(0.005)
        server.kill()
        time.sleep(0.5)
        server.start()
        before["broker"] = 0.0
    row.seconds = here.recv()
    told = here.recv()
    desk.join()
    if watcher is not None:
        watcher.stop()
    if told["outcome"][1].get("took") != count:
        sys.exit(f"not everybody took it: {told['outcome']}")
    row.cpu = {
        "broker": cpu_s(server.process.pid) - before["broker"],
        "desk": told["cpu"],
        "fleet": sum(map(cpu_s, pids)) - before["fleet"],
    }
    row.memory = {"broker": memory_mb(server.process.pid), "desk": told["memory"], "fleet": sum(map(memory_mb, pids))}


def storm(server: Broker, fleet: Processes, count: int) -> Row:
    """The broker goes and comes back: until everybody is connected again."""
    row = Row("hallctl, storm")
    while wait(fleet._pipes, 0.5):  # what was told meanwhile
        fleet.look(0)
    server.kill()
    while fleet.look(0.2) > 0:
        pass
    started = time.monotonic()
    server.start()
    wait_connected(fleet, count)
    row.seconds = time.monotonic() - started
    row.cpu = {"broker": cpu_s(server.process.pid)}
    row.memory = {"broker": memory_mb(server.process.pid)}
    return row


# --- bare paho -------------------------------------------------------------------------------------------------------


class Loop:
    """Many paho clients in one thread: what is readable is read, what is writable is written."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, client: mqtt.Client) -> None:
        self._selector.register(client.socket(), selectors.EVENT_READ, client)  # type: ignore[arg-type]  # connected

    def turn(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            key.data.loop_read()
            if key.data.want_write():
                key.data.loop_write()


def bare_client(name: str, port: int) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port, keepalive=600)
    client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[union-attr]  # as hallctl does
    return client


def bare_boxes(port: int, first: int, count: int, report: bytes, pipe: Connection) -> None:
    """Clients that answer what they are sent."""
    allow_files(count)
    loop, subscribed = Loop(), 0

    def ready(*_rest: object) -> None:
        nonlocal subscribed
        subscribed += 1

    def on_connect(client: mqtt.Client, topic: str, *_rest: object) -> None:
        client.subscribe(topic, 1)

    for number in range(first, first + count):
        client = bare_client(f"bare-{number}", port)
        client.user_data_set(f"hall/v1/site/bare-{number}/config/desired")
        client.on_connect = on_connect
        client.on_subscribe = ready
        client.on_message = lambda client, _user, message: client.publish(
            message.topic.replace("desired", "reported"), report, 1, retain=True
        )
        loop.add(client)
    while subscribed < count:
        loop.turn(0.05)
    pipe.send(subscribed)
    while True:
        loop.turn(0.2)


def bare_desk(port: int, count: int, document: bytes, pipe: Connection) -> None:
    """Publishes to all, and counts what they report."""
    loop, client, reported = Loop(), bare_client("bare-desk", port), set()
    state = {"ready": False}
    client.on_connect = lambda client, *_rest: client.subscribe("hall/v1/+/+/config/reported", 1)
    client.on_subscribe = lambda *_rest: state.update(ready=True)
    client.on_message = lambda _client, _user, message: reported.add(message.topic)
    loop.add(client)
    while not state["ready"]:
        loop.turn(0.05)
    started = time.monotonic()
    for number in range(1, count + 1):
        client.publish(f"hall/v1/site/bare-{number}/config/desired", document, 1, retain=True)
    while len(reported) < count:
        loop.turn(0.05)
        if client.want_write():
            client.loop_write()
    pipe.send(time.monotonic() - started)
    used = resource.getrusage(resource.RUSAGE_SELF)
    pipe.send({"cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1e3})


def bare_round(count: int) -> Row:
    row, context = Row("bare paho"), multiprocessing.get_context("spawn")
    document = hall_document(8, texts={"welcome": "新年好"})
    wanted = json.dumps({"version": 1, "hash": document_hash(document), "document": document}).encode()
    report = Reported.model_validate(
        {
            "boot": 1,
            "at": "2026-03-02T01:00:00Z",
            "status": ApplyStatus.APPLIED,
            "desired_hash": document_hash(document),
        }
    ).model_dump_json()
    with broker() as server:
        each, pipes, processes = -(-count // PROCESSES), [], []
        started = time.monotonic()
        for first in range(1, count + 1, each):
            here, there = context.Pipe(duplex=False)
            share = min(each, count - first + 1)
            process = context.Process(
                target=bare_boxes, args=(server.port, first, share, report.encode(), there), daemon=True
            )
            process.start()
            pipes.append(here)
            processes.append(process)
        for pipe in pipes:
            pipe.recv()
        row.connect_s = time.monotonic() - started
        pids = [process.pid for process in processes if process.pid]
        before = {"broker": cpu_s(server.process.pid), "fleet": sum(map(cpu_s, pids))}
        here, there = context.Pipe(duplex=False)
        desk = context.Process(target=bare_desk, args=(server.port, count, wanted, there))
        desk.start()
        row.seconds = here.recv()
        told = here.recv()
        desk.join()
        row.cpu = {
            "broker": cpu_s(server.process.pid) - before["broker"],
            "desk": told["cpu"],
            "fleet": sum(map(cpu_s, pids)) - before["fleet"],
        }
        row.memory = {
            "broker": memory_mb(server.process.pid),
            "desk": told["memory"],
            "fleet": sum(map(memory_mb, pids)),
        }
        for process in processes:
            process.kill()
    return row


# --- the table -------------------------------------------------------------------------------------------------------


def show(count: int, rows: list[Row]) -> None:
    print(f"\n{count} controllers, one document of {document_bytes()} bytes to each")
    print(f"{'':16}  connect s  push to last report s   cpu s: broker   desk  fleet   MB: broker  desk  fleet")
    for row in rows:
        cpu = "".join(f"{row.cpu.get(part, float('nan')):7.2f}" for part in ("broker", "desk", "fleet"))
        memory = "".join(f"{row.memory.get(part, float('nan')):7.0f}" for part in ("broker", "desk", "fleet"))
        print(f"{row.name:16}  {row.connect_s or float('nan'):9.2f}  {row.seconds:21.2f}        {cpu}      {memory}")
    bare, ours = rows[0], rows[1]
    parts = ", ".join(
        f"{part} {ours.cpu[part] / max(bare.cpu[part], 0.01):.2f} x" for part in ("broker", "desk", "fleet")
    )
    print(f"hallctl to bare: time {ours.seconds / bare.seconds:.2f} x; processor: {parts}")


def document_bytes() -> int:
    return len(json.dumps(hall_document(8, texts={"welcome": "新年好"}), ensure_ascii=False).encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--controllers", type=int, nargs="+", default=[1058, 5000])
    parser.add_argument("--no-kill", action="store_true", help="only the undisturbed push")
    options = parser.parse_args()
    if MOSQUITTO is None:
        print("error: mosquitto is missing\nhint: apt-get install mosquitto", file=sys.stderr)
        return 1
    for count in options.controllers:
        show(count, [bare_round(count), *hallctl_rounds(count, kill=not options.no_kill)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
