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
import json
import os
import queue
import sys
import threading
import time
import traceback

_handlers = {}
_out = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n", buffering=1 << 16)
_out_lock = threading.Lock()
_unflushed = threading.Event()
_inbox = queue.SimpleQueue()
_replies = {}
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


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _say(message, flush=True):
    line = _encode(message) + "\n"
    with _out_lock:
        _out.write(line)
        if flush:
            _out.flush()
    if not flush:
        _unflushed.set()


def _flush_soon():
    """While items are waiting their answers leave together, at most a millisecond late, however long the next one takes."""
    while True:
        _unflushed.wait()
        time.sleep(0.001)
        _unflushed.clear()
        with _out_lock:
            _out.flush()


def log(message, level="info"):
    _say({"type": "log", "level": level, "message": str(message)})


def metric(name, value, **labels):
    _say({"type": "metric", "name": name, "value": value, "labels": {k: str(v) for k, v in labels.items()}})


def call(api, **question):
    """Asks the host, for instance call("llm", messages=[{"role": "user", "content": "..."}])["text"]."""
    q, answer = next(_questions), queue.SimpleQueue()
    _replies[q] = answer
    _say({"type": "call", "q": q, "api": api, **question})
    reply = answer.get()
    if reply.get("error"):
        raise ItemError(reply["error"]["code"], reply["error"]["message"], reply["error"].get("retryable", False))
    return reply.get("data")


def _emit(result, n):
    if not isinstance(result, Emit):
        result = Emit(result)
    message = {"type": "emit", "port": result.port or (ports["outputs"] or ["out"])[0], "data": result.data}
    for name in ("key", "headers", "index"):
        if getattr(result, name) is not None:
            message[name] = getattr(result, name)
    if n is not None:
        message["n"] = n
    _say(message, flush=False)


def _results(results):
    if results is None:
        return ()
    return results if hasattr(results, "__next__") else (results,)


def _work(message, handler, argument):
    n = message["n"]
    try:
        for result in _results(handler(argument)):
            _emit(result, n)
        _say({"type": "done", "n": n}, flush=_inbox.empty())
    except ItemError as error:
        _say({"type": "error", "n": n, "code": error.code, "message": str(error), "retryable": error.retryable})
    except Exception as error:  # an unexpected one: its stack goes to the log
        traceback.print_exc(file=sys.stderr)
        _say({"type": "error", "n": n, "code": type(error).__name__.lower(), "message": str(error), "retryable": False})


def _handle(message):
    """One message in its turn; False ends the component."""
    kind = message.get("type")
    if kind == "item":
        _work(message, _handlers["item"], Event(message, message.get("attempt", 1)))
    elif kind == "batch":
        events = [Event(one, message.get("attempt", 1)) for one in message["items"]]
        _work(message, _handlers["batch"], events)
    elif kind == "restore":
        _handlers["restore"](message["state"])
    elif kind == "snapshot":
        _say({"type": "state", "id": message["id"], "data": _handlers["snapshot"]()})
    elif kind == "drain":
        for result in _results(_handlers["drain"]() if "drain" in _handlers else None):
            _emit(result, None)
    elif kind == "ping":
        _say({"type": "pong"})
    elif kind == "cleanup":
        if "cleanup" in _handlers:
            _handlers["cleanup"]()
        _say({"type": "bye"})
        return False
    return True


def _read(lines, inbox):
    for line in lines:
        message = json.loads(line)
        if message.get("type") == "reply":
            _replies.pop(message["q"]).put(message)
        else:
            inbox.put(message)
    inbox.put({"type": "gone"})


def _run_source(inbox):
    """Sends what the generator yields; looks at the host between two events."""
    events, ended = None, False
    while True:
        try:
            message = inbox.get(block=ended)
        except queue.Empty:
            message = None
        if message is not None:
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
            _emit(next(events), None)
        except StopIteration:
            ended = True
            _say({"type": "end"})


def run(max_in_flight=16, stream=False):
    """Serves until the host says goodbye."""
    global config, component, ports
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8", newline="\n")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    hello = json.loads(lines.readline())
    config, component, ports = hello.get("config") or {}, hello["component"], hello["ports"]
    if "setup" in _handlers:
        _handlers["setup"](config)
    stateful = "snapshot" in _handlers
    _say({
        "type": "ready", "v": 1, "max_in_flight": max_in_flight, "stateful": stateful,
        "batch": "batch" in _handlers, "replayable": stateful and "source" in _handlers, "stream": stream,
    })
    inbox = _inbox
    threading.Thread(target=_read, args=(lines, inbox), daemon=True).start()
    threading.Thread(target=_flush_soon, daemon=True).start()
    if "source" in _handlers:
        if stateful:
            # A replayable source begins where the host says: with null from the beginning.
            while (first := inbox.get())["type"] != "restore":
                if first["type"] == "gone" or not _handle(first):
                    return
            _handlers["restore"](first["state"])
        _run_source(inbox)
        return
    while True:
        message = inbox.get()
        if message["type"] == "gone" or not _handle(message):
            return
