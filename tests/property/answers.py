"""Answers of raw bytes to a token request: odd documents sent soundly, sound ones sent oddly, and no HTTP at all.

Most are sound but for one or two things, so that each part of the reading is reached. Whatever comes first in a list is
the sound case, to which a failing example shrinks.
"""

import gzip
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import canaries
from documents import NOW, characters, documents, echoes, mostly, nestings, rarely, sometimes, texts, written
from hypothesis import strategies as st
from raw_bank import Answer


def sound(document: Any, status: str = "200 OK") -> Answer:
    """`document` as a bank sends it on a good day."""
    body = written(document).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return Answer(head.encode() + b"Connection: close\r\n\r\n" + body)


# Bodies

_CHARSETS = [
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "latin-1",
    "cp1252",
    "shift-jis",
    "utf-7",
    "cp037",
]
_charsets = mostly(st.just("utf-8"), st.sampled_from(_CHARSETS), times=10)
_PAGE = "<!DOCTYPE html><html><body><h1>Sorry</h1><p>{}</p></body></html>"
_FORM = "access_token={}&token_type=bearer&expires_in=3600"
_XML = '<?xml version="1.0"?><Error><Code>401</Code><Detail>{}</Detail></Error>'
_no_documents = st.one_of(
    st.sampled_from([b"", b" ", b"\n", b"null", b"true", b'""', b"[]", b"{}", b"-", b'"', b"\x00" * 50, b"\xff" * 50]),
    st.binary(max_size=60),
    st.builds(lambda page, echo: page.format(echo).encode(), st.sampled_from([_PAGE, _FORM, _XML, "{}"]), echoes),
    nestings.map(lambda nesting: nesting.text.encode()),
)
_before = st.sampled_from([b"\xef\xbb\xbf", b")]}',\n", b"\r\n \t", b"callback(", b"\x00", b"\xff\xfe"])
_behind = st.sampled_from([b"\n", b"\x00", b"}", b" {}", b"<!-- x -->", b"\xff"])


def _encoded(text: str, charset: str) -> bytes:
    return text.encode(charset, "surrogatepass" if charset.startswith(("utf-8", "utf-16", "utf-32")) else "replace")


@st.composite
def _bodies(draw: st.DrawFn, wanted: str) -> bytes:
    """A document, mostly in UTF-8 and whole; else in other bytes, cut, with something around it, or none at all."""
    if draw(rarely):
        return draw(_no_documents)
    text = written(draw(documents(wanted)), ascii_only=draw(st.booleans()))
    body = _encoded(text, draw(_charsets))
    way = draw(st.sampled_from(["cut", "followed", "preceded"])) if draw(rarely) else "whole"
    if way == "cut":
        return body[: draw(st.integers(0, len(body)))]
    if way == "followed":
        return body + draw(_behind)
    return body if way == "whole" else draw(_before) + body


def _bomb(body: bytes) -> bytes:
    return gzip.compress(body + b" " * 20_000_000, compresslevel=1)


def _plain(body: bytes) -> bytes:
    return body


_CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("GZIP", lambda body: gzip.compress(body) + gzip.compress(body)),
    ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    ("gzip", _bomb),
    ("gzip", lambda body: gzip.compress(body)[:-5]),
    ("deflate", lambda body: zlib.compress(body)[:-3]),
    ("gzip, deflate, gzip", gzip.compress),
    (", ".join(["gzip"] * 500), gzip.compress),
    ("x-gzip", gzip.compress),
    ("zstd", lambda body: b"\x28\xb5\x2f\xfd" + body),
    ("gzip,", _plain),
    ("br", _plain),
    ("identity", _plain),
    ("x" * 3000, _plain),
]


# What HTTP puts around a body

