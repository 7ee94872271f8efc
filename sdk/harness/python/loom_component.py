"""Loom components in Python: this one file, no dependencies, Python 3.9 or newer.

    import loom_component as loom

    @loom.item                                  # what one event becomes: return an event, or yield any number
    def shout(event):
        yield event.data.upper()

    loom.run()

Errors: raise loom.ItemError("code", "message", retryable=True); any other exception fails the item as permanent.
State: @loom.snapshot returns what json can write, @loom.restore takes it back. Batches: @loom.batch instead of @loom.item.
A source: @loom.source, a generator of payloads (or loom.Emit). With @loom.snapshot and @loom.restore it is replayable: restore is
called once before the first event, with null when there is nothing to go on from.
print() goes to stderr, since stdout belongs to the protocol.
"""
import collections
import json
import os
import select
import sys
import threading
import time
import traceback

_handlers = {}
_in, _out = os.dup(0), os.dup(1)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode
_questions = iter(range(1, 1 << 62))
sys.stdout = sys.stderr

config = {}
component = ""
ports = {"inputs": [], "outputs": []}


class ItemError(Exception):
    """The item in hand cannot be processed."""

    def __init__(self, code, message, retryable=False):
        super().__init__(message)
        self.code, self.retryable = code, retryable


class Event:
    """One event. With a port other than the first: yield Emit(data, port="other")."""

    __slots__ = ("port", "id", "key", "time", "headers", "data", "attempt")

    def __init__(self, message, attempt):
        self.port, self.id, self.key = message.get("port"), message.get("id"), message.get("key")
        self.time, self.headers, self.data = message.get("time"), message.get("headers") or {}, message.get("data")
        self.attempt = attempt


class Emit:
    """A result with a port, a key, headers or, in a batch, the index of the member it comes from."""

    __slots__ = ("data", "port", "key", "headers", "index")

    def __init__(self, data, port=None, key=None, headers=None, index=None):
        self.data, self.port, self.key, self.headers, self.index = data, port, key, headers, index


def _decorator(name):
    def take(function):
        _handlers[name] = function
        return function

    return take


item, batch, source = _decorator("item"), _decorator("batch"), _decorator("source")
snapshot, restore = _decorator("snapshot"), _decorator("restore")
setup, drain, cleanup = _decorator("setup"), _decorator("drain"), _decorator("cleanup")


class _Lines:
    """The two pipes. Whoever waits for a message reads for everybody, so that an item costs no change of thread; answers leave together."""

    def __init__(self):
        self.turn, self.reading = threading.Condition(), False
        self.unread, self.rest = collections.deque(), b""      # lines, and the beginning of one
        self.inbox, self.replies = collections.deque(), {}
        self.said, self.writing, self.unflushed = [], threading.Lock(), threading.Event()

    def say(self, line):
        """Says it when there is nothing more to do, at most a millisecond late. What cannot be said fails here, where it is known whose it is."""
        line = line.encode()
        with self.writing:
            self.said.append(line)
            full = len(self.said) > 1000
        if full:
            self.flush()
        elif not self.unflushed.is_set():
            self.unflushed.set()

    def flush(self):
        with self.writing:
            if not self.said:
                return
            said, self.said = self.said, []
            data = memoryview(b"".join(said))
            while data:
                data = data[os.write(_out, data):]

    def flush_soon(self):
        while True:
            self.unflushed.wait()
            time.sleep(0.001)
            self.unflushed.clear()
            self.flush()

    def next(self):
        """The next message that is no reply."""
        while not self.inbox:
            with self.turn:
                if self.inbox:
                    break  # somebody who waits for a reply has read on: that comes first
                line = self.unread.popleft() if self.unread and not self.reading else None
            if line is None:
                self.read_until(lambda: self.inbox)
                break
            message = _decode(line.decode())[0]
            if message["type"] != "reply":
                return message
            with self.turn:
                self.replies[message["q"]] = message
                self.turn.notify_all()
        return self.inbox.popleft()

    def reply(self, q):
        self.flush()
        self.read_until(lambda: q in self.replies or self.replies.get(None))
        return self.replies.pop(q, None) or {"error": {"code": "gone", "message": "the host is gone"}}

    def read_until(self, done):
        while True:
            with self.turn:
                while self.reading and not done():
                    self.turn.wait()
                if done():
                    return
                self.reading = True
            message = None
            try:
                message = self.read()
            finally:
                with self.turn:
                    self.reading = False
                    if message is None:
                        pass
                    elif message["type"] == "reply":
                        self.replies[message["q"]] = message
                    else:
                        self.inbox.append(message)
                        if message["type"] == "gone":
                            self.replies[None] = True
                    self.turn.notify_all()

    def read(self):
        while not self.unread:
            self.flush()
            data = os.read(_in, 1 << 18)
            if not data:
                return {"type": "gone"}
            *lines, self.rest = (self.rest + data).split(b"\n") if b"\n" in data else (self.rest + data,)
            self.unread.extend(lines)
        return _decode(self.unread.popleft().decode())[0]

    def is_quiet(self):
        """Whether a message could be had only by waiting."""
        if self.inbox or self.unread:
            return False
        return not select.select((_in,), (), (), 0)[0]


