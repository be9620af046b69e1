"""The query of a serial:// URL."""

import pytest

from hallctl.errors import ConfigError
from hallctl.transport import PortAddress
from hallctl.transport.serial_settings import SerialSettings


def settings(query: str) -> SerialSettings:
    return SerialSettings.from_address(PortAddress.parse(f"serial:///dev/ttyS0{query}"))


def test_a_port_without_options_is_9600_8n1() -> None:
    assert settings("") == SerialSettings(9600, "N", 8, 1.0, rs485=False, echo=False)


def test_every_option_is_read() -> None:
    text = "?baud=19200&parity=even&bytesize=7&stopbits=2&rs485=1&echo=1"
    assert settings(text) == SerialSettings(19200, "E", 7, 2.0, rs485=True, echo=True)


def test_a_byte_at_9600_8n1_takes_ten_bits() -> None:
    assert settings("").byte_s == pytest.approx(10 / 9600)
    assert settings("?parity=odd&stopbits=2").byte_s == pytest.approx(12 / 9600)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?speed=9600", "speed"),
        ("?baud=fast", "baud"),
        ("?baud=-1", "baud"),
        ("?baud=", "baud"),
        ("?baud=٩٦٠٠", "baud"),
        ("?parity=mark", "parity"),
        ("?bytesize=9", "bytesize"),
        ("?stopbits=3", "stopbits"),
        ("?rs485=yes", "rs485"),
        ("?baud=9600&baud=19200", "twice"),
    ],
)
def test_a_wrong_option_is_named_and_the_hint_says_what_is_possible(query: str, names: str) -> None:
    with pytest.raises(ConfigError, match=names) as caught:
        settings(query)
    assert caught.value.hint
