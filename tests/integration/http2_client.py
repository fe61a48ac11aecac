"""HTTP/2 by hand, RFC 9113 and 7541: exactly the frames that a test wants, and a small client that
reads answers. No third-party packages."""

import socket
import struct

from harness import LIMIT, Answer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
 CONTINUATION) = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME, MAX_HEADER_LIST = range(1, 7)

STATIC = [tuple(line.split(" ", 1)) for line in """:authority\x20
:method GET\n:method POST\n:path /\n:path /index.html\n:scheme http\n:scheme https\n:status 200
:status 204\n:status 206\n:status 304\n:status 400\n:status 404\n:status 500\naccept-charset\x20
accept-encoding gzip, deflate\naccept-language \naccept-ranges \naccept \naccess-control-allow-origin\x20
age \nallow \nauthorization \ncache-control \ncontent-disposition \ncontent-encoding\x20
content-language \ncontent-length \ncontent-location \ncontent-range \ncontent-type \ncookie\x20
date \netag \nexpect \nexpires \nfrom \nhost \nif-match \nif-modified-since \nif-none-match\x20
if-range \nif-unmodified-since \nlast-modified \nlink \nlocation \nmax-forwards\x20
proxy-authenticate \nproxy-authorization \nrange \nreferer \nrefresh \nretry-after \nserver\x20
set-cookie \nstrict-transport-security \ntransfer-encoding \nuser-agent \nvary \nvia\x20
www-authenticate\x20""".split("\n")]
# RFC 7541, appendix B: the length of each symbol's code, "a" for one bit; the code is canonical.
LENGTHS = ("mw|||||||x~||~||||||||~|||||||||fjjlmfhkjjhkhfffeeefffffffghofljmfgggggggggggggggggggggghghmsmnfo"
           "efefefffeggfffefgfeefgggggoknm|tvttvvvwvwwwwwxwxxvwxwwwwuvwvwwxvutvvwwuwvvxuvwwuuvuwvwwtvvvwvvwzztsv"
           "wvyzzz{{zxysuz{{z{xuuzz|{{{txtuvuuwvvyyxxzwz{zz{{{{{|{{{{{z~")


def _huffman_codes():
    codes, code, last = {}, 0, 0
    for length, symbol in sorted((ord(letter) - 96, symbol) for symbol, letter in enumerate(LENGTHS)):
        code <<= length - last
        codes[length, code] = symbol
        code, last = code + 1, length
    return codes


HUFFMAN = _huffman_codes()


def huffman_decode(data):
    out, code, length = bytearray(), 0, 0
    for byte in data:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            symbol = HUFFMAN.get((length, code))
            if symbol is not None:
                out.append(symbol)
                code, length = 0, 0
    return bytes(out)


def integer(value, bits, flags=0):
    """RFC 7541 5.1: `value` behind `flags` in a prefix of `bits` bits."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([flags | value])
    out, value = bytearray([flags | most]), value - most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def text(value, stated=None):
    """A string without Huffman's code; `stated`: the length that is said, instead of its own."""
    value = value.encode() if isinstance(value, str) else value
    return integer(len(value) if stated is None else stated, 7) + value


def encode(fields):
    """A block that leaves the dynamic table alone."""
    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


class Decoder:
    """Of header blocks, in their order."""

    def __init__(self):
        self.table = []

    def decode(self, block):
        self.block, self.at, fields = block, 0, []
        while self.at < len(block):
            first = block[self.at]
            if first & 0x80:
                fields.append(self._entry(self._integer(7)))
            elif first & 0xE0 == 0x20:
                self._integer(5)  # the table's size: ours are short
            else:
                index = self._integer(6 if first & 0x40 else 4)
                name = self._entry(index)[0] if index else self._text()
                fields.append((name, self._text()))
                if first & 0x40:
                    self.table.insert(0, fields[-1])
        return fields

    def _entry(self, index):
        return STATIC[index - 1] if index <= len(STATIC) else self.table[index - len(STATIC) - 1]

    def _integer(self, bits):
        most = (1 << bits) - 1
        value, shift = self.block[self.at] & most, 0
        self.at += 1
        while value >= most:
            byte = self.block[self.at]
            self.at, value, shift = self.at + 1, value + ((byte & 127) << shift), shift + 7
            if not byte & 128:
                break
        return value

    def _text(self):
        coded = self.block[self.at] & 0x80
        size = self._integer(7)
        value = self.block[self.at:self.at + size]
        self.at += size
        return (huffman_decode(value) if coded else value).decode("latin-1")


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(**values):
    """settings(INITIAL_WINDOW=0)"""
    return b"".join(struct.pack(">HI", globals()[name], value) for name, value in values.items())


def request_fields(method, path, headers=(), scheme="http"):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", "test"), *headers]


