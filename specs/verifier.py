#!/usr/bin/env python3
"""A second verifier of what Loom records, in one file.

Written from the documents beside it (events.md, events.cddl, blobs.cddl, rules.md, trace.md, replay.md, receipts.md);
only the order in which laws are looked at was fitted to Loom's afterwards. It needs Python 3.11 and two packages, pinned in verifier.requirements.txt: `blake3` for
BLAKE3's derive-key mode and `PyNaCl` for Ed25519 (libsodium refuses points of small order and a great S).

    verifier.py trace FILE…                     whether traces are whole (trace.md)
    verifier.py receipt FILE… [pins]            whether receipts hold, and their level (receipts.md)
    verifier.py judge --rules FILE… TRACE…      what rules come to over traces (replay.md)
    verifier.py vectors FOLDER                  every vector below FOLDER, against what it says of itself
    verifier.py batch [FILE]                    one case a line in, one answer a line out

Output is one line a finding, with the id of the law that is broken; `--json` gives one document. Exit codes: 0 whole,
2 usage, 4 a rule is violated (judge), 6 damaged, 8 unknowable or nothing judged, 9 cannot be read.

It says the first thing that is wrong, reading from left to right. It does not read stores, or drive runs again.
"""

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import struct
import sys

from blake3 import blake3
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

HERE = os.path.dirname(os.path.abspath(__file__))
MAX64 = 2**64 - 1
INT_MIN, INT_MAX = -(2**63), 2**63 - 1


class Refused(Exception):
    """What is refused, by which law, and where."""

    def __init__(self, law, why, place=None):
        super().__init__(why)
        self.law, self.why, self.place = law, why, place

    def __str__(self):
        where = f"{self.place}: " if self.place is not None else ""
        return f"{where}{self.why} [{self.law}]"


def derive(context, *parts):
    """BLAKE3 in derive-key mode (ID-1)."""
    state = blake3(derive_key_context=context)
    for part in parts:
        state.update(part)
    return state.digest()


def event_id(data):
    return blake3(data, derive_key_context="loom 2026-11 event id v1").digest()


def blob_digest(stored):
    return blake3(stored, derive_key_context="loom 2026-11 blob digest v1").digest()


def long8(number):
    return struct.pack(">Q", number)


def run_stream(origin, request):
    """ID-4."""
    return derive("loom 2026-11 run stream v1", long8(len(origin)), origin, request)[:16]


def artifact(base_commit, tree, rules, advice):
    """ID-5. `advice` is [agent, digest] of each who answered."""
    parts = [base_commit, tree, *rules]
    for agent, answer in sorted((a.encode(), d) for a, d in advice):
        parts += [agent, answer]
    return derive("loom 2026-11 artifact v1", *(long8(len(p)) + p for p in parts))


def fingerprint(agent, category, path, line):
    """ID-6."""
    agent, category, path = agent.encode(), category.encode(), path or b""
    where = 0 if line is None else min(line + 1, MAX64)
    lengths = b"".join(long8(len(p)) for p in (agent, category, path))
    return derive("loom 2026-11 finding fingerprint v1", lengths, agent, category, path, long8(where))[:16]


# --------------------------------------------------------------------------------------------------------------- CBOR


def head(data, at):
    """The major type and argument at `at`, and what follows (CBOR-1, CBOR-2)."""
    if at >= len(data):
        raise Refused("CBOR-2", "ends early", at)
    first = data[at]
    major, info = first >> 5, first & 31
    if info < 24:
        value, after = info, at + 1
    elif info < 28:
        size = 1 << (info - 24)
        after = at + 1 + size
        if major == 7:
            raise Refused("CBOR-1", "a float or an unknown simple value", at)
        if after > len(data):
            raise Refused("CBOR-2", "ends early", at)
        value = int.from_bytes(data[at + 1 : after], "big")
        if value < (24 if size == 1 else 1 << (4 * size)):
            raise Refused("CBOR-2", "an argument that is longer than needed", at)
    elif info == 31:
        raise Refused("CBOR-1", "an indefinite length", at)
    else:
        raise Refused("CBOR-1", "a reserved argument", at)
    if major == 1:
        raise Refused("CBOR-1", "a negative integer", at)
    if major == 6:
        raise Refused("CBOR-1", "a tag", at)
    if major == 7 and info not in (20, 21):
        raise Refused("CBOR-1", "null, undefined or another simple value", at)
    return major, value, after


def item(data, at, depth=0):
    """One item of canonical CBOR and where it ends; maps become dicts."""
    major, value, after = head(data, at)
    if major == 0:
        return value, after
    if major == 7:
        return value == 21, after
    if major in (2, 3):
        end = after + value
        if end > len(data):
            raise Refused("CBOR-2", "a length beyond the end", at)
        raw = data[after:end]
        if major == 2:
            return raw, end
        try:
            return raw.decode("utf-8"), end
        except UnicodeDecodeError:
            raise Refused("CBOR-2", "text that is not UTF-8", at) from None
    if depth >= 16:
        raise Refused("CBOR-3", "nested deeper than 16", at)
    if major == 4:
        items = []
        for _ in range(value):
            one, after = item(data, after, depth + 1)
            items.append(one)
        return items, after
    fields, last = {}, -1
    for _ in range(value):
        key_at = after
        kind, key, after = head(data, after)
        if kind != 0:
            raise Refused("CBOR-1", "a key that is no integer", key_at)
        if key <= last:
            raise Refused("CBOR-2", "keys that do not ascend", key_at)
        last = key
        fields[key], after = item(data, after, depth + 1)
    return fields, after


def whole(data):
    """Exactly one item."""
    value, end = item(data, 0)
    if end != len(data):
        raise Refused("CBOR-2", "goes on behind the item", end)
    return value


def encode(value):
    """Canonical CBOR of integers, bytes, text, truths and arrays."""

    def argument(major, number):
        if number < 24:
            return bytes([major << 5 | number])
        for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 1 << (8 * size):
                return bytes([major << 5 | info]) + number.to_bytes(size, "big")
        raise ValueError(number)

    if value is True or value is False:
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return argument(0, value)
    if isinstance(value, bytes):
        return argument(2, len(value)) + value
    if isinstance(value, str):
        return argument(3, len(value.encode())) + value.encode()
    return argument(4, len(value)) + b"".join(map(encode, value))


# --------------------------------------------------------------------------------------------------------------- CDDL


class Grammar:
    """As much of RFC 8610 as the grammars beside this file use."""

    TOKEN = re.compile(r'\s+|(?P<t>"[^"]*"|=>|\.\.|\.size|[A-Za-z][A-Za-z0-9._]*|\d+|[={}\[\]():,/*+?])')

    def __init__(self, path):
        self.rules, self.comments = {}, {}
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
        tokens = []
        for line in lines:
            text, _, comment = line.partition(";")
            at = 0
            row = []
            while at < len(text):
                match = self.TOKEN.match(text, at)
                if not match:
                    raise ValueError(f"{path}: {line}")
                at = match.end()
                if match["t"]:
                    row.append(match["t"])
            if comment and row:
                self.comments[len(tokens) + len(row) - 1] = comment.strip()
            tokens += row
        self.tokens, self.at = tokens, 0
        while self.at < len(tokens):
            name = self.take()
            self.take("=")
            self.rules[name] = self.choice()

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else None

    def take(self, expected=None):
        token = self.tokens[self.at]
        if expected and token != expected:
            raise ValueError(f"{expected} expected, {token} found")
        self.at += 1
        return token

    def choice(self):
        options = [self.type()]
        while self.peek() == "/":
            self.take()
            options.append(self.type())
        return options[0] if len(options) == 1 else ("choice", options)

    def bounds(self):
        """A range or a number, also in brackets."""
        if self.peek() == "(":
            self.take()
            value = self.bounds()
            self.take(")")
            return value
        low = int(self.take())
        if self.peek() == "..":
            self.take()
            return low, int(self.take())
        return low, low

    def occurrence(self):
        token = self.peek()
        if token in ("*", "+", "?"):
            self.take()
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[token]
        if token.isdigit() and self.peek(1) == "*":
            low = int(self.take())
            self.take()
            return low, int(self.take()) if self.peek().isdigit() else None
        return 1, 1

    def type(self):
        token = self.peek()
        if token == "{":
            self.take()
            fields = []
            while self.peek() != "}":
                times = self.occurrence()
                key = int(self.take())
                self.take("=>")
                kind = self.choice()
                mark = self.at - 1
                if self.peek() == ",":
                    mark = self.at
                    self.take()
                fields.append((key, times[0] == 0, kind, self.comments.get(mark)))
            self.take("}")
            return "map", fields
        if token == "[":
            self.take()
            items = []
            while self.peek() != "]":
                times = self.occurrence()
                if self.peek(1) == ":":
                    self.take()
                    self.take()
                items.append((times, self.choice()))
                if self.peek() == ",":
                    self.take()
            self.take("]")
            return "array", items
        self.take()
        if token.startswith('"'):
            return "word", token[1:-1]
        if token.isdigit():
            if self.peek() == "..":
                self.take()
                return "range", int(token), int(self.take())
            return "range", int(token), int(token)
        if self.peek() == ".size":
            self.take()
            return "sized", token, *self.bounds()
        return "name", token

    def check(self, kind, value):
        """Holds a value against a type; raises the law that it breaks."""
        sort = kind[0]
        if sort == "name":
            name = kind[1]
            plain = {"uint": int, "text": str, "tstr": str, "bytes": bytes, "bool": bool}.get(name)
            if plain is None:
                return self.check(self.rules[name], value)
            if type(value) is not plain:
                raise Refused("SCHEMA-4", f"{name} expected")
        elif sort == "sized":
            plain = {"text": str, "bytes": bytes}[kind[1]]
            if type(value) is not plain or not kind[2] <= len(value.encode() if plain is str else value) <= kind[3]:
                raise Refused("SCHEMA-4", f"{kind[1]} of {kind[2]} to {kind[3]} bytes expected")
        elif sort == "word":
            if value != kind[1] or type(value) is not str:
                raise Refused("SCHEMA-4", "a word outside of its vocabulary")
        elif sort == "range":
            if type(value) is not int or not kind[1] <= value <= kind[2]:
                raise Refused("SCHEMA-4", "a number outside of its range")
        elif sort == "choice":
            for option in kind[1]:
                try:
                    return self.check(option, value)
                except Refused as refused:
                    last = refused
            raise Refused("SCHEMA-4", str(last.why))
        elif sort == "map":
            if type(value) is not dict:
                raise Refused("SCHEMA-4", "a map expected")
            fields = {key: (optional, inner) for key, optional, inner, _ in kind[1]}
            for key, one in value.items():
                if key not in fields:
                    raise Refused("SCHEMA-3", f"key {key} is not of the schema")
                self.check(fields[key][1], one)
            for key, (optional, _) in fields.items():
                if not optional and key not in value:
                    raise Refused("SCHEMA-3", f"key {key} is missing")
        elif sort == "array":
            if type(value) is not list:
                raise Refused("SCHEMA-4", "an array expected")
            at = 0
            for index, ((low, high), inner) in enumerate(kind[1]):
                rest = sum(times[0] for times, _ in kind[1][index + 1 :])
                most = len(value) - at - rest
                count = most if high is None else min(high, most)
                if count < low:
                    raise Refused("SCHEMA-4", "too few items")
                for one in value[at : at + count]:
                    self.check(inner, one)
                at += count
            if at != len(value):
                raise Refused("SCHEMA-4", "too many items")
        return None


class Field:
    """A field of a kind of event: key, name, whether optional or a list, type, bounds."""

    __slots__ = ("key", "name", "optional", "many", "type", "low", "high", "most", "items", "words")

    def __init__(self, key, optional, kind, name):
        self.key, self.name, self.optional, self.many, self.items = key, name, optional, False, 1
        self.words = None
        self.low, self.high = 0, 0
        if kind[0] == "array":
            (_, self.items), kind = kind[1][0]
            self.many = True
        if kind == ("name", "digest"):
            kind = ("sized", "bytes", 32, 32)
        elif kind == ("name", "stream"):
            kind = ("sized", "bytes", 16, 16)
        if kind[0] == "sized":
            self.type = {"text": "string", "bytes": "bytes"}[kind[1]]
            self.low, self.high = kind[2], kind[3]
        elif kind[0] == "name":
            self.type = {"uint": "int", "bool": "bool"}[kind[1]]
        else:
            options = kind[1] if kind[0] == "choice" else [kind]
            self.type, self.words = "string", [word for _, word in options]
        # RULE-13: the most bytes of one value, as rules count them.
        is_ranged = self.type in ("string", "bytes") and not self.words and self.low != self.high
        self.most = self.high if is_ranged else 4096


class Kind:
    def __init__(self, name, code, sort, fields):
        self.name, self.code, self.sort, self.fields = name, code, sort, fields
        self.by_key = {field.key: field for field in fields}
        self.by_name = {field.name: field for field in fields}
        self.required = [field.key for field in fields if not field.optional]
        # A request has an id, which is unique in its stream (LEDGER-1).
        self.asks = "request" in self.by_name and self.by_name["request"].type == "bytes"
        # Which digests name blobs: events.md, BLOB-4.
        self.blobs = [
            field.key
            for field in fields
            if field.type == "bytes" and field.low == 32 and field.name not in ("artifact", "signer", "key", "before", "erased")
        ]


def kinds():
    grammar = Grammar(os.path.join(HERE, "events.cddl"))
    table = {}
    for sort in ("input", "record", "decision"):
        for _, name in grammar.rules[sort][1]:
            fields = {key: kind for key, _, kind, _ in grammar.rules[name][1]}
            body = [Field(key, optional, kind, name) for key, optional, kind, name in fields[9][1]]
            table[fields[7][1]] = Kind(name, fields[7][1], sort, body)
    return table


KINDS = kinds()
NAMES = {kind.name: kind for kind in KINDS.values()}
BLOBS = Grammar(os.path.join(HERE, "blobs.cddl"))
RECEIPT = Grammar(os.path.join(HERE, "receipts.cddl"))


def check_blob(rule, content):
    """BLOB-2: the content of a blob that core reads."""
    value = whole(content)
    BLOBS.check(("name", rule), value)
    if rule == "bundle":
        for key in (2, 3, 4):
            names = [one[0].encode() for one in value[key]]
            if any(a >= b for a, b in zip(names, names[1:])):
                raise Refused("BLOB-2", "names that do not ascend")
    return value


