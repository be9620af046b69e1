"""One MQTT session: paho-mqtt with manual acknowledgement, its network loop on asyncio, no thread.

docs/mqtt-contract.md says why paho alone is the client. A session is used once: after it is lost, make a new one.
What paho's callbacks learn is turned into results of awaited calls, and into ``LinkError`` in a technician's words.
"""

import asyncio
import contextlib
import socket
import ssl
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hallctl.errors import LinkError
from hallctl.link.broker import BrokerSettings, Message, Will
from hallctl.link.reasons import connect_error, refused
from hallctl.link.tls import closed_unanswered, handshake_failed, tls_context

CONNECT_TIMEOUT_S = 10.0
RECEIVE_LIMIT = 20_000


class Session:
    """Connect, publish, subscribe, receive, disconnect. One event loop, any number of tasks."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._client: mqtt.Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._misc: asyncio.Task[None] | None = None
        self._connected: asyncio.Future[bool] | None = None
        self._lost: asyncio.Future[None] | None = None
        self._acks: dict[int, asyncio.Future[None]] = {}
        self._early: dict[int, str | None] = {}
        self._window = asyncio.Semaphore(settings.max_in_flight)
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._tls_failure: ssl.SSLError | None = None

    async def connect(self, will: Will | None = None, *, session_expiry_s: int = 0, clean: bool = True) -> bool:
        """Connect; gives whether the broker still had our session. Raises ``LinkError`` with a hint."""
        self._loop = asyncio.get_running_loop()
        self._connected = self._loop.create_future()
        self._lost = self._loop.create_future()
        client = self._make_client(will, clean=clean)
        self._client = client
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._open(client, session_expiry_s, clean=clean)
                return await self._connected
        except TimeoutError as exc:
            self._tear_down()
            raise LinkError(
                f"the broker {self._where} did not answer within {CONNECT_TIMEOUT_S:g} s",
                code="link.unanswered",
                hint="check the broker's address, the network, and that the port is the MQTT one",
            ) from exc
        except LinkError:
            self._tear_down()
            raise
        except BaseException:
            self._tear_down()
            raise

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> None:
        """Publish and wait for the PUBACK. Raises ``LinkError`` when it is denied, or the session is lost first."""
        client = self._require()
        properties = None
        if expiry_s is not None and self._settings.is_v5:
            properties = _properties(PacketTypes.PUBLISH)
            properties.MessageExpiryInterval = expiry_s
        async with self._window:
            info = client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
            if info.rc != mqtt.MQTT_ERR_SUCCESS:
                raise LinkError(f"{topic} can't be published: {mqtt.error_string(info.rc)}")
            if qos:
                await self._acknowledged(info.mid, f"the broker refuses to take {topic}")

    async def subscribe(self, *topic_filters: str) -> None:
        """Subscribe at QoS 1. Raises ``LinkError`` that names the refused filter."""
        client = self._require()
        result, mid = client.subscribe([(one, 1) for one in topic_filters])
        if result != mqtt.MQTT_ERR_SUCCESS or mid is None:
            raise LinkError(f"can't subscribe: {mqtt.error_string(result)}")
        await self._acknowledged(mid, f"the broker refuses a subscription among {', '.join(topic_filters)}")

    async def unsubscribe(self, *topic_filters: str) -> None:
        """Ask for no more of these; what is on its way still comes. Raises ``LinkError``."""
        client = self._require()
        result, mid = client.unsubscribe(list(topic_filters))
        if result != mqtt.MQTT_ERR_SUCCESS or mid is None:
            raise LinkError(f"can't unsubscribe: {mqtt.error_string(result)}")
        await self._acknowledged(mid, f"the broker refuses to end a subscription among {', '.join(topic_filters)}")

    async def receive(self) -> Message:
        """The next message. Raises ``LinkError`` once the session is lost and everything received was given out."""
        message = await self._messages.get()
        if message is None:
            self._messages.put_nowait(None)
            raise LinkError(f"the connection to the broker {self._where} is lost", code="link.lost")
        return message

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that it may forget a message (QoS 1)."""
        if message.qos and self._client is not None:
            self._client.ack(message.mid, message.qos)

    async def wait_lost(self) -> None:
        """Return when the session is lost."""
        if self._lost is not None:
            await asyncio.shield(self._lost)

    async def disconnect(self) -> None:
        """Say good-bye (the will is not sent) and let go of the socket."""
        client = self._client
        if client is not None and self._lost is not None and not self._lost.done():
            # Closing with unread answers would reset the connection, and the broker would send the will.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    while self._acks:  # noqa: ASYNC110  # the last PUBACKs, some milliseconds
                        await asyncio.sleep(0.005)
            client.disconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self.wait_lost()
        self._tear_down()

    def abandon(self) -> None:
        """Let go of the socket without a good-bye: the broker will send the will. Harmless after ``disconnect``."""
        self._tear_down()

    @property
    def lost(self) -> bool:
        """Whether it is over, or was never there."""
        return self._client is None or self._lost is None or self._lost.done()

    @property
    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _require(self) -> mqtt.Client:
        if self._client is None or self._lost is None or self._lost.done():
            raise LinkError(f"there is no connection to the broker {self._where}", code="link.lost")
        return self._client

    def _make_client(self, will: Will | None, *, clean: bool) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if settings.is_v5 else clean,
            protocol=mqtt.MQTTv5 if settings.is_v5 else mqtt.MQTTv311,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.username_pw_set(settings.username, settings.password)
        client.max_inflight_messages_set(settings.max_in_flight)
        if settings.tls is not None:
            client.tls_set_context(tls_context(settings.tls))
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True, properties=self._will_properties(will))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = lambda _c, _u, mid, reason, _p: self._on_ack(mid, [reason])
        client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._on_ack(mid, reasons)
        client.on_unsubscribe = lambda _c, _u, mid, reasons, _p: self._on_ack(mid, reasons)
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        return client

    def _will_properties(self, will: Will) -> Properties | None:
        if not self._settings.is_v5:
            return None
        properties = _properties(PacketTypes.WILLMESSAGE)
        properties.WillDelayInterval = will.delay_s
        return properties

    async def _open(self, client: mqtt.Client, session_expiry_s: int, *, clean: bool) -> None:
        """Resolve and connect in a thread (paho's connect blocks), then hand the socket to the event loop."""
        assert self._loop is not None  # noqa: S101  # set by the only caller
        arguments: dict[str, Any] = {"keepalive": self._settings.keepalive_s}
        if self._settings.is_v5:
            properties = _properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = session_expiry_s
            arguments |= {"clean_start": clean, "properties": properties}
        try:
            await asyncio.to_thread(client.connect, self._settings.host, self._settings.port, **arguments)
        except (OSError, ValueError) as exc:
            raise connect_error(self._where, exc) from exc
        self._misc = self._loop.create_task(self._tick(client))

    async def _tick(self, client: mqtt.Client) -> None:
        """paho's housekeeping: keep-alive pings and their time-out. Real time, as the broker's is."""
        while client.loop_misc() == mqtt.MQTT_ERR_SUCCESS:  # noqa: ASYNC110  # paho has no event for its timers
            await asyncio.sleep(1)

    async def _acknowledged(self, mid: int, refusal: str) -> None:
        assert self._loop is not None  # noqa: S101  # only reached on a connected session
        if mid in self._early:
            future: asyncio.Future[None] = self._loop.create_future()
            self._settle(future, self._early.pop(mid))
        else:
            future = self._acks.setdefault(mid, self._loop.create_future())
        try:
            await future
        except LinkError as exc:
            if exc.hint == "denied":
                hint = "check the broker's access list"
                raise LinkError(f"{refusal}: {exc.message}", code="link.access", hint=hint) from exc
            raise
        finally:
            self._acks.pop(mid, None)

    @staticmethod
    def _settle(future: "asyncio.Future[None]", refusal: str | None) -> None:
        if future.done():
            return
        if refusal is None:
            future.set_result(None)
        else:
            future.set_exception(LinkError(refusal, code="link.access", hint="denied"))

    # What paho calls. During connect() these run in the connecting thread, so they hop onto the loop.

    def _on_loop(self, work: Any, *arguments: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work, *arguments)

    def _on_connect(self, _client: mqtt.Client, _user: Any, flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._connected is None or self._connected.done():
            return
        if reason.is_failure:
            self._connected.set_exception(refused(self._where, reason))
        else:
            self._connected.set_result(bool(flags.session_present))

    def _on_disconnect(self, *_arguments: Any) -> None:
        self._on_loop(self._session_over)

    def _on_message(self, client: mqtt.Client, _user: Any, message: mqtt.MQTTMessage) -> None:
        if self._messages.qsize() >= RECEIVE_LIMIT:
            client.disconnect()  # not acknowledged, so the broker delivers it again: better than losing it
            return
        self._messages.put_nowait(
            Message(message.topic, bytes(message.payload), message.retain, message.qos, message.mid)
        )

    def _on_ack(self, mid: int, reasons: list[ReasonCode]) -> None:
        wrong = next((str(reason) for reason in reasons if reason.is_failure), None)
        future = self._acks.get(mid)
        if future is None:
            self._early[mid] = wrong
        else:
            self._settle(future, wrong)

    def _on_socket_open(self, client: mqtt.Client, _user: Any, sock: Any) -> None:
        self._on_loop(self._watch, client, sock)

    def _watch(self, client: mqtt.Client, sock: socket.socket) -> None:
        if self._loop is not None and sock.fileno() >= 0:
            # Small messages, each awaited: Nagle's algorithm with delayed ACKs would cost 40 ms a message.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._loop.add_reader(sock, _read_all, client, sock)

    def _on_socket_close(self, _client: mqtt.Client, _user: Any, sock: Any) -> None:
        self._tls_failure = getattr(sock, "failure", None) or self._tls_failure
        if self._loop is not None and sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _on_register_write(self, client: mqtt.Client, _user: Any, sock: Any) -> None:
        self._on_loop(self._watch_writes, client, sock)

    def _watch_writes(self, client: mqtt.Client, sock: socket.socket) -> None:
        if self._loop is None or sock.fileno() < 0:
            return
        if client.want_write():
            self._loop.add_writer(sock, client.loop_write)

    def _on_unregister_write(self, _client: mqtt.Client, _user: Any, sock: Any) -> None:
        if self._loop is not None and sock.fileno() >= 0:
            self._loop.remove_writer(sock)

    def _session_over(self) -> None:
        lost = LinkError(f"the connection to the broker {self._where} is lost", code="link.lost")
        if self._connected is not None and not self._connected.done():
            self._connected.set_exception(self._why_unanswered())
        if self._lost is None or self._lost.done():
            return
        self._lost.set_result(None)
        for future in self._acks.values():
            if not future.done():
                future.set_exception(LinkError(lost.message, code="link.lost"))
        self._messages.put_nowait(None)

    def _why_unanswered(self) -> LinkError:
        if self._tls_failure is not None:
            return handshake_failed(self._where, self._tls_failure)
        return closed_unanswered(self._where, secure=self._settings.tls is not None)

    def _tear_down(self) -> None:
        if self._misc is not None:
            self._misc.cancel()
        client, self._client = self._client, None
        if client is not None:
            client.on_disconnect = None
            sock = client.socket()
            if sock is not None and self._loop is not None:
                self._loop.remove_reader(sock)
                self._loop.remove_writer(sock)
                with contextlib.suppress(OSError):
                    sock.close()
        self._session_over()
        if self._connected is not None and self._connected.done() and not self._connected.cancelled():
            self._connected.exception()  # seen, so that asyncio does not complain about it


def _read_all(client: mqtt.Client, sock: Any) -> None:
    """What has arrived. TLS may hold further messages of one record that the event loop can't see."""
    client.loop_read()
    while sock.fileno() >= 0 and isinstance(sock, ssl.SSLSocket) and sock.pending():
        client.loop_read()


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho's class is not annotated
