"""Takes secrets out of text: the known ones in every form that they may have taken, and what looks like one.

Two nets, since one may have holes: every secret that the configuration leads to is looked for byte by byte (as it is,
in base64, hexadecimal digits, quoted for URLs and JSON), and a password in a URL or behind a word like ``password`` is
masked whatever it is. Pure.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = b"***"
LONGEST_WORD = 12
SHORTEST = 4  # bytes; a shorter one stands in half of all words, and is masked where it is written only
_SHORTEST_CODED = 6  # characters of base64 or hexadecimal digits that are looked for
_URL = re.compile(rb"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s\"'<>]+@")
_WORDS = (
    rb"(?:pass(?:word|wd|phrase)|(?<![a-z])pass|pwd|secret|token|api[_-]?key|private[_-]?key|credentials?|community"
    rb"|\xe5\xaf\x86\xe7\xa0\x81)"  # 密码
)
_BEFORE = rb"(?:^|(?<=[\s{,\"'_&?#-]))[\w-]*"
_BETWEEN = (
    rb"(?:[ \t]+(?:was|is))?[\"']?[ \t]*"
    rb"(?::[ \t]+|=[ \t]*|\xef\xbc\x9a[ \t]*|:(?=[\"']))"  # the third is a full-width colon
    rb"(?:!\w+[ \t]+)?"
)
_VALUE = rb"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s,}{\[\]&\"'][^\s,}&\"']*"
_NAMED = re.compile(rb"(?im)(" + _BEFORE + _WORDS + _BETWEEN + rb")(" + _VALUE + rb")")
_REFERENCE = re.compile(rb"^(?:null|~|true|false|\*\*\*|[|>][+-]?)$")
_KEY = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\:,]*"
    rb"(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)


class Scrubber:
    """``clean`` gives text without secrets. It is never longer in a hexadecimal text, so that traces stay readable."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: one secret may be the beginning of another.
        self._forms = sorted(forms, key=lambda form: -len(form[0]))
        self._pattern = re.compile(b"|".join(re.escape(form) for form, _ in self._forms)) if forms else None
        self._masks = dict(self._forms)

    def clean(self, text: bytes) -> bytes:
        """What looks like a secret is masked first, then every known one."""
        text = _KEY.sub(MASK, text)
        text = _URL.sub(rb"\1***@", text)
        text = _NAMED.sub(_masked, text)
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._masks[found[0]], text)


def named_in(text: str) -> set[str]:
    """What stands behind a word like ``password``, also in a comment, which no parser sees.

    A short word of the dictionary is left out: it is masked there, and would be missing in every sentence.
    """
    found = (one[2] for one in _NAMED.finditer(text.encode("utf-8", "surrogateescape")))
    values = (value.decode("utf-8", "surrogateescape").strip("\"'") for value in found if not _REFERENCE.match(value))
    return {value for value in values if not (value.isascii() and value.isalpha() and len(value) < LONGEST_WORD)}


def _masked(found: re.Match[bytes]) -> bytes:
    name, value = found[1], found[2]
    if _REFERENCE.match(value):
        return found[0]
    quote_mark = value[:1] if value[:1] in (b'"', b"'") else b""
    return name + quote_mark + MASK + quote_mark


def _forms(secret: str) -> Iterator[tuple[bytes, bytes]]:
    """Each form that it may be written in, and what stands in its place."""
    raw = secret.encode("utf-8", "surrogateescape")
    if len(raw) < SHORTEST:
        return
    for plain in _quoted(secret, raw):
        yield plain, MASK
    for coded in {raw, secret.encode("gb18030", "ignore")}:  # Chinese devices are sent GB18030
        yield from _coded(coded)


def _coded(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    hexed = raw.hex()
    stars = (b"*" * len(raw)).hex()
    for form, mask in ((hexed, stars), (hexed.upper(), stars), (raw.hex(" "), MASK.hex(" ")), (raw.hex(":"), "")):
        yield form.encode(), mask.encode() or MASK
    for coded in _base64(raw):
        yield coded, b"A" * len(coded)


def _quoted(secret: str, raw: bytes) -> set[bytes]:
    texts = {quote(raw), quote(raw, safe=""), quote_plus(raw), repr(secret)[1:-1]}
    texts |= {re.sub("%..", lambda found: found[0].lower(), text) for text in set(texts)}
    texts |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return {raw, *(text.encode("utf-8", "surrogateescape") for text in texts)}


def _base64(raw: bytes) -> Iterator[bytes]:
    """Wherever it stands in what was encoded: the characters that depend on its neighbours are left out."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(bytes(before) + raw).rstrip(b"=")
            bits = 8 * (before + len(raw))
            whole = coded[-(-8 * before // 6) : bits // 6]
            if len(whole) >= _SHORTEST_CODED:
                yield whole