def stored_content(stored):
    """BLOB-1."""
    if stored[:1] == b"\0":
        return stored[1:]
    if stored[:1] == b"\1" and len(stored) >= 17:
        return stored[17:]
    raise Refused("BLOB-1", "a blob without mark or salt")


# ------------------------------------------------------------------------------------------------------------- events


class Event:
    __slots__ = ("data", "id", "stream", "sequence", "before", "stamp", "actor", "input", "kind", "body", "count", "position")

    def name(self):
        return f"{self.stream.hex()}#{self.sequence}"

    def get(self, field):
        """A field by its name; None where it is absent."""
        key = self.kind.by_name[field].key
        return self.body.get(key)


def uint(data, at, what):
    try:
        first = data[at]
    except IndexError:
        raise Refused("CBOR-2", "ends early", at) from None
    if first < 24:
        return first, at + 1
    major, value, after = head(data, at)
    if major != 0:
        raise Refused("SCHEMA-4", f"{what}: an integer expected", at)
    return value, after


def array(data, at, low, high, what):
    major, count, after = head(data, at)
    if major != 4:
        raise Refused("SCHEMA-4", f"{what}: an array expected", at)
    if not low <= count <= high:
        raise Refused("SCHEMA-4", f"{what}: {low} to {high} items expected", at)
    return count, after


def string(data, at, text, low, high, what):
    """Text or bytes within its bounds."""
    major, size, after = head(data, at)
    if major != (3 if text else 2):
        raise Refused("SCHEMA-4", f"{what}: {'text' if text else 'bytes'} expected", at)
    end = after + size
    if end > len(data):
        raise Refused("CBOR-2", "a length beyond the end", at)
    raw = data[after:end]
    if text:
        try:
            raw, size = raw.decode("utf-8"), size
        except UnicodeDecodeError:
            raise Refused("CBOR-2", "text that is not UTF-8", at) from None
    if not low <= size <= high:
        raise Refused("SCHEMA-4", f"{what}: {low} to {high} bytes expected", at)
    return raw, end


def value_of(data, at, field):
    if field.type == "int":
        return uint(data, at, field.name)
    if field.type == "bool":
        major, value, after = head(data, at)
        if major != 7:
            raise Refused("SCHEMA-4", f"{field.name}: a boolean expected", at)
        return value == 21, after
    if field.words is not None:
        word, after = string(data, at, True, 0, MAX64, field.name)
        if word not in field.words:
            raise Refused("SCHEMA-4", f"{field.name}: a word outside of its vocabulary", at)
        return word, after
    return string(data, at, field.type == "string", field.low, field.high, field.name)


def parse_actor(data, at):
    start = at
    count, at = array(data, at, 0, 64, "actor")
    if count == 0:
        raise Refused("SCHEMA-4", "an actor that nobody is", start)
    sort, at = uint(data, at, "actor")
    if (sort, count) in ((0, 1), (1, 1)):
        return (sort,), at
    if sort != 2 or count not in (3, 4):
        raise Refused("SCHEMA-4", "an actor that nobody is", start)
    name, at = string(data, at, True, 0, MAX64, "actor")
    assurance, at = uint(data, at, "assurance")
    if assurance > 2:
        raise Refused("SCHEMA-4", "an assurance that is not known", at)
    if count == 3:
        return (2, name, assurance), at
    descends, at = uint(data, at, "descends")
    return (2, name, assurance, descends), at


def parse_event(data):
    """One event by itself: SCHEMA-1 to SCHEMA-4, KIND-2, the part of COMMIT-1 that an event shows, ID-2."""
    event = Event()
    event.data, event.position = data, None
    major, entries, at = head(data, 0)
    if major != 5:
        raise Refused("SCHEMA-4", "a map expected", 0)

    def key(expected):
        nonlocal at
        start = at
        found, at = uint(data, at, "key")
        if found != expected:
            raise Refused("SCHEMA-3", f"envelope key {expected} expected, {found} found", start)

    key(0)
    form, at = uint(data, at, "format")
    if form != 1:
        raise Refused("KIND-2", f"format {form}: a newer Loom can read it", at)
    if entries not in (10, 11):
        raise Refused("COMMIT-1", "an envelope of ten or eleven keys expected", 0)
    key(1)
    event.stream, at = string(data, at, False, 16, 16, "stream")
    key(2)
    event.sequence, at = uint(data, at, "sequence")
    key(3)
    event.before, at = string(data, at, False, 32, 32, "previous id")
    key(4)
    _, at = array(data, at, 2, 2, "stamp")
    ms, at = uint(data, at, "stamp")
    counter, at = uint(data, at, "stamp")
    event.stamp = (ms, counter)
    key(5)
    actor_at, (_, at) = at, item(data, at)
    key(6)
    event.input, at = uint(data, at, "input")
    key(7)
    code, at = uint(data, at, "kind")
    kind = KINDS.get(code)
    if kind is None:
        raise Refused("KIND-2", f"kind {code}: a newer Loom can read it", at)
    event.kind = kind
    key(8)
    version, at = uint(data, at, "version")
    if version != 1:
        raise Refused("KIND-2", f"version {version} of {kind.name}: a newer Loom can read it", at)
    key(9)
    body_at, at = at, parse_keys(data, at, kind)
    event.count = None
    if entries == 11:
        key(10)
        event.count, at = uint(data, at, "events in the commit")
    if at != len(data):
        raise Refused("CBOR-2", "goes on behind the event", at)
    if kind.sort == "input":
        if event.count is None or event.count == 0 or event.input != event.sequence:
            raise Refused("COMMIT-1", "an input names itself and counts its commit")
    elif event.count is not None or event.input >= event.sequence:
        raise Refused("COMMIT-1", "what is no input names an earlier one and counts nothing")
    event.body = parse_body(data, body_at, kind)
    event.actor, _ = parse_actor(data, actor_at)
    if (event.actor[0] == 0) == (kind.sort == "input"):
        raise Refused("COMMIT-1", "an input is not the kernel's, and everything else is")
    event.id = event_id(data)
    return event


def parse_keys(data, at, kind):
    """The keys of a body, and what stands behind it; of its values only that they are CBOR."""
    start = at
    major, entries, at = head(data, at)
    if major != 5:
        raise Refused("SCHEMA-4", "a body is a map", start)
    found, last = set(), -1
    for _ in range(entries):
        key_at = at
        key, at = uint(data, at, "key")
        if key <= last:
            raise Refused("CBOR-2", "body keys that do not ascend", key_at)
        last = key
        if key not in kind.by_key:
            raise Refused("SCHEMA-3", f"{kind.name} has no key {key}", key_at)
        found.add(key)
        _, at = item(data, at, 1)
    for key in kind.required:
        if key not in found:
            raise Refused("SCHEMA-3", f"{kind.name} without {kind.by_key[key].name}", start)
    return at


def parse_body(data, at, kind):
    """The values of a body whose keys are those of its kind."""
    _, entries, at = head(data, at)
    body = {}
    for _ in range(entries):
        key, at = uint(data, at, "key")
        field = kind.by_key[key]
        if not field.many:
            body[key], at = value_of(data, at, field)
            continue
        list_at = at
        count, at = array(data, at, 0, MAX64, field.name)
        if count == 0:
            raise Refused("SCHEMA-1", f"{field.name}: an empty list that is written", list_at)
        if count > field.items:
            raise Refused("SCHEMA-4", f"{field.name}: more than {field.items} items", list_at)
        values = []
        for _ in range(count):
            one, at = value_of(data, at, field)
            values.append(one)
        body[key] = values
    return body


# ------------------------------------------------------------------------------------------------------------ streams

ZERO16, ZERO32 = bytes(16), bytes(32)


class Stream:
    """Chains, stamps and commits of one stream, event by event (trace.md, 2 and 3)."""

    def __init__(self, name, origin=None):
        self.name, self.origin = name, origin
        self.first = self.last = self.input = None
        self.left, self.decided = 0, False
        self.requests, self.repeated = set(), False
        self.answered = []

    def push(self, event):
        """One event. Where it breaks several laws the first in the order of trace.md is named."""
        last, kind = self.last, event.kind
        if (self.left == 0) != (event.count is not None):
            raise Refused("COMMIT-1", f"{event.name()}: not where its commit has it")
        if self.left == 0:
            if event.stream != self.name:
                raise Refused("CHAIN-1", f"{event.name()}: of another stream")
            if last is not None and (event.sequence != last.sequence + 1 or event.before != last.id):
                raise Refused("CHAIN-1", f"{event.name()}: follows another event")
            if last is not None and event.stamp <= last.stamp:
                raise Refused("STAMP-1", f"{event.name()}: a stamp that does not grow")
            self.left, self.decided, self.input = event.count, False, event
        else:
            if event.stream != self.name or event.sequence != last.sequence + 1 or event.input != self.input.sequence:
                raise Refused("CHAIN-1", f"{event.name()}: does not follow the event before it")
            if event.before != last.id:
                raise Refused("CHAIN-1", f"{event.name()}: follows another event")
            if event.stamp != self.input.stamp:
                raise Refused("STAMP-1", f"{event.name()}: two stamps in a commit")
            if kind.sort == "decision":
                self.decided = True
            elif self.decided:
                raise Refused("COMMIT-1", f"{event.name()}: a record behind a decision")
        self.left -= 1
        self.speaker(event)
        self.begin(event)
        if kind.asks:
            request = event.get("request")
            self.repeated = self.repeated or request in self.requests
            self.requests.add(request)
        if kind.name == "gate.answered":
            self.answered.append(event)
        self.first = self.first or event
        self.last = event

    def speaker(self, event):
        """COMMIT-1: requests are a person's, observations the host's."""
        actor = event.actor
        if event.kind.sort != "input":
            return
        asks = event.kind.asks
        if actor[0] == 1:
            fits = not asks or event.kind.name == "request.refused"
        elif len(actor) == 4:
            fits = event.kind.name == "request.refused"
        else:
            fits = asks
        if not fits:
            raise Refused("COMMIT-1", f"{event.name()}: an actor that may not cause {event.kind.name}")

    def begin(self, event):
        """KIND-1, ID-4."""
        own = self.name == ZERO16
        first = "store.created" if own else "run.opened"
        if event.sequence == 0 and event.kind.name != first:
            raise Refused("KIND-1", f"{event.name()}: a stream begins with {first}")
        if event.sequence == 0 and not own and self.origin is not None:
            if run_stream(self.origin, event.get("request")) != self.name:
                raise Refused("ID-4", f"{event.name()}: a stream that its request does not name")
        if (event.kind.code >= 80) != own or (event.sequence != 0 and event.kind.name == first):
            raise Refused("KIND-1", f"{event.name()}: {event.kind.name} does not belong here")
        if event.kind.name == "blobs.redacted":
            erased, lengths = event.get("erased") or [], event.get("lengths") or []
            if not erased or len(erased) != len(lengths) or any(a >= b for a, b in zip(erased, erased[1:])):
                raise Refused("ERASE-1", f"{event.name()}: blobs that do not ascend, or without their lengths")

    def end(self):
        if self.left:
            raise Refused("COMMIT-1", f"{self.name.hex()}: ends inside a commit")
        if self.first is not None and (self.first.sequence, self.first.before) != (0, ZERO32):
            raise Refused("CHAIN-1", f"{self.first.name()}: the stream does not begin at sequence 0")
        if self.repeated:
            raise Refused("LEDGER-1", f"{self.name.hex()}: a request id twice")

    def answers(self):
        """SIGNED-2, when everything else is whole."""
        for event in self.answered:
            check_answer(event)


# --------------------------------------------------------------------------------------------------------------- tree


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count):
    return 1 << ((count - 1).bit_length() - 1)