_lines = _Lines()
_first_port = '"out"'


def _say(message):
    _lines.say(_encode(message) + "\n")
    _lines.flush()


def log(message, level="info"):
    _say({"type": "log", "level": level, "message": str(message)})


def metric(name, value, **labels):
    _say({"type": "metric", "name": name, "value": value, "labels": {k: str(v) for k, v in labels.items()}})


def call(api, **question):
    """Asks the host, for instance call("llm", messages=[{"role": "user", "content": "..."}])["text"]."""
    q = next(_questions)
    _say({"type": "call", "q": q, "api": api, **question})
    reply = _lines.reply(q)
    if reply.get("error"):
        raise ItemError(reply["error"]["code"], reply["error"]["message"], reply["error"].get("retryable", False))
    return reply.get("data")


def _emitted(result, n):
    """The line of a result."""
    number = "" if n is None else f'"n":{n},'
    if not isinstance(result, Emit):
        return f'{{"type":"emit",{number}"port":{_first_port},"data":{_encode(result)}}}\n'
    port = _encode(result.port) if result.port else _first_port
    more = "".join(
        f',"{name}":{_encode(getattr(result, name))}' for name in ("key", "headers", "index") if getattr(result, name) is not None)
    return f'{{"type":"emit",{number}"port":{port},"data":{_encode(result.data)}{more}}}\n'


def _results(results):
    if results is None:
        return ()
    return results if hasattr(results, "__next__") else (results,)


def _sayable(error):
    return str(error).encode(errors="backslashreplace").decode()


def _work(message, handler, argument):
    n = message["n"]
    if handler is None:
        text = f"the component has no {message['type']} handler"
        _say({"type": "error", "n": n, "code": "no_handler", "message": text, "retryable": False})
        return
    try:
        for result in _results(handler(argument)):
            _lines.say(_emitted(result, n))
        _lines.say(f'{{"type":"done","n":{n}}}\n')
    except ItemError as error:
        _say({"type": "error", "n": n, "code": error.code, "message": _sayable(error), "retryable": error.retryable})
    except Exception as error:  # an unexpected one: its stack goes to the log
        traceback.print_exc(file=sys.stderr)
        _say({"type": "error", "n": n, "code": type(error).__name__.lower(), "message": _sayable(error), "retryable": False})


def _handle(message):
    """One message in its turn; False ends the component."""
    kind = message.get("type")
    if kind == "item":
        _work(message, _handlers.get("item"), Event(message, message.get("attempt", 1)))
    elif kind == "batch":
        events = [Event(one, message.get("attempt", 1)) for one in message["items"]]
        _work(message, _handlers.get("batch"), events)
    elif kind == "restore":
        _handlers["restore"](message["state"])
    elif kind == "snapshot":
        _say({"type": "state", "id": message["id"], "data": _handlers["snapshot"]()})
    elif kind == "drain":
        for result in _results(_handlers["drain"]() if "drain" in _handlers else None):
            _lines.say(_emitted(result, None))
    elif kind == "ping":
        _say({"type": "pong"})
    elif kind == "cleanup":
        if "cleanup" in _handlers:
            _handlers["cleanup"]()
        _say({"type": "bye"})
        return False
    return True


def _run_source():
    """Sends what the generator yields; looks at the host between two events."""
    events, ended = None, False
    while True:
        if ended or not _lines.is_quiet():
            message = _lines.next()
            if message["type"] == "gone":
                return
            if message["type"] == "drain":
                if not ended:
                    _say({"type": "end"})
                ended = True
            elif not _handle(message):
                return
            continue
        if events is None:
            events = iter(_handlers["source"]())
        try:
            _lines.say(_emitted(next(events), None))
        except StopIteration:
            ended = True
            _say({"type": "end"})


def run(max_in_flight=16, stream=False):
    """Serves until the host says goodbye."""
    global config, component, ports, _first_port
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    hello = _lines.next()
    config, component, ports = hello.get("config") or {}, hello["component"], hello["ports"]
    _first_port = _encode((ports["outputs"] or ["out"])[0])
    if "setup" in _handlers:
        _handlers["setup"](config)
    stateful = "snapshot" in _handlers
    _say({
        "type": "ready", "v": 1, "max_in_flight": max_in_flight, "stateful": stateful,
        "batch": "batch" in _handlers, "replayable": stateful and "source" in _handlers, "stream": stream,
    })
    threading.Thread(target=_lines.flush_soon, daemon=True).start()
    if "source" in _handlers:
        if stateful:
            # A replayable source begins where the host says: with null from the beginning.
            while (first := _lines.next())["type"] != "restore":
                if first["type"] == "gone" or not _handle(first):
                    return
            _handlers["restore"](first["state"])
        _run_source()
        return
    while True:
        message = _lines.next()
        if message["type"] == "gone" or not _handle(message):
            return
