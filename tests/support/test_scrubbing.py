"""No secret survives, in whatever form it was written; what is no secret does."""

import base64
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallctl.support import Scrubber, secrets_of

SECRET = "p@ss wörd/密码#1+%"  # noqa: S105  # of no place in the world


def forms(secret: str) -> dict[str, bytes]:
    raw = secret.encode()
    return {
        "as it is": raw,
        "hexadecimal": raw.hex().encode(),
        "HEXADECIMAL": raw.hex().upper().encode(),
        "in pairs": raw.hex(" ").encode(),
        "base64": base64.b64encode(raw),
        "base64 in the middle": base64.b64encode(b"user:" + raw + b":more"),
        "base64 behind one byte": base64.b64encode(b"x" + raw),
        "urlsafe base64": base64.urlsafe_b64encode(b"ab" + raw),
        "URL": quote(raw, safe="").encode(),
        "form": quote_plus(raw).encode(),
        "JSON": json.dumps(secret).encode(),
        "JSON with Chinese": json.dumps(secret, ensure_ascii=False).encode(),
        "to a Chinese device": secret.encode("gb18030", "ignore").hex().encode(),
    }


@pytest.mark.parametrize("form", forms(SECRET))
def test_a_known_secret_is_found_in_every_form(form) -> None:
    text = b"before " + forms(SECRET)[form] + b" after"
    clean = Scrubber([SECRET]).clean(text)
    core = forms(SECRET)[form].strip(b'"=')
    if "base64" in form:
        core = core[8:-8]
    assert core not in clean
    assert clean.startswith(b"before ") and clean.endswith(b" after")


@given(st.text(min_size=4, max_size=40).filter(lambda text: text.strip() == text), st.binary(max_size=5))
def test_no_secret_at_all_survives_as_it_is_or_in_hexadecimal(secret, around) -> None:
    raw = secret.encode("utf-8", "surrogatepass") if "\ud800" <= max(secret) <= "\udfff" else secret.encode()
    clean = Scrubber([secret]).clean(b"<" + raw + b">" + (around + raw).hex().encode())
    if set(raw) - set(b"*"):
        assert raw not in clean.replace(b"***", b"\0")
        assert raw.hex().encode() not in clean


@pytest.mark.parametrize(
    "line",
    [
        "password: geheim-7",
        'password: "geheim-7"',
        "# the old one was password: geheim-7",
        "options: {password: geheim-7, baud: 9600}",
        '{"password": "geheim-7", "port": 1}',
        "rtsp://li:geheim-7@10.0.0.9:554/stream",
        "rtsp://li:geh@geheim-7@10.0.0.9:554/stream",
        "mqtts://box:geheim-7@broker",
        "http://10.0.0.9/cgi?user=li&password=geheim-7&stream=1",
        "broker_password = geheim-7",
        "密码：geheim-7",
        "wifi-secret: geheim-7",
        "API_KEY=geheim-7",
        "-----BEGIN PRIVATE KEY-----\ngeheim7\ngeheim7\n-----END PRIVATE KEY-----".replace("geheim7", "geheim"),
    ],
)
def test_what_looks_like_a_secret_is_masked_although_nobody_knows_it(line) -> None:
    clean = Scrubber([]).clean(line.encode())
    assert b"geheim" not in clean
    assert b"***" in clean


@pytest.mark.parametrize(
    "line",
    [
        "password: {env: HALLCTL_CAMERA}",
        "password: {file: /etc/hallctl/secrets/camera}",
        "passenger: 7",
        "bypass: nobody",
        "port: tcp://192.168.1.21:9100",
        "url: rtsp://10.0.0.9:554/stream",
        "baud: 9600",
        "the camera refuses user and password",
    ],
)
def test_what_is_no_secret_stays(line) -> None:
    assert Scrubber(["geheim-7"]).clean(line.encode()) == line.encode()


def test_json_that_was_masked_is_still_json() -> None:
    clean = Scrubber(["geheim-7"]).clean(json.dumps({"password": "geheim-7", "why": "geheim-7?"}).encode())
    assert json.loads(clean) == {"password": "***", "why": "***?"}


def test_a_trace_that_held_a_secret_can_still_be_read() -> None:
    data = b"login geheim-7 ok".hex()
    clean = Scrubber(["geheim-7"]).clean(json.dumps({"data": data}).encode())
    assert bytes.fromhex(json.loads(clean)["data"]) == b"login ******** ok"


def test_the_places_that_documents_lead_to_are_read(tmp_path) -> None:
    (tmp_path / "broker-password").write_text("from-a-file\n")
    (tmp_path / "box.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIIEvQIB\nADANBgkq\n-----END PRIVATE KEY-----\n")
    document = """
broker:
  password: {file: broker-password}
  tls: {identity: box.pem}
terminals:
  - options: {url: "rtsp://li:in%2Da%2Durl@h/x", password: {env: CAMERA}}
  - options:
      token: |
        in a block
        of two lines
      pin_secret: 483920
  - options: {password: {file: absent}}
  - options: {password: {env: NOT_SET}}
"""
    found = secrets_of({tmp_path / "controller.yaml": document}, {"CAMERA": "from-env", "MY_TOKEN": "of-the-shell"})
    wanted = {"from-a-file", "MIIEvQIB", "ADANBgkq", "MIIEvQIBADANBgkq", "in-a-url", "in%2Da%2Durl", "from-env"}
    assert wanted | {"of-the-shell", "in a block", "of two lines", "483920"} <= found.values
    assert "baud" not in found.values
    assert len(found.unread) == 2
    assert "absent" in found.unread[0] and "NOT_SET" in found.unread[1]


def test_words_of_the_dictionary_are_no_secrets_of_everything() -> None:
    found = secrets_of({Path("hall.yaml"): "# password: where it belongs\nbypass: camera\n"}, {"ASK_PASSWORD": "true"})
    assert found.values == set()