def root(leaves):
    """TREE-1: of a list of leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    # The perfect subtrees on the right edge, as a stack.
    stack = []
    for index, one in enumerate(leaves):
        while index & 1:
            one = node(stack.pop(), one)
            index >>= 1
        stack.append(one)
    out = stack.pop()
    while stack:
        out = node(stack.pop(), out)
    return out


def inclusion_root(position, size, own, proof):
    """RFC 9162, 2.1.3.2."""
    if position >= size:
        raise Refused("TREE-1", "a position beyond the tree")
    fn, sn, value = position, size - 1, own
    for one in proof:
        if sn == 0:
            raise Refused("TREE-1", "a proof that is too long")
        if fn & 1 or fn == sn:
            value = node(one, value)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            value = node(value, one)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise Refused("TREE-1", "a proof that is cut short")
    return value


def consistent(old, size, old_root, new_root, proof):
    """RFC 9162, 2.1.4.2."""
    if old > size:
        raise Refused("TREE-1", "the older tree is the greater one")
    if old == size or old == 0:
        if proof or (old == size and old_root != new_root) or (old == 0 and old_root != root([])):
            raise Refused("TREE-1", "not the same tree")
        return
    path = list(proof)
    if not path:
        raise Refused("TREE-1", "a proof that is cut short")
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for one in path[1:]:
        if sn == 0:
            raise Refused("TREE-1", "a proof that is too long")
        if fn & 1 or fn == sn:
            fr, sr = node(one, fr), node(one, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, one)
        fn, sn = fn >> 1, sn >> 1
    if fr != old_root or sr != new_root or sn != 0:
        raise Refused("TREE-1", "a proof that does not fit")


# ------------------------------------------------------------------------------------------------------------- traces

TRACE_MAGIC = b"loom-trace\n"
EVENT_MAX, BLOB_MAX, NAMED_MAX = 4 << 20, 256 << 20, 500_000


class Trace:
    """A trace, read from left to right. `events` gives them in order; when it is exhausted the trace is whole."""

    def __init__(self, data):
        self.data = data
        self.blobs = {}
        self.missing = 0
        self.count = 0

    def cut(self, at, why="is cut off"):
        return Refused("TRACE-2", f"the trace {why}", at)

    def head(self, at):
        try:
            return head(self.data, at)
        except Refused as refused:
            if refused.why == "ends early":
                raise self.cut(at) from None
            raise Refused("TRACE-8", refused.why, at) from None

    def layout(self, at, condition, why):
        if not condition:
            raise Refused("TRACE-8", why, at)

    def bytes(self, at, most, exact=None):
        start = at
        major, size, at = self.head(at)
        self.layout(start, major == 2 and exact in (None, size), "bytes expected")
        if most is not None and size > most:
            raise Refused("TRACE-5", f"more than {most} bytes", start)
        if at + size > len(self.data):
            raise self.cut(start)
        return self.data[at : at + size], at + size

    def number(self, at):
        start = at
        major, value, at = self.head(at)
        self.layout(start, major == 0, "a number expected")
        return value, at

    def events(self):
        data, at = self.data, len(TRACE_MAGIC)
        if not data.startswith(TRACE_MAGIC):
            raise Refused("TRACE-8", "another magic", 0)
        major, count, at = self.head(at)
        self.layout(at, major == 4, "a header expected")
        tag, at = self.number(at)
        self.layout(at, tag == 0, "a header expected")
        form, at = self.number(at)
        if form > 1:
            raise Refused("TRACE-1", f"format {form}: a newer Loom can read it", at)
        self.layout(at, form == 1 and count == 5, "format 1 expected")
        self.origin, at = self.bytes(at, None, 16)
        self.stream, at = self.bytes(at, None, 16)
        start = at
        major, slim, at = self.head(at)
        self.layout(start, major == 7, "a truth expected")
        self.slim = slim == 21
        stream = Stream(self.stream, self.origin)
        waiting, seen, named = [], set(), set()
        while True:
            start = at
            if at >= len(data):
                raise self.cut(at)
            major, count, at = self.head(at)
            self.layout(start, major == 4, "an item is an array")
            tag, at = self.number(at)
            if tag == 1 and count == 2:
                stored, at = self.bytes(at, BLOB_MAX)
                waiting.append((start, stored, blob_digest(stored)))
                digest = waiting[-1][2]
                if digest in seen:
                    raise Refused("TRACE-4", "a blob twice", start)
                if len(seen) >= NAMED_MAX:
                    raise Refused("TRACE-7", f"more than {NAMED_MAX} blobs", start)
                seen.add(digest)
            elif tag == 2 and count == 2:
                raw, at = self.bytes(at, EVENT_MAX)
                try:
                    event = parse_event(raw)
                except Refused as refused:
                    if refused.law == "KIND-2":
                        refused = Refused("TRACE-1", refused.why)
                    raise Refused(refused.law, refused.why, start) from None
                foreign = event.stream != self.stream and stream.left == 0 and event.count is not None
                self.layout(start, not foreign, "an event of another stream")
                stream.push(event)
                self.place(event, waiting, named)
                waiting = []
                self.count += 1
                yield event
            elif tag == 3 and count == 5:
                self.end(start, at, stream, waiting, seen)
                return
            else:
                raise Refused("TRACE-8", "an item of no kind", start)

    def place(self, event, waiting, named):
        """TRACE-4, TRACE-6: the blobs that stand before an event are those that it names first."""
        own = []
        for key in event.kind.blobs:
            found = event.body.get(key)
            own += found if isinstance(found, list) else [found] if found is not None else []
        terms = set()
        if event.kind.name == "run.opened":
            terms = {event.get("bundle"), *(event.get("rules") or []), event.get("checks")}
        elif event.kind.name == "rules.added":
            terms = {event.get("rules")}
        wanted = {digest for digest in own if digest not in named}
        for start, stored, digest in waiting:
            if digest not in wanted:
                raise Refused("TRACE-4", "a blob that the next event does not name", start)
            if self.slim and digest not in terms:
                raise Refused("TRACE-6", "a slim trace that holds more than its terms", start)
            try:
                content = stored_content(stored)
            except Refused as refused:
                raise Refused(refused.law, refused.why, start) from None
            self.blobs[digest] = None
            if event.kind.name == "run.opened" and digest == event.get("bundle"):
                try:
                    bundle = check_blob("bundle", content)
                except Refused:
                    continue
                inner = [one for agent in bundle[2] for one in (agent[2], agent[3])]
                own += inner
                wanted.update(inner)
                terms.update(inner)
        named.update(own)
        if len(named) > NAMED_MAX:
            raise Refused("TRACE-7", f"more than {NAMED_MAX} blobs")

    def end(self, start, at, stream, waiting, seen):
        events, at = self.number(at)
        blobs, at = self.number(at)
        last, at = self.bytes(at, None, 32)
        digest, at = self.bytes(at, None, 32)
        stated = (self.count, len(seen), stream.last.id if stream.last else ZERO32, derive("loom 2026-11 trace v1", self.data[:start]))
        if (events, blobs, last, digest) != stated:
            raise Refused("TRACE-3", "other counts, another last event or another digest than the end states", start)
        if waiting:
            raise Refused("TRACE-4", "a blob that nobody names", waiting[0][0])
        if at != len(self.data):
            raise self.cut(at, "goes on behind its end")
        self.layout(start, self.count > 0, "no event at all")
        stream.end()
        stream.answers()


# -------------------------------------------------------------------------------------------------- keys, checkpoints


def signed(key, signature, message):
    """Ed25519 as receipts.md says."""
    try:
        VerifyKey(key).verify(message, signature)
        return True
    except (CryptoError, ValueError, TypeError):
        return False


ANSWER = b"loom 2026-11 signed answer v1\n"


def check_answer(event):
    """SIGNED-1, SIGNED-2."""
    signature, signer, over = event.get("signature"), event.get("signer"), event.get("artifact")
    claims = event.actor[0] == 2 and event.actor[2] == 2
    if (signature is None) != (signer is None) or claims != (signature is not None):
        raise Refused("SIGNED-2", f"{event.name()}: an actor that is not what it says")
    if signature is None:
        return
    message = ANSWER + encode([event.stream, event.get("gate"), event.get("answer"), over or b""])
    if over is None or not signed(signer, signature, message):
        raise Refused("SIGNED-2", f"{event.name()}: the answer's signature does not fit")


def base64_strict(text):
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def key_id(name, algorithm, key):
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + key).digest()[:4]


class Key:
    def __init__(self, key, position, retired=None, before=None, handed=False):
        self.key, self.position, self.retired, self.before, self.handed = key, position, retired, before, handed


# Unicode's White_Space; str.isspace() has U+001C to U+001F besides.
SPACES = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | set(map(chr, range(0x2000, 0x200B)))


def is_name(name):
    """A name of a signer, as C2SP's signed notes have it."""
    return bool(name) and "+" not in name and not SPACES & set(name)


class Checkpoint:
    """CHECKPOINT-1."""

    def __init__(self, text):
        def need(condition, why):
            if not condition:
                raise Refused("CHECKPOINT-1", f"the checkpoint {why}")

        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        need(len(raw) <= 16 << 10, "has more than 16 KiB")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            need(False, "is not UTF-8")
        need(not any(ord(c) < 32 and c != "\n" for c in text), "has control characters")
        body, found, lines = text.rpartition("\n\n")
        need(found and lines.endswith("\n"), "has no signature line")
        self.body = body + "\n"
        rows = body.split("\n")
        need(len(rows) >= 3 and all(rows), "has fewer than three lines, or an empty one")
        need(re.fullmatch(r"0|[1-9][0-9]{0,19}", rows[1], re.ASCII) and int(rows[1]) <= MAX64, "has no size")
        self.name, self.size = rows[0], int(rows[1])
        self.root = base64_strict(rows[2])
        need(self.root is not None and len(self.root) == 32, "has no root")
        self.lines = []
        for line in lines[:-1].split("\n"):
            parts = line.split(" ")
            need(len(parts) == 3 and parts[0] == "\u2014" and is_name(parts[1]), "has a line that is no signature")
            blob = base64_strict(parts[2])
            need(blob is not None and len(blob) > 4, "has a signature that is none")
            self.lines.append((parts[1], blob[:4], blob[4:]))
        need(len(self.lines) <= 100, "has more than 100 signature lines")

    def signer(self, origin, keys):
        """CHECKPOINT-2, CHECKPOINT-3: the key on record that signed it."""
        if self.name != f"loom/{origin.hex()}":
            raise Refused("CHECKPOINT-1", "the checkpoint is of another store")
        found = []
        for name, short, signature in self.lines:
            if name == self.name:
                found += [(key, signature) for key in keys if key_id(name, 1, key.key) == short]
        if len(found) != 1:
            raise Refused("CHECKPOINT-2", "not signed once by a key on record")
        key, signature = found[0]
        if len(signature) != 64 or not signed(key.key, signature, self.body.encode()):
            raise Refused("CHECKPOINT-2", "the signature does not fit")
        if key.position >= self.size or (key.retired is not None and key.retired < self.size):
            raise Refused("CHECKPOINT-3", "signed by a key that was not on record then, or retired")
        return key

    def cosigned(self, witnesses):
        """Whether a witness that the reader knows signed; each that did must fit, once."""
        by = 0
        for name, public in witnesses:
            short = key_id(name, 4, public)
            mine = [signature for n, i, signature in self.lines if n == name and i == short]
            if not mine:
                continue
            if len(mine) > 1 or len(mine[0]) != 72:
                raise Refused("CHECKPOINT-2", "a witness's line that stands twice or is none")
            seconds = int.from_bytes(mine[0][:8], "big")
            message = f"cosignature/v1\ntime {seconds}\n{self.body}".encode()
            if not signed(public, mine[0][8:], message):
                raise Refused("CHECKPOINT-2", "a witness's signature that does not fit")
            by += 1
        return by > 0


def verifier_key(text, algorithm):
    """A C2SP verifier key, or 64 hexadecimal digits: name and key."""
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return None, bytes.fromhex(text)
    parts = text.split("+", 2)
    raw = base64_strict(parts[2]) if len(parts) == 3 else None
    if raw is None or not is_name(parts[0]) or len(raw) != 33 or raw[0] != algorithm or key_id(parts[0], algorithm, raw[1:]).hex() != parts[1]:
        raise Refused("KEYS-4", "no key")
    return parts[0], raw[1:]


HANDOVER = b"loom 2026-11 key handover v1\n"


def key_history(events, origin):
    """KEYS-1, KEYS-2 over the store's own stream; events have positions."""
    keys, awaiting = [], None
    for event in events:
        name = event.kind.name
        if awaiting is not None and name != "key.retired":
            raise Refused("KEYS-1", "a key that follows another, which is not retired")
        if name == "key.added":
            key, before, signature = event.get("key"), event.get("before"), event.get("signature")
            if event.actor != (1,):
                raise Refused("KEYS-1", "a key that the host did not add")
            if any(key == one.key for one in keys):
                raise Refused("KEYS-1", "a key twice")
            if not keys:
                if before is not None or signature is not None:
                    raise Refused("KEYS-1", "a first key that follows another")
            elif before != keys[-1].key:
                raise Refused("KEYS-1", "a key that does not follow the one before")
            if signature is not None and not signed(before, signature, HANDOVER + origin + before + key):
                raise Refused("KEYS-2", "a hand-over whose signature does not fit")
            if keys:
                awaiting = (event, signature is not None)
            keys.append(Key(key, event.position, None, before, signature is not None))
        elif name == "key.retired":
            if awaiting is None or event.get("key") != keys[-2].key or event.input != awaiting[0].sequence:
                raise Refused("KEYS-1", "a key retired without a successor")
            if event.get("handed_over") != awaiting[1]:
                raise Refused("KEYS-1", "says otherwise whether the key was handed over")
            keys[-2].retired, awaiting = event.position, None
    if awaiting is not None:
        raise Refused("KEYS-1", "a key that follows another, which is not retired")
    return keys


def pinned(pin, keys, signer):
    """KEYS-4."""
    order = [one.key for one in keys]
    if pin not in order or signer.key not in order:
        return False
    first, last = order.index(pin), order.index(signer.key)
    return first <= last and all(one.handed for one in keys[first + 1 : last + 1])


# ----------------------------------------------------------------------------------------------------------- receipts

RECEIPT_MAGIC = b"loom-receipt\n"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ASSURANCE = ("asserted", "session", "signed")
OUTCOMES = {"accept": "accepted", "revise": "revised", "reject": "rejected", "abandon": "abandoned"}