def grpc_fields(method, headers=()):
    return request_fields("POST", method, [("content-type", "application/grpc"), ("te", "trailers"),
                                           *headers])


def message(data=b""):
    """gRPC's prefix and `data`."""
    return b"\0" + struct.pack(">I", len(data)) + data


class Http2:
    """One connection. What is sent is the test's; answers are read by `answer`."""

    def __init__(self, port, tls=None, preface=PREFACE, first=b"", timeout=LIMIT):
        """`first`: of our SETTINGS. `tls`: an ssl.SSLContext."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""
        self.decoder = Decoder()
        self.answers = {}  # by stream: what has come so far
        self.goaways = []  # (last stream, error, text)
        self.pings = []
        self.resets = {}
        self.windows = {0: 65535}  # what may be sent
        self.initial = 65535
        self.opens_windows = True  # as data comes
        self.unread = b""  # of a header block that goes on
        self.next_stream = 1
        if preface:
            self.send(preface + frame(SETTINGS, 0, 0, first))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    # --- one request
    def ask(self, fields, body=None, end=True):
        """Sends a request; its stream."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        ends = END_STREAM if end and body is None else 0
        self.send(frame(HEADERS, END_HEADERS | ends, stream, encode(fields)))
        if body is not None:
            self.send_body(stream, body, end)
        return stream

    def send_body(self, stream, body, end=True):
        while True:
            room = min(16384, self.windows[0], self.windows.setdefault(stream, self.initial))
            piece, body = body[:room], body[room:]
            if piece or not body:
                self.windows[0] -= len(piece)
                self.windows[stream] -= len(piece)
                self.send(frame(DATA, END_STREAM if end and not body else 0, stream, piece))
            if not body or stream in self.resets or self.answer_ended(stream):
                return
            if room <= 0:
                self.read_frame()

    def request(self, method, path, body=None, headers=()):
        return self.answer(self.ask(request_fields(method, path, headers), body))

    def call(self, method, data=b"", headers=()):
        """A unary call of gRPC; see `answer`."""
        return self.answer(self.ask(grpc_fields(method, headers), message(data)))

    def answer_ended(self, stream):
        return stream in self.answers and self.answers[stream].ended

    def answer(self, stream):
        """Reads until the stream has ended: an Answer with `trailers`. EOFError: it never does."""
        while not self.answer_ended(stream):
            if stream in self.resets:
                raise EOFError(f"stream {stream} was reset: {self.resets[stream]}")
            if self.read_frame() is None:
                raise EOFError(f"closed; goaway {self.goaways}")
        return self.answers.pop(stream)

    def answers_begun(self, streams):
        """Waits for the heads of all their answers."""
        while not all(stream in self.answers for stream in streams):
            if self.read_frame() is None:
                raise EOFError(f"closed; goaway {self.goaways}")

    # --- frames
    def _take(self, size):
        while len(self.buffer) < size:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                return None
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_frame(self):
        """(type, flags, stream, payload), noted; None: the server has closed."""
        head = self._take(9)
        if head is None:
            return None
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        payload = self._take(int.from_bytes(head[:3], "big"))
        if payload is None:
            return None
        self._note(kind, flags, stream, payload)
        return kind, flags, stream, payload

    def read_to_end(self):
        """Reads until the server closes."""
        while self.read_frame():
            pass
        return self

    def _note(self, kind, flags, stream, payload):
        if kind == HEADERS or kind == CONTINUATION:
            self.unread += payload
            if flags & END_HEADERS:
                self._head(stream, self.decoder.decode(self.unread))
                self.unread = b""
        elif kind == DATA:
            self.answers[stream].body += payload
            if payload and self.opens_windows:
                self._send_quietly(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))) +
                                   frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", len(payload))))
        elif kind == RST_STREAM:
            self.resets[stream] = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaways.append((int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big"),
                                 payload[8:].decode()))
        elif kind == PING:
            if flags & ACK:
                self.pings.append(payload)
            else:
                self._send_quietly(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self.windows.setdefault(stream, self.initial)
            self.windows[stream] += int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            self._settings(payload)
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.answers[stream].ended = True

    def _head(self, stream, fields):
        if stream in self.answers:
            self.answers[stream].trailers = dict(fields)
            return
        self.answers[stream] = Answer(int(fields[0][1]), fields[1:], b"")
        self.answers[stream].trailers, self.answers[stream].ended = {}, False

    def _settings(self, payload):
        for at in range(0, len(payload), 6):
            name, value = struct.unpack(">HI", payload[at:at + 6])
            if name == INITIAL_WINDOW:
                for stream in self.windows:
                    self.windows[stream] += value - self.initial if stream else 0
                self.initial = value
        self._send_quietly(frame(SETTINGS, ACK))

    def _send_quietly(self, data):
        """What a closed connection need not hear."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass
