"""The secrets of these tests, and the search for them in everything that a failed login leaves behind.

Each is a short unit again and again, so that a piece of one betrays itself too. The login and its colon are six
characters, so that the password's unit begins a group of base64 and Basic's value is a unit again and again as well.
"""

import base64
import logging
import pickle
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rich.traceback import Traceback

_UNITS = ("Pw7Kq9", "Cs4Xz2", "Tk8Vj3", "Rf5Wm6")
LOGIN = "annas"
PASSWORD, CLIENT_SECRET, TOKEN, REFRESH_TOKEN = (unit * 5 for unit in _UNITS)
BASIC = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
# Looks like a request id, which a bank's answer may show.
TOKEN_LIKE_AN_ID = "8f14e45f-ceea-467f-a0e6-1a2b3c4d5e6f"
ALL = (PASSWORD, CLIENT_SECRET, BASIC, TOKEN, REFRESH_TOKEN, TOKEN_LIKE_AN_ID)

_WANTED = tuple(text.casefold() for text in (*_UNITS, BASIC[8:16], TOKEN_LIKE_AN_ID[:13]))


def found(texts: list[str]) -> list[str]:
    """Those of `texts` that hold a canary or a piece of one, in whatever case, and in UTF-16 or -32 read as bytes."""
    return [text for text in texts if any(wanted in _plain(text) for wanted in _WANTED)]


def _plain(text: str) -> str:
    return text.replace("\\x00", "").replace("\\u0000", "").replace("\x00", "").casefold()


def said_by(error: BaseException) -> list[str]:
    """What `error` and all it came from say: words, fields, notes, traceback, and the pickle for another process."""
    links = list(_chain(error))
    words = [f"{link} {link!r} {link.args!r} {vars(link)!r}" for link in links]
    return [*words, "".join(traceback.format_exception(error)), pickle.dumps(error).decode("latin-1")]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` with causes and contexts, those too that `raise ... from None` keeps from the traceback only."""
    seen: list[BaseException | None] = [None]
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if link not in seen:
            seen.append(link)
            yield link
            waiting += [link.__cause__, link.__context__]


def local_variables(error: BaseException) -> list[str]:
    """The local variables of nostro's own frames, as a traceback with locals prints them."""
    trace = Traceback.extract(type(error), error, error.__traceback__, show_locals=True)
    frames = [frame for stack in trace.stacks for frame in stack.frames if "/nostro/" in frame.filename]
    return [f"{f.name}: {name} = {value}" for f in frames for name, value in (f.locals or {}).items()]


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """All that any logger says at any level."""
    said: list[str] = []
    listener = _Listener(said)
    loggers = [x for x in logging.root.manager.loggerDict.values() if isinstance(x, logging.Logger)]
    before = [(logger, logger.level, logger.propagate, logger.handlers) for logger in (logging.root, *loggers)]
    for logger in loggers:  # past the root, where pytest keeps the text of every record until a test's end
        logger.propagate, logger.handlers = False, [listener]
        logger.setLevel(logging.DEBUG)
    logging.root.handlers = [*logging.root.handlers, listener]
    logging.root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        for logger, level, propagate, handlers in before:
            logger.propagate, logger.handlers = propagate, handlers
            logger.setLevel(level)


class _Listener(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else record.stack_info
        more = [value for name, value in vars(record).items() if name not in _USUAL]
        self._said.append(f"{record.name}: {record.getMessage()} {record.args!r} {more!r} {trace}")


_USUAL = vars(logging.makeLogRecord({})).keys()