def canonical_json(value):
    """RECEIPT-8."""
    if isinstance(value, dict):
        pairs = sorted((key.encode(), key, one) for key, one in value.items())
        return "{" + ",".join(f"{canonical_json(key)}:{canonical_json(one)}" for _, key, one in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    if isinstance(value, int):
        return str(value)
    short = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
    return '"' + "".join(short.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value) + '"'


class Receipt:
    """RECEIPT-1 to RECEIPT-9, in the order in which receipts.md says they are looked at."""

    def __init__(self, data, pins=None):
        pins = pins or {}
        self.read(data)
        if pins.get("origin") not in (None, self.origin.hex()):
            raise Refused("RECEIPT-2", "of another store than asked for")
        self.checkpoint = Checkpoint(self.checkpoint_text)
        self.parse_events()
        self.check_root()
        self.check_streams()
        self.check_store()
        self.signer = self.checkpoint.signer(self.origin, self.keys)
        self.check_opening()
        self.check_cover()
        self.check_statement()
        self.check_answers()
        self.pinned = False
        if pins.get("key"):
            self.pinned = pinned(verifier_key(pins["key"], 1)[1], self.keys, self.signer)
            if not self.pinned:
                raise Refused("KEYS-4", "signed by another key than the pinned one")
        witnesses = [verifier_key(one, 4) for one in pins.get("witnesses", [])]
        cosigned = self.checkpoint.cosigned([one for one in witnesses if one[0]])
        elsewhere = self.checkpoint_text in pins.get("checkpoints", [])
        self.level = self.levels(cosigned or elsewhere, [verifier_key(one, 1)[1] for one in pins.get("persons", [])])

    def read(self, data):
        def need(condition, why):
            if not condition:
                raise Refused("RECEIPT-1", f"the receipt {why}")

        need(len(data) <= 64 << 20, "has more than 64 MiB")
        need(data.startswith(RECEIPT_MAGIC), "has another magic")
        try:
            value = whole(data[len(RECEIPT_MAGIC) :])
        except Refused as refused:
            raise Refused("RECEIPT-1", refused.why) from None
        need(not (isinstance(value, list) and value and isinstance(value[0], int) and value[0] > 1), "is of a newer Loom")
        try:
            # No event at all is what RECEIPT-3 refuses.
            known = list(value) if isinstance(value, list) else value
            if isinstance(known, list) and len(known) == 9 and known[5] == []:
                known[5] = [[0, b""]]
            RECEIPT.check(("name", "receipt"), known)
        except Refused as refused:
            raise Refused("RECEIPT-1", refused.why) from None
        need(value[0] == 1, "has another format")
        (_, self.about, self.origin, self.subject_at, self.checkpoint_text, self.raw, self.nodes, self.rules, self.envelope) = value

    def parse_events(self):
        self.events, last = [], -1
        for position, data in self.raw:
            if position <= last:
                raise Refused("RECEIPT-3", "positions that do not ascend")
            last = position
            try:
                event = parse_event(data)
            except Refused as refused:
                raise Refused("RECEIPT-3", f"position {position}: {refused.why}") from None
            event.position = position
            self.events.append(event)
        if not self.events:
            raise Refused("RECEIPT-3", "no event")

    def check_root(self):
        events, nodes = self.events, self.nodes
        if events[-1].position >= self.checkpoint.size:
            raise Refused("RECEIPT-3", "a position beyond the size")
        used = 0

        def hash_of(start, end, low, high):
            nonlocal used
            if low == high:
                if used >= len(nodes):
                    raise Refused("RECEIPT-3", "too few nodes")
                used += 1
                return nodes[used - 1]
            if end - start == 1:
                return leaf(events[low].id)
            middle = start + split(end - start)
            between = low
            while between < high and events[between].position < middle:
                between += 1
            left = hash_of(start, middle, low, between)
            return node(left, hash_of(middle, end, between, high))

        if hash_of(0, self.checkpoint.size, 0, len(events)) != self.checkpoint.root or used != len(nodes):
            raise Refused("RECEIPT-3", "the nodes do not make the root")

    def check_streams(self):
        """Which events are of the store's stream and which of the subject's, by sequence; there is no third (RECEIPT-5)."""
        self.subject = next((event for event in self.events if event.position == self.subject_at), None)
        if self.subject is None:
            raise Refused("RECEIPT-6", "the subject is not covered")
        store, others = {}, {}
        for event in self.events:
            if event.stream not in (ZERO16, self.subject.stream):
                raise Refused("RECEIPT-5", "an event of another stream than the subject's")
            part = store if event.stream == ZERO16 else others
            if event.sequence in part:
                raise Refused("RECEIPT-4", "a sequence twice")
            part[event.sequence] = event
        self.store = [store[sequence] for sequence in sorted(store)]
        self.others = [others[sequence] for sequence in sorted(others)]

    def check_store(self):
        store = self.store
        first = store[0] if store else None
        if first is None or first.position != 0 or first.kind.name != "store.created" or first.get("origin") != self.origin:
            raise Refused("RECEIPT-4", "the store's first event is missing, or of another store")
        stream = Stream(ZERO16)
        try:
            for event in store:
                stream.push(event)
            stream.end()
        except Refused as refused:
            raise Refused("RECEIPT-4", refused.why) from None
        self.linked(store)
        self.keys = key_history(store, self.origin)

    def linked(self, events):
        for last, event in zip(events, events[1:]):
            if event.position <= last.position:
                raise Refused("RECEIPT-4", "sequences that do not ascend with positions")
            if event.sequence == last.sequence + 1 and event.before != last.id:
                raise Refused("RECEIPT-4", f"{event.name()}: follows another event")
            same = event.input == last.input
            if (event.stamp != last.stamp) if same else (event.stamp <= last.stamp):
                raise Refused("RECEIPT-4", f"{event.name()}: a stamp that does not fit")

    def check_opening(self):
        if self.subject.stream == ZERO16:
            if self.about != "event":
                raise Refused("RECEIPT-6", "the store's own stream is no run")
            return
        first = self.others[0]
        if first.sequence != 0 or first.kind.name != "run.opened":
            raise Refused("RECEIPT-5", "the run's first event is missing")
        if run_stream(self.origin, first.get("request")) != first.stream:
            raise Refused("RECEIPT-5", "a stream that its request does not name")

    def check_cover(self):
        subject, others = self.subject, self.others
        self.decided = None
        if subject.stream == ZERO16:
            return
        by = {event.sequence: event for event in others}
        if self.about == "run":
            stream = Stream(subject.stream, self.origin)
            try:
                for event in others:
                    stream.push(event)
                stream.end()
            except Refused as refused:
                raise Refused("RECEIPT-6", refused.why) from None
            if others[-1] is not subject:
                raise Refused("RECEIPT-6", "events behind the subject")
            self.linked(others)
            return
        needed = {0, subject.sequence, subject.input}
        if self.about == "gate":
            name = subject.kind.name
            if name == "gate.opened":
                gate = subject.sequence
                self.decided = next((e for e in others if e.kind.name == "gate.decided" and e.get("gate") == gate), None)
            elif name == "gate.decided" and subject.get("gate") is None:
                self.decided = subject
            else:
                raise Refused("RECEIPT-6", "the subject is no gate")
            if self.decided is not None:
                needed |= {self.decided.sequence, self.decided.input}
                merge = next((e for e in others if e.kind.name == "merge.intended" and e.get("decision") == self.decided.sequence), None)
                if merge is not None and self.decided.get("outcome") == "accepted":
                    needed |= {merge.sequence, merge.input}
                    finished = [e.sequence for e in others if e.kind.name == "merge.finished" and e.get("merge") == merge.sequence]
                    needed |= set(finished[:1])
        if needed != set(by):
            raise Refused("RECEIPT-6", "it does not cover what it is about, or more")
        try:
            for event in others:
                Stream.speaker(None, event)
        except Refused as refused:
            raise Refused("RECEIPT-6", refused.why) from None
        self.linked(others)

    def check_answers(self):
        """SIGNED-1, SIGNED-2."""
        for event in self.others:
            if event.kind.name == "gate.answered":
                check_answer(event)

    def check_statement(self):
        if self.rules and self.about != "run":
            raise Refused("RECEIPT-9", "rules where no run is judged")
        match = re.fullmatch(
            r'\{"payload":"([A-Za-z0-9+/=]*)","payloadType":"application/vnd\.in-toto\+json",'
            r'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([A-Za-z0-9+/=]*)"\}\]\}',
            self.envelope,
        )
        payload = base64_strict(match[1]) if match else None
        signature = base64_strict(match[3]) if match else None
        if payload is None or signature is None or bytes.fromhex(match[2]) != self.signer.key:
            raise Refused("RECEIPT-7", "the envelope is none, or names another key")
        before = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode()
        if not signed(self.signer.key, signature, before + payload):
            raise Refused("RECEIPT-7", "the envelope's signature does not fit")
        if canonical_json(self.statement()).encode("utf-8", "surrogatepass") != payload:
            raise Refused("RECEIPT-8", "the statement is not what the events say")

    def statement(self):
        subject, others = self.subject, self.others
        covered = others if subject.stream != ZERO16 else self.store
        predicate = {
            "about": self.about,
            "origin": self.origin.hex(),
            "checkpoint": {"root": self.checkpoint.root.hex(), "size": self.checkpoint.size},
            "events": len(covered),
        }
        subjects = []
        if subject.stream != ZERO16:
            predicate["run"] = subject.stream.hex()
            opened = others[0]
            predicate["terms"] = {
                "base": opened.get("base_commit").hex(),
                "bundle": opened.get("bundle").hex(),
                "rules": [one.hex() for one in opened.get("rules") or []],
            }
            by = {event.sequence: event for event in others}
            for event in others:
                if event.kind.name == "merge.finished" and event.get("outcome") == "done" and event.get("commit") is not None:
                    intended = by.get(event.get("merge"))
                    if intended is not None and intended.kind.name == "merge.intended":
                        commit = event.get("commit").hex()
                        branch, tree = intended.get("branch"), intended.get("tree").hex()
                        predicate["merge"] = {"branch": branch, "commit": commit, "tree": tree}
                        subjects = [{"digest": {"gitCommit": commit}, "name": branch}]
                elif event.kind.name == "run.closed":
                    predicate["verdict"] = event.get("verdict")
            if self.about == "gate":
                gate = {"role": subject.get("role"), "artifact": subject.get("artifact").hex(), "tree": subject.get("tree").hex()}
                decided = self.decided
                if decided is not None:
                    gate |= {"outcome": decided.get("outcome"), "by": decided.get("by"), "decider": decided.get("decider")}
                    answer = by[decided.input]
                    if answer.kind.name == "gate.answered":
                        gate["answer"] = answer.get("answer")
                        gate["assurance"] = ASSURANCE[answer.actor[2]]
                        if answer.get("signer") is not None:
                            gate["signer"] = answer.get("signer").hex()
                predicate["gate"] = gate
        judged = self.judged()
        if judged:
            predicate["judged"] = judged
        subjects.append({"digest": {"loomEvent": subject.id.hex()}, "name": subject.name()})
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": "urn:loom:receipt:v1",
            "predicate": predicate,
            "subject": subjects,
        }

    def judged(self):
        """RECEIPT-9."""
        sets = []
        for text in self.rules:
            try:
                sets.append(RuleSet(text))
            except Refused as refused:
                raise Refused("RECEIPT-9", f"rules that do not load: {refused.why}") from None
        if len({one.name for one in sets}) != len(sets):
            raise Refused("RECEIPT-9", "a rule set twice")
        out = []
        for one, text in zip(sets, self.rules):
            facts = one.start()
            first = {rule.name: ("holds", None) for rule in one.rules}
            for event in self.others:
                fields = Fields(event)
                if not never_judged(event):
                    for rule in one.by_kind.get(event.kind.name, ()):
                        given = rule.test(fields, facts)
                        if (given is False or given is ERROR) and first[rule.name][0] != "violated":
                            first[rule.name] = ("violated", event.sequence)
                        elif given is UNKNOWN and first[rule.name][0] == "holds":
                            first[rule.name] = ("unknowable", event.sequence)
                one.fold(fields, facts)
            digest = blob_digest(b"\0" + text.encode()).hex()
            for rule in one.rules:
                result, where = first[rule.name]
                row = {"result": result, "rule": f"{one.name}/{rule.name}", "rules": digest}
                if where is not None:
                    row["sequence"] = where
                out.append(row)
        return out

    def levels(self, witnessed, persons):
        """LEVEL-1."""
        if not (self.pinned and witnessed):
            return 2
        outcome = {"spawn.requested": ("spawn.finished", "spawn"), "check.requested": ("check.finished", "request"), "merge.intended": ("merge.finished", "merge")}
        done = set()
        for event in self.others:
            for name, field in outcome.values():
                if event.kind.name == name:
                    if "fence" in event.kind.by_name and event.get("fence") == "none":
                        return 3
                    done.add((name, event.get(field)))
        for event in self.others:
            if event.kind.name in outcome and (outcome[event.kind.name][0], event.sequence) not in done:
                return 3
        if not done or self.about == "run" and not any(event.kind.name == "run.closed" for event in self.others):
            return 3
        by = {event.sequence: event for event in self.others}
        accepted = 0
        for event in self.others:
            if event.kind.name == "merge.intended":
                approval = by.get(event.get("decision"))
                if approval is None or approval.kind.name != "gate.decided" or approval.get("outcome") != "accepted":
                    return 4
                if any(approval.get(name) != event.get(name) for name in ("artifact", "tree")):
                    return 4
            if event.kind.name != "gate.decided":
                continue
            is_accepted = event.get("outcome") == "accepted"
            accepted += is_accepted
            if event.get("by") == "person":
                if not self.is_bound(event, by) or by[event.input].get("signer") not in persons:
                    return 4
            elif is_accepted:
                return 4
        return 5 if accepted else 4

    def is_bound(self, decided, by):
        """Whether the answer that a decision follows from is to its gate, with its outcome, over its artifact."""
        answer, opened = by.get(decided.input), by.get(decided.get("gate"))
        return (
            answer is not None
            and answer.kind.name == "gate.answered"
            and opened is not None
            and opened.kind.name == "gate.opened"
            and answer.get("gate") == opened.sequence
            and OUTCOMES.get(answer.get("answer")) == decided.get("outcome")
            and answer.get("artifact") == decided.get("artifact") == opened.get("artifact")
        )


# -------------------------------------------------------------------------------------------------------------- rules


class Mark:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


UNKNOWN, ERROR = Mark("unknown"), Mark("error")
ENTRIES_MAX = 4096
ENVELOPE = {"sequence": "int", "stamp_ms": "int", "actor": "string", "actor_class": "string", "kind": "string"}
CLASSES = ["kernel", "host", "person", "spawn"]


def flawed(why):
    return Refused("RULE-5", why)


def never_judged(event):
    """COMMIT-5 in the words of RECEIPT-9."""
    name = event.kind.name
    if name in ("gate.opened", "gate.withdrawn"):
        return True
    if name == "run.closed":
        return event.get("verdict") != "accepted"
    if name == "gate.decided":
        by = event.get("by")
        return by == "deadline" or (by == "person" and event.get("outcome") in ("rejected", "abandoned"))
    return False


class Fields(dict):
    """What `event.NAME` reads. An envelope's name hides a field."""

    def __init__(self, event):
        self.event = event
        kind, body = event.kind, event.body
        for field in kind.fields:
            value = body.get(field.key)
            if value is not None:
                self[field.name] = value
            elif field.many:
                self[field.name] = []
        actor = event.actor
        self["sequence"], self["stamp_ms"], self["kind"] = event.sequence, event.stamp[0], kind.name
        self["actor"] = actor[1] if actor[0] == 2 else ""
        self["actor_class"] = "spawn" if len(actor) == 4 else CLASSES[actor[0]]


TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*)
      | (?P<text>(?P<prefix>[rR]?[bB]?|[bB][rR])(?:\"\"\"(?P<a>(?:[^\\]|\\.)*?)\"\"\"|'''(?P<b>(?:[^\\]|\\.)*?)'''
            |"(?P<c>(?:[^\\"\n]|\\[^\n])*)"|'(?P<d>(?:[^\\'\n]|\\[^\n])*)'))
      | (?P<int>0[xX][0-9a-fA-F]+|[0-9]+)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]])""",
    re.VERBOSE | re.DOTALL,
)
RAW = re.compile(r"""(?P<prefix>[rR][bB]?|[bB][rR])(?:\"\"\"(?P<a>.*?)\"\"\"|'''(?P<b>.*?)'''|"(?P<c>[^"\n]*)"|'(?P<d>[^'\n]*)')""", re.DOTALL)
SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "?": 63, '"': 34, "'": 39, "`": 96}


def unescape(text, is_bytes):
    out, at = bytearray(), 0
    while at < len(text):
        c = text[at]
        if c != "\\":
            out += c.encode("utf-8", "surrogatepass")
            at += 1
            continue
        at += 1
        c = text[at] if at < len(text) else ""
        if c in SIMPLE and c:
            out.append(SIMPLE[c])
            at += 1
            continue
        if c in ("x", "X"):
            digits, base, at = text[at + 1 : at + 3], 16, at + 3
            size = 2
        elif c == "u" and not is_bytes:
            digits, base, size, at = text[at + 1 : at + 5], 16, 4, at + 5
        elif c == "U" and not is_bytes:
            digits, base, size, at = text[at + 1 : at + 9], 16, 8, at + 9
        elif c in "0123" and c:
            digits, base, size, at = text[at : at + 3], 8, 3, at + 3
        else:
            raise flawed("an escape that there is not")
        if len(digits) != size or not re.fullmatch(r"[0-9a-fA-F]+" if base == 16 else r"[0-7]+", digits):
            raise flawed("an escape that there is not")
        number = int(digits, base)
        if is_bytes:
            if number > 255:
                raise flawed("an escape beyond a byte")
            out.append(number)
        else:
            if number > 0x10FFFF or 0xD800 <= number < 0xE000:
                raise flawed("an escape that is no character")
            out += chr(number).encode()
    return bytes(out)


def tokens_of(text):
    out, at, fresh = [], 0, True
    while at < len(text):
        match = RAW.match(text, at) or TOKEN.match(text, at)
        if not match or match.end() == at:
            raise flawed(f"a character that has no meaning: {text[at]!r}")
        groups = match.groupdict()
        column = at - (text.rfind("\n", 0, at) + 1)
        if "prefix" in groups and groups["prefix"] is not None:
            prefix = groups["prefix"].lower()
            inner = next(groups[name] for name in "abcd" if groups[name] is not None)
            raw = inner.encode("utf-8", "surrogatepass") if "r" in prefix else unescape(inner, "b" in prefix)
            out.append(("bytes", raw, column, at) if "b" in prefix else ("string", raw.decode("utf-8"), column, at))
        elif groups["int"]:
            digits = groups["int"]
            hexadecimal = digits[:2] in ("0x", "0X")
            digits = (digits[2:] if hexadecimal else digits).lstrip("0") or "0"
            if len(digits) > 100:
                raise flawed("a number beyond 64 bits")
            out.append(("int", int(digits, 16 if hexadecimal else 10), column, at))
        elif groups["word"]:
            out.append(("word", groups["word"], column, at))
        elif groups["sign"]:
            out.append(("sign", groups["sign"], column, at))
        at = match.end()
    out.append(("end", None, 0, at))
    return out


RESERVED = {"true", "false", "in"}
RELATIONS = ("==", "!=", "<", "<=", ">", ">=", "in")
MACROS = ("all", "exists", "exists_one")
METHODS = ("startsWith", "endsWith", "contains")


class Node(tuple):
    """An expression: its sort, then its parts. It is one higher than the highest of its parts (RULE-7)."""

    def __new__(cls, *parts):
        below, open_ = 0, [parts]
        while open_:
            for part in open_.pop():
                if isinstance(part, Node):
                    below = max(below, part.height)
                elif isinstance(part, (list, tuple)):
                    open_.append(part)
        if below >= 64:
            raise Refused("RULE-7", "nested deeper than 64")
        made = super().__new__(cls, parts)
        made.height = below + 1
        return made


class Parser:
    """The grammar of rules.md."""

    def __init__(self, text):
        self.source, self.tokens, self.at, self.depth = text, tokens_of(text), 0, 0

    def peek(self, ahead=0):
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def is_(self, *values):
        kind, value, _, _ = self.peek()
        return kind in ("word", "sign") and value in values

    def next(self):
        token = self.peek()
        self.at += 1
        return token

    def take(self, value):
        if not self.is_(value):
            raise flawed(f"{value!r} expected, {self.peek()[1]!r} found")
        return self.next()

    def got(self, value):
        if self.is_(value):
            self.next()
            return True
        return False

    def word(self):
        kind, value, _, _ = self.next()
        if kind != "word":
            raise flawed(f"a name expected, {value!r} found")
        return value

    def text(self):
        kind, value, _, _ = self.next()
        if kind != "string":
            raise flawed("a text expected")
        return value

    def dashed(self):
        name, (_, value, _, start) = "", self.peek()
        name = self.word()
        end = start + len(value)
        while self.is_("-") and self.peek()[3] == end and self.peek(1)[3] == end + 1 and self.peek(1)[0] in ("word", "int"):
            self.next()
            start = self.next()[3]
            end = re.compile(r"[A-Za-z0-9_]+").match(self.source, start).end()
            name += "-" + self.source[start:end]
        return name

    def kinds(self):
        out = []
        while True:
            name = self.word()
            while self.got("."):
                name += "." + self.word()
            if name not in NAMES:
                raise flawed(f"there is no kind {name}")
            if name in out:
                raise flawed(f"{name} twice")
            out.append(name)
            if not self.got(","):
                return out

    # Expressions.

    def expr(self):
        self.depth += 1
        if self.depth > 64:
            raise Refused("RULE-7", "nested deeper than 64")
        condition = self.chain("||", self.conjunction)
        if self.got("?"):
            then = self.chain("||", self.conjunction)
            self.take(":")
            condition = Node("if", condition, then, self.expr())
        self.depth -= 1
        return condition

    def conjunction(self):
        return self.chain("&&", self.relation)

    def chain(self, sign, inner):
        parts = [inner()]
        while self.got(sign):
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Node(sign, *parts)

    def left(self, signs, inner):
        value = inner()
        while self.is_(*signs):
            sign = self.next()[1]
            value = Node("binary", sign, value, inner())
        return value

    def relation(self):
        return self.left(RELATIONS, self.sum)

    def sum(self):
        return self.left(("+", "-"), self.product)

    def product(self):
        return self.left(("*", "/", "%"), self.unary)

    def unary(self):
        signs = []
        while self.is_("!", "-"):
            if self.is_("-") and self.peek(1)[0] == "int":
                break
            signs.append(self.next()[1])
        value = self.member()
        for sign in reversed(signs):
            if sign == "-" and value[:2] == ("literal", "int"):
                if value[2] == INT_MIN:
                    raise flawed("the negation of the smallest integer")
                value = Node("literal", "int", -value[2])
            else:
                value = Node("unary", sign, value)
        return value

    def arguments(self, close):
        out = []
        while not self.is_(close):
            out.append(self.expr())
            if not self.got(","):
                break
            if close == ")" and self.is_(close):
                raise flawed("a comma too many")
        self.take(close)
        return out

    def member(self):
        value = self.primary()
        while True:
            if self.got("."):
                name = self.word()
                if self.got("("):
                    value = Node("call", name, (value, *self.arguments(")")), True)
                else:
                    value = Node("field", value, name)
            elif self.got("["):
                inner = self.expr()
                self.take("]")
                value = Node("index", value, inner)
            else:
                return value

    def primary(self):
        kind, value, _, _ = self.peek()
        if self.got("-"):
            number = self.next()[1]
            if -number < INT_MIN:
                raise flawed("a number beyond 64 bits")
            return Node("literal", "int", -number)
        if kind == "int":
            self.next()
            if value > INT_MAX:
                raise flawed("a number beyond 64 bits")
            return Node("literal", "int", value)
        if kind in ("string", "bytes"):
            self.next()
            return Node("literal", kind, value)
        if self.got("true"):
            return Node("literal", "bool", True)
        if self.got("false"):
            return Node("literal", "bool", False)
        if self.got("("):
            value = self.expr()
            self.take(")")
            return value
        if self.got("["):
            return Node("list", *self.arguments("]"))
        name = self.word()
        if name in RESERVED:
            raise flawed(f"{name} is no value")
        if self.got("("):
            return Node("call", name, tuple(self.arguments(")")), False)
        return Node("name", name)


def is_list(kind):
    return isinstance(kind, tuple) and kind[0] == "list"


class Check:
    """Types of an expression for one kind (RULE-5, RULE-6)."""

    def __init__(self, facts, kind, others=()):
        self.facts, self.kind = facts, NAMES.get(kind) if kind else None
        self.elsewhere = {name for other in others for name in NAMES[other].by_name}
        self.kinds = sorted(others) or [kind]
        # The vocabulary of each variable of a macro, where it has one.
        self.bound = {}

    def event_type(self, name):
        """Type, whether it may be absent; None where this kind lacks the field."""
        if self.kind is None:
            raise flawed("a condition reads facts alone")
        if name in ENVELOPE:
            return ENVELOPE[name], False
        field = self.kind.by_name.get(name)
        if field is None:
            return None
        return (("list", field.type) if field.many else field.type), field.optional and not field.many

    def words(self, node):
        """The closed vocabulary of a value or of a collection's items (of a keyed fact, its keys), where it has one."""
        sort = node[0]
        if sort == "literal":
            return [node[2]] if node[1] == "string" else None
        if sort == "list":
            return self.either(node[1:])
        if sort == "if":
            value = self.fixed(node[1])
            return self.either(node[2:]) if value is None else self.words(node[2] if value else node[3])
        if sort == "name":
            return self.bound.get(node[1])
        if sort == "field" and node[1] == ("name", "event"):
            if node[2] == "actor_class":
                return CLASSES
            if node[2] == "kind":
                return self.kinds
            field = self.kind.by_name.get(node[2]) if self.kind else None
            return field.words if field and node[2] not in ENVELOPE else None
        if sort in ("field", "index"):
            inner = node[1] if sort == "index" else node
            if inner[0] == "field" and inner[1] == ("name", "facts") and inner[2] in self.facts:
                fact = self.facts[inner[2]]
                return fact.key_words if sort == "field" and fact.key is not None else fact.words
        return None

    def either(self, nodes):
        """Of values that are one or the other; a list without items has no say."""
        words = [self.words(one) for one in nodes if one != ("list",)]
        return sorted({word for one in words for word in one}) if words and None not in words else None

    def fixed(self, node):
        """True or false where that is certain from the kind alone."""
        sort = node[0]
        if sort == "literal" and node[1] == "bool":
            return node[2]
        if sort == "call" and node[1] == "has" and len(node[2]) == 1:
            inner = node[2][0]
            if inner[0] == "field" and inner[1] == ("name", "event") and self.kind is not None:
                found = self.event_type(inner[2])
                if found is None:
                    return False if inner[2] in self.elsewhere else None
                return None if found[1] else True
        elif sort == "if":
            value = self.fixed(node[1])
            return None if value is None else self.fixed(node[2] if value else node[3])
        elif sort == "unary" and node[1] == "!":
            value = self.fixed(node[2])
            return None if value is None else not value
        elif sort in ("&&", "||"):
            absorbing = sort == "||"
            values = [self.fixed(one) for one in node[1:]]
            if absorbing in values:
                return absorbing
            if all(one is not None for one in values):
                return not absorbing
        return None

    def living(self, node):
        """The expression without what is dead code for this kind (RULE-5)."""
        value, sort = self.fixed(node), node[0]
        if value is not None:
            return Node("literal", "bool", value)
        if sort in ("&&", "||"):
            parts = [self.living(one) for one in node[1:] if self.fixed(one) is None]
            return parts[0] if len(parts) == 1 else Node(sort, *parts)
        if sort == "if" and self.fixed(node[1]) is not None:
            return self.living(node[2] if self.fixed(node[1]) else node[3])
        if sort == "call":
            return Node(sort, node[1], tuple(self.living(one) for one in node[2]), node[3])
        return Node(*(self.living(one) if isinstance(one, Node) else one for one in node))

    def proves(self, node, truth):
        """What is present where `node` gives `truth`."""
        sort = node[0]
        if sort == "call" and node[1] == "has" and truth and len(node[2]) == 1:
            return {node[2][0]}
        if sort == "binary" and node[1] == "in" and truth:
            return {("index", node[3], node[2])}
        if sort == "unary" and node[1] == "!":
            return self.proves(node[2], not truth)
        if (sort, truth) in (("&&", True), ("||", False)):
            return set().union(*(self.proves(one, truth) for one in node[1:]))
        if (sort, truth) in (("&&", False), ("||", True)):
            sets = [self.proves(one, truth) for one in node[1:]]
            return set.intersection(*sets)
        return set()

    def of(self, node, seen=frozenset(), names=None):
        names = names or {}
        sort = node[0]
        if sort == "literal":
            return node[1]
        if sort == "name":
            if node[1] in names:
                return names[node[1]]
            raise flawed(f"{node[1]} is not a variable here")
        if sort == "list":
            kinds = {self.of(one, seen, names) for one in node[1:]}
            if any(one[0] != "literal" for one in node[1:]):
                raise flawed("a list holds literals")
            if len(kinds) > 1:
                raise flawed("values of one type")
            return "list", kinds.pop() if kinds else None
        if sort == "field":
            return self.field(node, seen, names)
        if sort == "index":
            holder = self.of(node[1], seen, names)
            if not (isinstance(holder, tuple) and holder[0] == "keyed"):
                raise flawed("only a keyed fact has keys")
            self.expect(self.of(node[2], seen, names), holder[1])
            self.vocabulary(node[2], node[1])
            if holder[3] == "last" and node not in seen:
                raise flawed("what may be absent is read behind a guard")
            return holder[2]
        if sort in ("&&", "||"):
            absorbing = sort == "||"
            for one in node[1:]:
                self.expect(self.of(one, seen, names), "bool")
                if self.fixed(one) is absorbing:
                    break
                seen = seen | self.proves(one, not absorbing)
            return "bool"
        if sort == "if":
            self.expect(self.of(node[1], seen, names), "bool")
            known = self.fixed(node[1])
            then = other = None
            if known is not False:
                then = self.of(node[2], seen | self.proves(node[1], True), names)
            if known is not True:
                other = self.of(node[3], seen | self.proves(node[1], False), names)
            if then is not None and other is not None:
                self.expect(then, other)
                if isinstance(then, tuple) and not is_list(then):
                    raise flawed("sets and keyed facts are not chosen among")
            # `[]` has no type of its own: it takes the other branch's.
            return other if other is not None and then in (None, ("list", None)) else then
        if sort == "unary":
            wanted = "bool" if node[1] == "!" else "int"
            self.expect(self.of(node[2], seen, names), wanted)
            return wanted
        if sort == "binary":
            return self.binary(node, seen, names)
        return self.call(node, seen, names)

    def expect(self, found, wanted):
        if is_list(found) and is_list(wanted) and None in (found[1], wanted[1]):
            return
        if found != wanted:
            raise flawed(f"{wanted} expected, {found} found")

    def field(self, node, seen, names):
        holder, name = node[1], node[2]
        if holder == ("name", "event") and "event" not in names:
            found = self.event_type(name)
            if found is None:
                raise flawed(f"{self.kind.name} has no field {name}")
            if found[1] and node not in seen:
                raise flawed(f"event.{name} may be absent and is read behind a guard")
            return found[0]
        if holder == ("name", "facts") and "facts" not in names:
            fact = self.facts.get(name)
            if fact is None:
                raise flawed(f"there is no fact {name}")
            if fact.sort == "last" and fact.key is None and not fact.many and node not in seen:
                raise flawed(f"facts.{name} may be absent and is read behind a guard")
            return fact.read_type
        raise flawed("only event and facts have fields")

    def vocabulary(self, literal, value):
        """RULE-6: a literal that stands beside a value of a closed vocabulary is a word of it."""
        words = self.words(value)
        if words is not None and literal[:2] == ("literal", "string") and literal[2] not in words:
            raise Refused("RULE-6", f"{literal[2]!r} is not a word of its vocabulary")

    def binary(self, node, seen, names):
        _, sign, left, right = node
        a, b = self.of(left, seen, names), self.of(right, seen, names)
        if sign == "in":
            if not isinstance(b, tuple):
                raise flawed("`in` asks a list, set or keyed fact")
            if b[1] is not None:
                self.expect(a, b[1])
            if right[0] != "list":
                self.vocabulary(left, right)
            elif left[:2] != ("literal", "string"):
                for literal in right[1:]:
                    self.vocabulary(literal, left)
            return "bool"
        if sign in ("==", "!="):
            if isinstance(a, tuple) and not is_list(a):
                raise flawed("sets are not compared")
            self.expect(a, b)
            for literal, value in ((left, right), (right, left)):
                if not isinstance(a, tuple) and value[:2] != ("literal", "string"):
                    self.vocabulary(literal, value)
            return "bool"
        if sign in ("<", "<=", ">", ">="):
            if isinstance(a, tuple) or isinstance(b, tuple):
                raise flawed("expected one value")
            self.expect(a, b)
            return "bool"
        self.expect(a, "int")
        self.expect(b, "int")
        return "int"

    def call(self, node, seen, names):
        _, name, given, method = node
        if name == "has" and not method and len(given) == 1:
            inner = given[0]
            if inner[0] == "field" and inner[1] == ("name", "event"):
                if self.event_type(inner[2]) is None and inner[2] not in self.elsewhere:
                    raise flawed(f"no kind of this rule has a field {inner[2]}")
            elif inner[0] in ("field", "index"):
                kind = self.of(inner, seen | {inner}, names)
                is_never_absent = kind[0] in ("set", "keyed") if isinstance(kind, tuple) else False
                if inner[0] == "field" and inner[1] == ("name", "facts") and inner[2] in self.facts:
                    is_never_absent = is_never_absent or self.facts[inner[2]].sort in ("counter", "sum", "flag")
                if is_never_absent:
                    raise flawed("`has` asks for what may be absent")
            else:
                raise flawed("`has` asks for a field, a fact or a key")
            return "bool"
        if name == "size" and len(given) == 1:
            kind = self.of(given[0], seen, names)
            if kind not in ("string", "bytes") and not isinstance(kind, tuple):
                raise flawed("only text, bytes and collections have a size")
            return "int"
        if name in METHODS and method and len(given) == 2:
            for one in given:
                self.expect(self.of(one, seen, names), "string")
            return "bool"
        if name in MACROS and method and len(given) == 3:
            holder = self.of(given[0], seen, names)
            if given[1][0] != "name" or given[1][1] in names or given[1][1] in ("event", "facts"):
                raise flawed("a macro needs a new variable")
            if not isinstance(holder, tuple) or holder[1] is None:
                raise flawed("a macro goes through a list, set or keyed fact with something in it")
            if holder[0] == "keyed":
                seen = seen | {("index", given[0], given[1])}
            self.bound[given[1][1]] = self.words(given[0])
            self.expect(self.of(given[2], seen, {**names, given[1][1]: holder[1]}), "bool")
            return "bool"
        if name == "glob" and not method and len(given) == 2:
            if self.of(given[0], seen, names) not in ("string", "bytes") or given[1][0] != "literal" or given[1][1] not in ("string", "bytes"):
                raise flawed("`glob` takes a path and a literal pattern")
            glob(given[1][2])
            return "bool"
        raise flawed(f"there is no function {name} for this")


COST_MAX, SEARCH = 10_000_000, 13


class Part:
    """What an expression costs, what it gives, and the most bytes and items of that."""

    def __init__(self, cost, type, most=8, items=0):
        self.cost, self.type, self.most, self.items = cost, type, most, items


class Cost:
    """RULE-11: what an expression that was checked may cost on one kind, by the table in rules.md."""

    def __init__(self, check):
        self.check = check

    def of(self, node, names=None):
        names = names or {}
        value = self.check.fixed(node)
        if value is not None and node[0] in ("literal", "call", "&&", "||"):
            return Part(1, "bool")
        sort = node[0]
        if sort == "literal":
            value = node[2].encode() if node[1] == "string" else node[2]
            return Part(1, node[1], len(value) if node[1] in ("string", "bytes") else 8)
        if sort == "name":
            return names[node[1]]
        if sort == "list":
            parts = [self.of(one, names) for one in node[1:]]
            type = parts[0].type if parts else None
            return Part(1, ("list", type), max((one.most for one in parts), default=0), len(parts))
        if sort == "field":
            return self.field(node)
        if sort == "index":
            fact, key = self.check.facts[node[1][2]], self.of(node[2], names)
            return Part(key.cost + self.search(key), fact.read_type[2], fact.most)
        if sort in ("&&", "||"):
            return Part(1 + sum(self.of(one, names).cost for one in node[1:]), "bool")
        if sort == "if":
            value = self.check.fixed(node[1])
            if value is not None:
                return self.of(node[2] if value else node[3], names)
            test, yes, no = (self.of(one, names) for one in node[1:])
            type = no.type if is_list(yes.type) and yes.type[1] is None else yes.type
            return Part(test.cost + max(yes.cost, no.cost) + 1, type, max(yes.most, no.most), max(yes.items, no.items))
        if sort == "unary":
            return Part(self.of(node[2], names).cost + 1, "bool" if node[1] == "!" else "int")
        if sort == "binary":
            return self.binary(node[1], self.of(node[2], names), self.of(node[3], names))
        return self.call(node, names)

    def search(self, key):
        return SEARCH * (1 + key.most // 32)

    def read(self, type, most):
        return 1 + most // 32 if type == "string" else 1

    def field(self, node):
        name = node[2]
        if node[1] == ("name", "facts"):
            fact = self.check.facts[name]
            if isinstance(fact.read_type, tuple):
                return Part(1, fact.read_type[:2], fact.most if fact.key is None else fact.key_most, ENTRIES_MAX)
            return Part(1, fact.read_type, fact.most)
        if name in ENVELOPE:
            most = {"actor": 4096, "actor_class": 8, "kind": 40}.get(name, 8)
            return Part(10 if name == "actor" else 2, ENVELOPE[name], most)
        field = self.check.kind.by_name[name]
        most = field.most if field.type in ("string", "bytes") else 8
        if field.many:
            return Part(1, ("list", field.type), most, field.items)
        return Part(self.read(field.type, most), field.type, most)

    def binary(self, sign, a, b):
        cost = a.cost + b.cost
        if sign == "in":
            return Part(cost + (b.items * (2 + a.most // 32) if is_list(b.type) else self.search(a)), "bool")
        if isinstance(a.type, tuple):
            return Part(cost + 1 + min(a.items, b.items) * (4 + max(a.most, b.most) // 16), "bool")
        if sign in RELATIONS:
            return Part(cost + 1 + min(a.most, b.most) // 32, "bool")
        return Part(cost + 1, "int")

    def call(self, node, names):
        _, name, given, _ = node
        if name == "has":
            if given[0][0] != "index":
                return Part(1, "bool")
            key = self.of(given[0][2], names)
            return Part(key.cost + self.search(key), "bool")
        if name == "size":
            one = self.of(given[0], names)
            return Part(one.cost + 1 + (one.most // 16 if one.type == "string" else 0), "int")
        if name == "glob":
            pattern = given[1][2].encode() if isinstance(given[1][2], str) else given[1][2]
            path = self.of(given[0], names)
            return Part(path.cost + (1 + path.most // 4) * len(alternatives(pattern)), "bool")
        if name in METHODS:
            text, part = (self.of(one, names) for one in given)
            more = (text.most + part.most) // 4 if name == "contains" else part.most // 32
            return Part(text.cost + part.cost + 1 + more, "bool")
        through = self.of(given[0], names)
        each = self.of(given[2], {**names, given[1][1]: Part(1, through.type[1], through.most)})
        return Part(through.cost + through.items * (each.cost + 1 + self.read(through.type[1], through.most)), "bool")


def bounded(cost, what, kind):
    if cost > COST_MAX:
        raise Refused("RULE-11", f"{what} may cost {cost} on {kind}; at most {COST_MAX} is allowed")


def alternatives(pattern):
    """`{a,b}` written out; `\\` keeps the next byte."""
    at, depth, start, cuts = 0, 0, None, []
    while at < len(pattern):
        c = pattern[at : at + 1]
        if c == b"\\":
            at += 2
            continue
        if c == b"{":
            if depth == 0:
                start, cuts = at, [at]
            depth += 1
        elif c == b"," and depth == 1:
            cuts.append(at)
        elif c == b"}":
            if depth == 0:
                raise flawed("a brace that nothing opens")
            depth -= 1
            if depth == 0:
                cuts.append(at)
                out = []
                for low, high in zip(cuts, cuts[1:]):
                    out += alternatives(pattern[:start] + pattern[low + 1 : high] + pattern[at + 1 :])
                    if len(out) > 32:
                        raise flawed("more than 32 alternatives")
                return out
        at += 1
    if depth:
        raise flawed("a brace that nothing closes")
    return [pattern]


# `**/`: whole segments with something in them.
SEGMENTS = rb"(?:[^/]+/)*"


def glob(pattern):
    """A compiled pattern."""
    raw = pattern.encode() if isinstance(pattern, str) else pattern
    rows = []
    for one in alternatives(raw):
        out, at, parts = b"", 0, 0
        while at < len(one):
            c = one[at : at + 1]
            parts += 1
            if c == b"*":
                stars = len(one) - at - len(one[at:].lstrip(b"*"))
                begins = at == 0 or one[at - 1 : at] == b"/"
                at += stars
                if stars > 1 and begins and one[at : at + 1] == b"/":
                    at += 1
                    if not out.endswith(SEGMENTS):
                        out, parts = out + SEGMENTS, parts + 1
                    else:
                        parts -= 1
                else:
                    out += b".*" if stars > 1 else b"[^/]*"
            elif c == b"?":
                out, at = out + b"[^/]", at + 1
            elif c in (b"[", b"]"):
                raise flawed("a bracket in a pattern")
            elif c == b"\\":
                if at + 1 >= len(one):
                    raise flawed("a pattern that ends in `\\`")
                out, at = out + re.escape(one[at + 1 : at + 2]), at + 2
            else:
                out, at = out + re.escape(c), at + 1
        if parts > 126:
            raise flawed("a pattern of more than 126 parts")
        rows.append(b"(?:" + out + b")")
    return re.compile(b"|".join(rows), re.DOTALL)


def worse(values):
    """RULE-9: unknown goes before error."""
    if any(one is UNKNOWN for one in values):
        return UNKNOWN
    return ERROR if any(one is ERROR for one in values) else None


def ordered(value):
    return value.encode() if isinstance(value, str) else value


def integer(value):
    return value if INT_MIN <= value <= INT_MAX else ERROR


def divide(a, b, rest):
    if b == 0:
        return ERROR
    quotient = abs(a) // abs(b)
    if (a < 0) != (b < 0):
        quotient = -quotient
    return integer(quotient if not rest else a - b * quotient) if integer(quotient) is not ERROR else ERROR


BINARY = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: ordered(a) < ordered(b),
    "<=": lambda a, b: ordered(a) <= ordered(b),
    ">": lambda a, b: ordered(a) > ordered(b),
    ">=": lambda a, b: ordered(a) >= ordered(b),
    "in": lambda a, b: a in b,
    "+": lambda a, b: integer(a + b),
    "-": lambda a, b: integer(a - b),
    "*": lambda a, b: integer(a * b),
    "/": lambda a, b: divide(a, b, False),
    "%": lambda a, b: divide(a, b, True),
}


def compiled(node, facts):
    """An expression as a function of event fields, values of facts, and variables."""
    sort = node[0]
    if sort == "literal":
        value = node[2]
        return lambda e, f, v: value
    if sort == "name":
        name = node[1]
        return lambda e, f, v: v[name]
    if sort == "list":
        values = [one[2] for one in node[1:]]
        return lambda e, f, v: values
    if sort == "field":
        name = node[2]
        if node[1][1] == "event":

            def read(e, f, v):
                value = e.get(name, ERROR)
                return ERROR if type(value) is int and value > INT_MAX else value

            def read_list(e, f, v):
                value = read(e, f, v)
                if type(value) is list and value and type(value[0]) is int and max(value) > INT_MAX:
                    return ERROR
                return value

            return read_list
        index = facts[name].index
        absent = [] if facts[name].many else ERROR

        def read_fact(e, f, v):
            value = f[index]
            return absent if value is None else value

        return read_fact
    if sort == "index":
        holder, key = compiled(node[1], facts), compiled(node[2], facts)
        default = ERROR if facts[node[1][2]].sort == "last" else 0

        def read_key(e, f, v):
            a, b = holder(e, f, v), key(e, f, v)
            bad = worse((a, b))
            return a.get(b, default) if bad is None else bad

        return read_key
    if sort in ("&&", "||"):
        parts, absorbing = [compiled(one, facts) for one in node[1:]], sort == "||"

        def logic(e, f, v):
            out = not absorbing
            for part in parts:
                value = part(e, f, v)
                if value is absorbing:
                    return absorbing
                if value is UNKNOWN or (value is ERROR and out is not UNKNOWN):
                    out = value
            return out

        return logic
    if sort == "if":
        test, then, other = (compiled(one, facts) for one in node[1:])

        def choose(e, f, v):
            value = test(e, f, v)
            if value is True:
                return then(e, f, v)
            return other(e, f, v) if value is False else value

        return choose
    if sort == "unary":
        inner, negate = compiled(node[2], facts), node[1] == "!"

        def unary(e, f, v):
            value = inner(e, f, v)
            if value is UNKNOWN or value is ERROR:
                return value
            return (not value) if negate else integer(-value)

        return unary
    if sort == "binary":
        left, right, operate = compiled(node[2], facts), compiled(node[3], facts), BINARY[node[1]]

        def binary(e, f, v):
            a, b = left(e, f, v), right(e, f, v)
            if isinstance(a, Mark) or isinstance(b, Mark):
                return worse((a, b))
            return operate(a, b)

        return binary
    _, name, given, _ = node
    if name == "has":
        return compiled_has(given[0], facts)
    if name == "size":
        inner = compiled(given[0], facts)

        def size(e, f, v):
            value = inner(e, f, v)
            return value if isinstance(value, Mark) else len(value)

        return size
    if name == "glob":
        inner, pattern = compiled(given[0], facts), glob(given[1][2])

        def match(e, f, v):
            value = inner(e, f, v)
            if isinstance(value, Mark):
                return value
            return pattern.fullmatch(value.encode() if isinstance(value, str) else value) is not None

        return match
    if name in METHODS:
        left, right = compiled(given[0], facts), compiled(given[1], facts)
        operate = {"startsWith": str.startswith, "endsWith": str.endswith, "contains": str.__contains__}[name]

        def method(e, f, v):
            a, b = left(e, f, v), right(e, f, v)
            bad = worse((a, b))
            return operate(a, b) if bad is None else bad

        return method
    return compiled_macro(node, facts)


def compiled_has(inner, facts):
    if inner[0] == "index":
        holder, key = compiled(inner[1], facts), compiled(inner[2], facts)

        def has_key(e, f, v):
            a, b = holder(e, f, v), key(e, f, v)
            bad = worse((a, b))
            return b in a if bad is None else bad

        return has_key
    name = inner[2]
    if inner[1] == ("name", "event"):
        return lambda e, f, v: name in e
    index = facts[name].index
    always = facts[name].sort != "last"

    def has_fact(e, f, v):
        value = f[index]
        return value if value is UNKNOWN else always or value is not None

    return has_fact


def compiled_macro(node, facts):
    _, name, (holder, variable, body), _ = node
    items, test, variable = compiled(holder, facts), compiled(body, facts), variable[1]

    def macro(e, f, v):
        values = items(e, f, v)
        if isinstance(values, Mark):
            return values
        if not isinstance(values, list):
            values = sorted(values, key=ordered)
        inner, given = dict(v), []
        for one in values:
            inner[variable] = one
            given.append(test(e, f, inner))
        if name == "all" and False in given:
            return False
        if name == "exists" and True in given:
            return True
        bad = worse(given)
        if bad is not None:
            return bad
        return sum(given) == 1 if name == "exists_one" else name == "all"

    return macro


class Clause:
    def __init__(self, verb, kinds):
        # By kind: value, key and condition, where there are.
        self.verb, self.kinds, self.parts = verb, kinds, {}


class Fact:
    """A register: its declaration, and how clauses change its value. None is unset, UNKNOWN lasts until a reset."""

    def __init__(self, name, index, sort, type, many, key, clauses):
        self.name, self.index, self.sort, self.type, self.many, self.key = name, index, sort, type, many, key
        # The closed vocabularies of its values, or items, and of its keys.
        self.clauses, self.words, self.key_words = clauses, None, None
        # The most bytes of a value, or item, and of a key: of any, until clauses say.
        self.most = 4096 if type in ("string", "bytes") else 8
        self.key_most = 4096 if key in ("string", "bytes") else 8
        if key is not None:
            self.read_type = ("keyed", key, "int" if sort in ("counter", "sum") else type, sort)
        elif sort == "set":
            self.read_type = ("set", type)
        elif many:
            self.read_type = ("list", type)
        else:
            self.read_type = {"counter": "int", "sum": "int", "flag": "bool"}.get(sort, type)

    def unset(self):
        if self.key is not None:
            return {}
        return {"counter": 0, "sum": 0, "flag": False, "set": set(), "last": None}[self.sort]

    def apply(self, old, verb, value, key):
        """The new value, or UNKNOWN where it overflows."""
        if verb == "reset":
            return self.unset()
        if old is UNKNOWN:
            return old
        sign = 1 if verb == "add" else -1
        if self.sort == "flag":
            return verb == "add"
        if self.sort == "set":
            new = set(value) if isinstance(value, list) else {value}
            if sign > 0:
                old |= new
            else:
                old -= new
            return old if len(old) <= ENTRIES_MAX else UNKNOWN
        if self.sort == "last":
            if self.key is None:
                return value
            if sign > 0:
                old[key] = value
            else:
                old.pop(key, None)
            return old if len(old) <= ENTRIES_MAX else UNKNOWN
        step = sign * (1 if self.sort == "counter" else value)
        if self.key is None:
            total = integer(old + step)
            return UNKNOWN if total is ERROR else total
        total = integer(old.get(key, 0) + step)
        if total is ERROR:
            return UNKNOWN
        if total:
            old[key] = total
        else:
            old.pop(key, None)
        return old if len(old) <= ENTRIES_MAX else UNKNOWN


class Rule:
    def __init__(self, name, kinds, node, severity, message):
        self.name, self.kinds, self.node, self.severity, self.message = name, kinds, node, severity, message
        self.runs = {}

    def test(self, fields, facts):
        return self.runs[fields.event.kind.name](fields, facts, {})


SCALARS = ("int", "bool", "string", "bytes")


class RuleSet:
    """A rule set, loaded from its text alone (RULE-1)."""

    def __init__(self, text):
        if len(text.encode("utf-8", "surrogatepass")) > 1 << 20:
            raise Refused("RULE-7", "more than 1 MiB")
        self.text = text
        parser = self.parser = Parser(text)
        self.top("loom")
        parser.take("rules")
        if parser.next()[:2] != ("int", 1):
            raise flawed("another version of the language")
        self.top("set")
        self.name = parser.dashed()
        parser.text()
        self.facts, self.rules, self.by_kind, self.folds = {}, [], {}, {}
        while parser.peek()[0] != "end":
            if parser.is_("fact"):
                self.top("fact")
                self.fact()
            else:
                self.top("rule")
                self.rule()
        if not self.rules and not self.facts:
            raise flawed("a set with neither facts nor rules")
        for rule in self.rules:
            for kind in rule.kinds:
                self.by_kind.setdefault(kind, []).append(rule)

    def top(self, word):
        if self.parser.peek()[2] != 0:
            raise flawed(f"{word} begins a line")
        self.parser.take(word)

    def fact(self):
        parser = self.parser
        name = parser.word()
        if name in self.facts:
            raise flawed(f"the fact {name} twice")
        sort = parser.word()
        many, type, key = False, None, None
        if sort == "set":
            parser.take("of")
            type = parser.word()
        elif sort == "last":
            type = parser.word()
            if type == "list":
                parser.take("of")
                many, type = True, parser.word()
        elif sort not in ("counter", "sum", "flag"):
            raise flawed(f"there is no type {sort}")
        if type is not None and type not in SCALARS:
            raise flawed(f"there is no type {type}")
        if sort in ("counter", "sum", "last") and not many and parser.got("by"):
            key = parser.word()
            if key not in SCALARS:
                raise flawed(f"there is no type {key}")
        fact = Fact(name, len(self.facts), sort, type, many, key, [])
        words, key_words, values, keys = [], [], [], []
        while parser.is_("add", "remove", "reset"):
            if parser.peek()[2] == 0:
                raise flawed("a clause is indented")
            clause = self.clause(fact, parser.next()[1])
            fact.clauses.append(clause)
            if clause.verb == "add":
                values += clause.values
                keys += clause.keyed
                for kind in clause.kinds:
                    check = Check(self.facts, kind, clause.kinds)
                    if clause.node is not None and clause.node != ("list",):
                        words.append(check.words(clause.node))
                    if clause.key_node is not None:
                        key_words.append(check.words(clause.key_node))
        if all(clause.verb != "add" for clause in fact.clauses):
            raise flawed("a fact that nothing is added to")
        if sort in ("set", "last"):
            fact.most = max(values, default=fact.most)
        fact.key_most = max(keys, default=fact.key_most)
        if fact.type == "string" and words and None not in words:
            fact.words = sorted({word for one in words for word in one})
        if fact.key == "string" and key_words and None not in key_words:
            fact.key_words = sorted({word for one in key_words for word in one})
        self.facts[name] = fact
        for clause in fact.clauses:
            for kind in clause.kinds:
                self.folds.setdefault(kind, []).append((fact, clause))

    def clause(self, fact, verb):
        parser = self.parser
        kinds = parser.kinds()
        value = parser.expr() if parser.got(":") else None
        key = parser.expr() if parser.got("by") else None
        condition = parser.expr() if parser.got("if") else None
        needs_value = verb != "reset" and (fact.sort in ("sum", "set") or (fact.sort == "last" and verb == "add"))
        if (value is not None) != needs_value:
            raise flawed(f"{verb} of {fact.name} needs a value, or has one too many")
        if (key is not None) != (fact.key is not None and verb != "reset"):
            raise flawed(f"{verb} of {fact.name} needs a key, or has one too many")
        if fact.sort == "last" and verb == "remove" and fact.key is None:
            raise flawed("a last value is not removed, but reset")
        clause, values, keyed = Clause(verb, kinds), [], []
        for kind in kinds:
            check, seen = Check(self.facts, kind, kinds), frozenset()
            if condition is not None:
                check.expect(check.of(condition), "bool")
                seen = frozenset(check.proves(condition, True))
            if value is not None:
                found = check.of(value, seen)
                wanted = "int" if fact.sort == "sum" else ("list", fact.type) if fact.many else fact.type
                if isinstance(found, tuple) and (fact.many or fact.sort == "set"):
                    # Any collection; of a keyed fact its keys.
                    found, wanted = ("list", found[1]), ("list", fact.type)
                check.expect(found, wanted)
            if key is not None:
                check.expect(check.of(key, seen), fact.key)
            cost = Cost(check)
            parts = [cost.of(one) if one is not None else Part(0, None) for one in (condition, value, key)]
            bounded(1 + sum(one.cost + 2 * one.items for one in parts), f"a clause of the fact {fact.name}", kind)
            if value is not None and parts[1].type != ("list", None):
                values.append(parts[1].most)
            if key is not None:
                keyed.append(parts[2].most)
            clause.parts[kind] = [one and compiled(check.living(one), self.facts) for one in (value, key, condition)]
        clause.node, clause.key_node, clause.values, clause.keyed = value, key, values, keyed
        clause.nodes = [one for one in (value, key, condition) if one is not None]
        return clause

    def rule(self):
        parser = self.parser
        name = parser.dashed()
        if any(rule.name == name for rule in self.rules):
            raise flawed(f"the rule {name} twice")
        parser.take("on")
        kinds = parser.kinds()
        parser.take("require")
        node = parser.expr()
        given = {}
        while parser.is_("message", "severity", "origin") and parser.peek()[2] != 0:
            word = parser.next()[1]
            if word in given:
                raise flawed(f"{word} twice")
            given[word] = parser.word() if word == "severity" else parser.text()
        if "message" not in given or given.get("severity", "error") not in ("error", "warn"):
            raise flawed("a rule has a message, and is an error or warns")
        rule = Rule(name, kinds, node, given.get("severity", "error"), given["message"])
        for kind in kinds:
            check = Check(self.facts, kind, kinds)
            check.expect(check.of(node), "bool")
            bounded(Cost(check).of(node).cost, f"the rule {name}", kind)
            rule.runs[kind] = compiled(check.living(node), self.facts)
        self.rules.append(rule)

    def start(self):
        return [fact.unset() for fact in self.facts.values()]

    def fold(self, fields, facts):
        """RULE-4: every clause reads the facts as they were before the event."""
        changes = []
        for fact, clause in self.folds.get(fields.event.kind.name, ()):
            value, key, condition = clause.parts[fields.event.kind.name]
            given = True if condition is None else condition(fields, facts, {})
            if given is False:
                continue
            value = value(fields, facts, {}) if value else None
            key = key(fields, facts, {}) if key else None
            if isinstance(value, list):
                value = list(value)
            elif isinstance(value, (set, dict)):
                value = sorted(value, key=ordered)
            changes.append((fact, clause.verb, value, key, worse((given, value, key))))
        for fact, verb, value, key, bad in changes:
            index = fact.index
            facts[index] = UNKNOWN if bad is not None else fact.apply(facts[index], verb, value, key)


def copied(facts):
    return [one.copy() if isinstance(one, (set, dict)) else one for one in facts]


class Judge:
    """JUDGE-1 to JUDGE-4 over one run, event by event."""

    def __init__(self, sets):
        self.sets = sets
        self.facts = [one.start() for one in sets]
        self.turned = None
        self.judged = 0
        self.out = {}
        for one in sets:
            for rule in one.rules:
                self.out[f"{one.name}/{rule.name}"] = ["not-reached", None]

    def note(self, name, given, sequence):
        row = self.out[name]
        if row[0] == "not-reached":
            row[0] = "holds"
        if given is False or given is ERROR:
            if row[0] != "violated":
                row[:] = ["violated", sequence]
        elif given is UNKNOWN and row[0] == "holds":
            row[:] = ["unknowable", sequence]

    def test(self, event, fields, facts, sequence):
        """Whether a rule of severity error refuses, and whether any does not pass."""
        refuses = stops = False
        name = event.kind.name
        if never_judged(event):
            return False, False
        for one, values in zip(self.sets, facts):
            for rule in one.by_kind.get(name, ()):
                given = rule.test(fields, values)
                self.judged += 1
                if self.turned is None:
                    self.note(f"{one.name}/{rule.name}", given, sequence)
                if given is not True and rule.severity == "error":
                    stops = True
                    refuses |= given is not UNKNOWN
        return refuses, stops

    def push(self, event):
        fields = Fields(event)
        name = event.kind.name
        # What `refused` says is of the decisions that were dropped before it.
        refuses, _ = self.test(event, fields, self.facts, event.sequence)
        for one, values in zip(self.sets, self.facts):
            one.fold(fields, values)
        if refuses and event.kind.sort == "decision" and self.turned is None:
            self.turned = event.sequence
        if name == "refused":
            self.proposal(event)

    def proposal(self, event):
        """JUDGE-4."""
        raw = event.get("proposal")
        refusing = event.get("rules") or []
        if not raw:
            if self.turned is None:
                for one in self.sets:
                    for rule in one.by_kind.get(event.get("kind"), ()):
                        self.note(f"{one.name}/{rule.name}", UNKNOWN, event.sequence)
            return
        try:
            dropped = [parse_event(data) for data in whole(raw)]
        except (Refused, TypeError):
            return
        facts = [copied(one) for one in self.facts]
        for decision in dropped:
            fields = Fields(decision)
            _, stops = self.test(decision, fields, facts, event.sequence)
            if stops:
                return
            for one, values in zip(self.sets, facts):
                one.fold(fields, values)
        names = {one.name for one in self.sets}
        if self.turned is None and refusing and all(rule.split("/")[0] in names for rule in refusing):
            self.turned = event.sequence

    def verdicts(self):
        return [{"rule": name, "result": row[0], **({"sequence": row[1]} if row[1] is not None else {})} for name, row in self.out.items()]


def load_sets(texts):
    sets = [RuleSet(text) for text in texts]
    if len({one.name for one in sets}) != len(sets):
        raise Refused("RULE-2", "two sets of one name")
    return sets


def judge(sets, events):
    judged = Judge(sets)
    for event in events:
        judged.push(event)
    return judged.verdicts()


# -------------------------------------------------------------------------------------------------------------- cases


def literal(text):
    """A value of a vector of cel.jsonl."""
    node = Parser(text).expr()
    return compiled(node, {})({}, [], {})


def cel(row):
    """One case of cel.jsonl: what the expression gives, or `refused`."""
    facts, values = {}, []
    if "x" in row:
        type = row["type"]
        many = type.startswith("list of ")
        facts["x"] = Fact("x", 0, "last", type.removeprefix("list of "), many, None, [])
        values = [literal(row["x"])]
    node = with_variable(Parser(row["expression"]).expr()) if facts else Parser(row["expression"]).expr()
    Check(facts, None).of(node, frozenset([("field", ("name", "facts"), "x")]))
    return compiled(node, facts)({}, values, {})


def with_variable(node):
    if node == ("name", "x"):
        return "field", ("name", "facts"), "x"
    return tuple(with_variable(one) if isinstance(one, tuple) else [with_variable(i) for i in one] if isinstance(one, list) else one for one in node)


def unhex(text):
    return bytes.fromhex(text)


def case(row):
    """One case of a vector file or of a batch; what it gives is what the vector says of itself."""
    if "stored" in row:
        content = stored_content(unhex(row["stored"]))
        return {"content": content.hex(), "digest": blob_digest(unhex(row["stored"])).hex()}
    if "rule" in row and "bytes" in row:
        check_blob(row["rule"], unhex(row["bytes"]))
        return {}
    if "bytes" in row:
        event = parse_event(unhex(row["bytes"]))
        return {"id": event.id.hex(), "kind": event.kind.name}
    if "judged" in row:
        sets = load_sets(row["judged"])
        if "trace" not in row:
            return {}
        return {"verdicts": judge(sets, Trace(unhex(row["trace"])).events())}
    if "trace" in row:
        trace = Trace(unhex(row["trace"]))
        for _ in trace.events():
            pass
        return {}
    if "events" in row and "checkpoints" in row:
        return log_case(row)
    if "events" in row:
        events = [parse_event(unhex(one)) for one in row["events"]]
        if not events:
            raise Refused("CHAIN-1", "no event")
        stream = Stream(events[0].stream)
        for event in events:
            stream.push(event)
        stream.end()
        stream.answers()
        if stream.name == ZERO16:
            for event in events:
                event.position = event.sequence
            key_history(events, events[0].get("origin"))
        return {}
    if "receipt" in row:
        return {"level": Receipt(unhex(row["receipt"]), row.get("pins")).level}
    if "checkpoint" in row:
        keys = [Key(unhex(one["key"]), one["position"], one.get("retired")) for one in row["keys"]]
        Checkpoint(row["checkpoint"]).signer(unhex(row["origin"]), keys)
        return {}
    if "expression" in row:
        return {"value": cel(row)}
    if "inclusion" in row or "consistency" in row or "root" in row:
        return tree_case(row)
    if "text" in row:
        return rules_digest_case(row)
    if "stream" in row:
        return {"stream": run_stream(unhex(row["origin"]), unhex(row["request"])).hex()}
    if "artifact" in row:
        advice = [(agent, unhex(digest)) for agent, digest in row["advice"]]
        rules = [unhex(one) for one in row["rules"]]
        return {"artifact": artifact(unhex(row["base_commit"]), unhex(row["tree"]), rules, advice).hex()}
    if "fingerprint" in row:
        path = unhex(row["path"]) if "path" in row else None
        return {"fingerprint": fingerprint(row["agent"], row["category"], path, row.get("line")).hex()}
    raise ValueError("a case of no kind")


def tree_case(row):
    """tree.jsonl: the data of leaf N is 32 bytes of the value N."""
    hashes = [leaf(tree_leaf(index)) for index in range(row["leaves"])]
    if "inclusion" in row:
        own = hashes[row["leaf"]] if "leaf" in row and row["leaf"] < len(hashes) else leaf(tree_leaf(row.get("leaf", row["position"])))
        wanted = unhex(row["root"]) if "root" in row else root(hashes)
        if inclusion_root(row["position"], row["leaves"], own, [unhex(one) for one in row["inclusion"]]) != wanted:
            raise Refused("TREE-1", "a proof that does not fit")
        return {}
    if "consistency" in row:
        older = unhex(row["old_root"]) if "old_root" in row else root(hashes[: row["old"]])
        newer = unhex(row["root"]) if "root" in row else root(hashes)
        consistent(row["old"], row["leaves"], older, newer, [unhex(one) for one in row["consistency"]])
        return {}
    return {"root": root(hashes).hex()}


def tree_leaf(index):
    return bytes([index]) * 32


def rules_digest_case(row):
    """RULE-13."""
    one = RuleSet(row["text"])
    kinds = {}
    reads = {}

    def visit(node, of):
        if isinstance(node, (tuple, list)):
            if len(node) == 3 and node[0] == "field" and node[1] == ("name", "event") and node[2] not in ENVELOPE:
                for kind in of:
                    reads.setdefault(kind, set()).add(node[2])
            for part in node:
                visit(part, of)

    for rule in one.rules:
        visit(rule.node, rule.kinds)
    for fact in one.facts.values():
        for clause in fact.clauses:
            visit(clause.nodes, clause.kinds)
    for kind in {*one.by_kind, *one.folds}:
        kinds[kind] = sorted(reads.get(kind, ()))
    rows = []
    for name in sorted(kinds):
        kind, fields = NAMES[name], []
        for field in kinds[name]:
            found = kind.by_name.get(field)
            if found is None:
                fields.append([field])
                continue
            number = SCALARS.index(found.type)
            optional = found.optional and not found.many
            fields.append([field, found.key, found.many, number, optional, found.most, found.items if found.many else 256, 1, found.words or []])
        rows.append([name, kind.code, kind.sort, fields])
    over = encode([1, one.text, rows])
    return {"over": over.hex(), "digest": derive("loom 2026-11 rule set v1", over).hex()}


def log_case(row):
    """A whole store's events in the order of positions, with checkpoints of it: chains, keys, the tree, consistency."""
    origin = unhex(row["origin"])
    events, streams, own, stream = [], {}, [], None
    for position, data in enumerate(row["events"]):
        event = parse_event(unhex(data))
        event.position = position
        if position == 0 and event.kind.name != "store.created":
            raise Refused("KIND-1", "the log does not begin with the store's origin")
        # A commit's events stand one behind the other.
        if stream is not None and stream.left and event.stream != stream.name:
            raise Refused("COMMIT-1" if event.count is not None else "CHAIN-1", f"{event.name()}: inside of a commit")
        stream = streams.setdefault(event.stream, Stream(event.stream, origin))
        stream.push(event)
        events.append(event)
        if event.stream == ZERO16:
            own.append(event)
    for stream in streams.values():
        stream.end()
    for stream in streams.values():
        stream.answers()
    if not own:
        raise Refused("KIND-1", "the log does not begin with the store's origin")
    if own[0].get("origin") != origin:
        raise Refused("CHECKPOINT-1", "of another store")
    keys = key_history(own, origin)
    hashes = [leaf(event.id) for event in events]
    for text in row["checkpoints"]:
        checkpoint = Checkpoint(text)
        # Its key may have been cut off with the events behind it.
        if keys or checkpoint.size <= len(events):
            checkpoint.signer(origin, keys)
        if checkpoint.size > len(events):
            raise Refused("CHECKPOINT-4", "truncated: fewer events than the checkpoint states")
        if root(hashes[: checkpoint.size]) != checkpoint.root:
            raise Refused("CHECKPOINT-4", "forked or altered: another root than the checkpoint states")
    return {}


def answer(row):
    """What a case gives, or the law that refuses it."""
    try:
        return case(row)
    except Refused as refused:
        return {"refused": refused.law, "why": str(refused)}
    except RecursionError:
        return {"refused": "CBOR-3", "why": "nested too deep"}


def shown(value):
    if isinstance(value, Mark):
        return value.name
    return value


def agrees(row, given):
    """Whether a case gives what its vector says."""
    if "expression" in row:
        if "refused" in row:
            return "refused" in given
        if row["value"] == "error":
            return given.get("value") is ERROR or "refused" in given
        return "value" in given and type(given["value"]) is type(literal(row["value"])) and given["value"] == literal(row["value"])
    if "refused" in row or "refused" in given:
        return row.get("refused") == given.get("refused")
    return all(row[key] == value for key, value in given.items() if key in row)


# ------------------------------------------------------------------------------------------------------------- command


def trace_command(names, texts):
    """Findings of traces; with rules, what they come to."""
    findings, verdicts = [], []
    sets = load_sets(texts) if texts else None
    for name in names:
        with open(name, "rb") as file:
            trace = Trace(file.read())
        try:
            if sets:
                given = judge(sets, trace.events())
                verdicts.append({"file": name, "run": trace.stream.hex(), "events": trace.count, "rules": given})
            else:
                for _ in trace.events():
                    pass
                verdicts.append({"file": name, "run": trace.stream.hex(), "events": trace.count, "level": 2})
        except Refused as refused:
            findings.append({"file": name, "law": refused.law, "why": str(refused)})
    return findings, verdicts


def receipt_command(names, pins):
    findings, verdicts = [], []
    for name in names:
        with open(name, "rb") as file:
            data = file.read()
        try:
            receipt = Receipt(data, pins)
            verdicts.append({"file": name, "about": receipt.about, "level": receipt.level})
        except Refused as refused:
            findings.append({"file": name, "law": refused.law, "why": str(refused)})
    return findings, verdicts


def vectors_command(folder):
    findings, verdicts = [], []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".jsonl"):
            continue
        good = 0
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                row = json.loads(line)
                given = answer(row)
                if agrees(row, given):
                    good += 1
                else:
                    said = json.dumps({key: shown(value) for key, value in given.items()}, default=repr)[:400]
                    wanted = row.get("refused") or row.get("value") or row.get("verdicts") or "accepted"
                    why = f"{row.get('name', '')}: {wanted} expected, {said} given"
                    findings.append({"file": f"{name}:{number}", "law": str(row.get("refused") or row.get("law") or ""), "why": why})
        verdicts.append({"file": name, "agree": good})
    return findings, verdicts


def batch_command(file):
    for line in file:
        given = answer(json.loads(line))
        print(json.dumps(given, separators=(",", ":")), flush=False)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("trace", "receipt", "judge"):
        command = commands.add_parser(name)
        command.add_argument("files", nargs="+")
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
        if name == "judge":
            command.add_argument("--rules", action="append", required=True)
        if name == "receipt":
            command.add_argument("--origin")
            command.add_argument("--key")
            command.add_argument("--witness", action="append", default=[])
            command.add_argument("--person", action="append", default=[])
            command.add_argument("--checkpoint", action="append", default=[], help="a file with one checkpoint")
    command = commands.add_parser("vectors")
    command.add_argument("folder", nargs="?", default=os.path.join(HERE, "vectors"))
    command.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    command = commands.add_parser("batch")
    command.add_argument("file", nargs="?")
    given = parser.parse_args(arguments)
    sys.setrecursionlimit(20_000)
    try:
        if given.command == "batch":
            if given.file:
                with open(given.file, encoding="utf-8") as file:
                    batch_command(file)
            else:
                batch_command(sys.stdin)
            return 0
        if given.command == "vectors":
            findings, verdicts = vectors_command(given.folder)
        elif given.command == "receipt":
            texts = []
            for name in given.checkpoint:
                with open(name, encoding="utf-8", newline="") as file:
                    texts.append(file.read())
            pins = {"origin": given.origin, "key": given.key, "witnesses": given.witness, "persons": given.person, "checkpoints": texts}
            findings, verdicts = receipt_command(given.files, pins)
        else:
            texts = []
            for name in getattr(given, "rules", []):
                with open(name, encoding="utf-8", newline="") as file:
                    texts.append(file.read())
            findings, verdicts = trace_command(given.files, texts)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 9
    except UnicodeDecodeError as error:
        print(f"error: a checkpoint or rule file that is not UTF-8: {error}", file=sys.stderr)
        return 2
    except Refused as refused:
        print(f"error: {refused}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps({"schema": "loom-verifier/1", "findings": findings, "results": verdicts}))
    else:
        for one in findings:
            print(f"{one['law']}\t{one['file']}\t{one['why']}")
        for one in verdicts:
            rules = one.get("rules")
            if rules is None:
                print("\t".join(f"{key} {value}" for key, value in one.items()))
            for rule in rules or []:
                print(f"{one['file']}\t{rule['rule']}\t{rule['result']}" + (f"\t#{rule['sequence']}" if "sequence" in rule else ""))
    if findings:
        return 6
    results = {rule["result"] for one in verdicts for rule in one.get("rules", [])}
    if "violated" in results:
        return 4
    return 8 if "unknowable" in results or results == {"not-reached"} else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