_statuses = mostly(
    st.just(200),
    st.sampled_from([400, 401, 403, 422]),
    st.sampled_from([401, 404, 408, 429, 500, 503]),
    st.sampled_from([301, 302, 303, 307, 308]),
    st.sampled_from([100, 101, 103, 199, 201, 202, 204, 205, 206, 226, 299, 300, 304, 305, 306, 399])
    | st.sampled_from([402, 405, 407, 409, 413, 421, 425, 426, 431, 451, 499, 501, 502, 504, 511, 520, 599, 600, 999]),
    st.integers(100, 999),
    times=18,
)
_OTHER_VERSIONS = [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2", b"HTTP/9.9", b"ICY", b"http/1.1"]
_versions = mostly(st.just(b"HTTP/1.1"), st.sampled_from(_OTHER_VERSIONS), times=20)
_latin = characters.map(lambda text: text.encode("utf-8", "surrogatepass"))


def _on_one_line(text: bytes) -> bytes:
    return text.replace(b"\r", b"").replace(b"\n", b"")


_reasons = st.one_of(
    st.sampled_from([b" OK", b" OK", b" OK", b"", b" ", b" \xe4\xff", b"  Unauthorized  "]),
    echoes.map(lambda echo: b" refused " + echo.encode()),
    _latin.map(lambda text: b" " + _on_one_line(text)),
)
_moments = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda off: format_datetime(datetime.fromtimestamp(NOW + off, UTC), usegmt=True)),
    st.sampled_from(
        ["0", "7", "86400", "999999999", "9999999999", "-1", "1.5", "\u0663", "", " 5 ", "soon", "1 Jan 24"]
    ),
    st.sampled_from(["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Mon, 01 Jan 0001 00:00:00 +2359"]),
    st.sampled_from(["Fri, 31 Dec 9999 23:59:59 -2359", f"Mon, 01 Jan 2024 00:00:00 +{'9' * 17}", "0 0 0 0:0:0"]),
    st.builds(
        "{}, {} {} {} {}:{}:{} {}".format,
        st.sampled_from(["Mon", "", "Xyz"]),
        st.integers(-1, 40),
        st.sampled_from(["Jan", "Dec", "Foo", "1", ""]),
        st.integers(-1, 10_001),
        st.integers(-1, 25),
        st.integers(-1, 61),
        st.integers(-1, 10**6),
        st.sampled_from(["GMT", "-0000", "+9999", "EST", "+1", "", "-99999", "Z"]),
    ),
    texts,
)
_SCHEMES = ["", "http:", "https:", "x:", "mailto:", "file:", ":"]
_HOSTS = ["", "a", "xn--", "xn--a", "xn--nxasmq6b", "[", "[::1", "[::1]x", "[v1.x]", "é", "ho st", "1.2.3.4.5", "a:b:c"]
_HOSTS += ["127.0.0.1:99999", "u:p@", "a" * 300, "%zz", "\\\\", "0x7f.1", "user:{}@a", "\x7f"]
_PATHS = ["", "/", "/a", "?t={}#{}", "@", "x", "../" * 500, "/" + "a" * 70_000]
_locations = st.builds(
    lambda scheme, slashes, host, path, echo: f"{scheme}{slashes}{host}{path}".replace("{}", echo),
    st.sampled_from(_SCHEMES),
    st.sampled_from(["//", "", "/", "///"]),
    st.sampled_from(_HOSTS),
    st.sampled_from(_PATHS),
    echoes,
)
_cookies = st.one_of(
    st.sampled_from(["a=b", "=", ";;;", "a", "a=b; Expires=Thu, 99 Foo 99999 25:61:61 GMT; Max-Age=x", 'a="b;']),
    st.sampled_from(
        ["a=b; Domain=.com; Path=//", f"a=b; Max-Age={'9' * 21}", "a=b; Version=1; Port=x", "a; Domain=x."]
    ),
    echoes.map(lambda echo: f"session={echo}; HttpOnly"),
    texts,
)
_challenges = st.one_of(
    st.sampled_from(['Basic realm="bank"', 'Bearer error="invalid_token"', 'Basic realm="Two Factor"', "Digest", ","]),
    echoes.map(lambda echo: f"PendingUserAction RedirectUrl=https://sca.example/?token={echo}"),
)
_media_types = mostly(
    st.just("application/json"),
    st.sampled_from(
        ["text/html", "", ";;;", "a/b; charset=", "multipart/form-data", "x" * 2000, "a/b;charset*=%ff''%ff"]
    ),
    st.sampled_from(["latin-1", "utf-16", "nonsense", "rot13", "idna", "zlib", "\x00"]).map(
        "text/html; charset={}".format
    ),
    times=5,
)
# What belongs to a status, so that the two come together often.
_TYPICAL: dict[int, tuple[str, st.SearchStrategy[str]]] = {
    200: ("Date", _moments),
    **dict.fromkeys(range(300, 400), ("Location", _locations)),
    **dict.fromkeys([401, 403], ("WWW-Authenticate", _challenges)),
    **dict.fromkeys([408, 429, 500, 502, 503, 504], ("Retry-After", _moments)),
}
_headers = st.one_of(
    st.tuples(st.sampled_from(["Retry-After", "Date"]), _moments),
    st.tuples(st.sampled_from(["Location", "Content-Location", "Refresh", "Link"]), _locations),
    st.tuples(st.just("Set-Cookie"), _cookies),
    st.tuples(st.just("WWW-Authenticate"), _challenges),
    st.tuples(st.just("Content-Type"), _media_types),
    st.tuples(st.sampled_from(["X-Request-Id", "X-Auth-Token", "Authorization", "Server", "Via", "ETag"]), texts),
    st.tuples(st.sampled_from(["Connection", "Upgrade", "Trailer", "Keep-Alive", "Proxy-Authenticate", "Vary"]), texts),
    st.tuples(st.sampled_from(["", "Bad Name", "X\x00", "X(", "é", ":"]), texts),
)


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}".encode("utf-8", "surrogatepass")


_lines = mostly(
    _headers.map(lambda header: _on_one_line(_line(*header))),
    _headers.map(lambda header: _line(*header)),  # with line ends in it: one header becomes several, or a body
    echoes.map(lambda echo: f"no colon in here {echo}".encode()),
    echoes.map(lambda echo: f"X-Folded: one\r\n {echo}".encode()),
    st.sampled_from([60_000, 99_000, 110_000, 400_000]).map(lambda length: b"X-Long: " + b"x" * length),
    st.sampled_from([150, 5000]).map(lambda count: b"\r\n".join([b"X-Many: x"] * count)),
    _latin,
    times=6,
)


def _chunked(body: bytes, size: int) -> bytes:
    parts = [body[i : i + size] for i in range(0, min(len(body), size * 20), size)] + [body[size * 20 :]]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


_FRAMINGS = ["end", "chunked", "short", "long", "wrong", "twice", "both", "bad chunk", "cut chunk", "none"]
_framings = mostly(st.just("length"), st.sampled_from(_FRAMINGS), times=10)
_WRONG_LENGTHS = [b"-1", b"x", b"", b"1e3", b"9" * 30, b"0x1", b"5, 5", b"5, 6", b"+5", b"\xb2"]
_WRONG_SIZES = [b"zz", b"-1", b"f" * 30, b"5;" + b"x" * 200, b"", b"0x5", canaries.TOKEN.encode()]


@st.composite
def _framed(draw: st.DrawFn, body: bytes) -> tuple[list[bytes], bytes]:
    """Header lines that say how long `body` is, truly or not, and the bytes that follow."""
    way, length = draw(_framings), len(body)
    if way == "chunked":
        return [b"Transfer-Encoding: chunked"], _chunked(body, draw(st.integers(1, 500)))
    if way == "both":
        return [b"Transfer-Encoding: chunked", b"Content-Length: 5"], _chunked(body, 7)
    if way == "bad chunk":
        return [b"Transfer-Encoding: chunked"], draw(st.sampled_from(_WRONG_SIZES)) + b"\r\n" + body + b"\r\n0\r\n\r\n"
    if way == "cut chunk":
        coding = draw(st.sampled_from([b"chunked", b"gzip, chunked", b"identity", b"chunked, chunked"]))
        return [b"Transfer-Encoding: " + coding], _chunked(body, 50)[: draw(st.integers(0, 80))]
    stated = {
        "length": [b"%d" % length],
        "short": [b"%d" % (length // 2)],
        "long": [b"%d" % (length + 10)],
        "wrong": [draw(st.sampled_from(_WRONG_LENGTHS))],
        "twice": [b"%d" % length, b"%d" % (length + draw(st.integers(0, 1)))],
    }.get(way, [])
    return [b"Content-Length: " + text for text in stated], b"" if way == "none" else body


_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: <" + canaries.TOKEN.encode() + b">\r\n\r\n"
_INTERIMS = [_CONTINUE, _HINTS, _CONTINUE * 3, _HINTS * 2000, b"\r\n", b"\r\n" * 200, b" "]
_interims = mostly(st.just(b""), st.sampled_from(_INTERIMS), times=20)
_no_http = st.one_of(
    st.sampled_from([b"", b"\r\n\r\n", b"HTTP/1.1", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\n\n"]),
    st.sampled_from([b"HTTP/1.1 99 X\r\n\r\n", b"HTTP/1.1 1000 X\r\n\r\n", b"HTTP/1.1 2OO OK\r\n\r\n", b"\x00" * 200]),
    st.sampled_from(
        [b"\x15\x03\x01\x00\x02\x02\x28", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"x" * 300_000, b"SSH-2.0-x\r\n"]
    ),
    st.binary(max_size=80),
    echoes.map(str.encode),
    echoes.map(lambda echo: f"HTTP/1.1 {echo}\r\n\r\n".encode()),
)
_endings = mostly(st.just("close"), st.sampled_from(["reset", "hold"]), times=40)


@st.composite
def answers(draw: st.DrawFn, wanted: str) -> Answer:
    """Any bytes at all in answer to a token request, most of them close to what is `wanted`, sent as it should be."""
    if draw(rarely):
        return Answer(draw(_no_http), draw(_endings))
    body, lines = draw(_bodies(wanted)), [_line("Content-Type", draw(_media_types))]
    if draw(rarely):
        coding, encode = draw(st.sampled_from(_CODINGS))
        body = encode(body)
        lines.append(b"Content-Encoding: " + coding.encode())
    status = draw(_statuses)
    if status in _TYPICAL and draw(st.booleans()):
        name, values = _TYPICAL[status]
        lines.append(_on_one_line(_line(name, draw(values))))
    framing, body = draw(_framed(body))
    lines += framing + (draw(st.lists(_lines, min_size=1, max_size=3)) if draw(sometimes) else [])
    first = b"%s %d%s" % (draw(_versions), status, draw(_reasons))
    data = draw(_interims) + b"\r\n".join([first, *lines]) + b"\r\n\r\n" + body
    if draw(rarely):
        data = data[: draw(st.integers(0, len(data)))]
    return Answer(data, draw(_endings))
