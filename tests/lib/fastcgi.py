"""FastCGI as a web server speaks it, and as none does: records, parameters, a whole request."""
import re
import socket
import struct
import urllib.parse

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, UNKNOWN = range(1, 12)
RESPONDER, AUTHORIZER, FILTER = range(1, 4)


def record(kind, content=b"", request=1, padding=0, version=1):
    return struct.pack("!BBHHBx", version, kind, request, len(content), padding) + content + b"\0" * padding


def begin(keep, role=RESPONDER, request=1):
    return record(BEGIN, struct.pack("!HB5x", role, keep), request)


def length(number, wide=False):
    return struct.pack("!I", number | 1 << 31) if wide or number > 127 else bytes([number])


def pair(name, value, wide=True):
    name, value = (text.encode() if isinstance(text, str) else text for text in (name, value))
    return length(len(name), wide) + length(len(value), wide) + name + value


def parameters(pairs, request=1, padding=0):
    """A mapping, or pairs that may repeat."""
    pairs = pairs.items() if isinstance(pairs, dict) else pairs
    content = b"".join(pair(name, value) for name, value in pairs)
    return record(PARAMS, content, request, padding) + record(PARAMS, b"", request)


def request_pairs(method, path, token=None, size=0, **more):
    """What nginx/snippets/params.conf sends, and a token."""
    pairs = {"REQUEST_METHOD": method, "REQUEST_URI": path, "DOCUMENT_URI": path.partition("?")[0], "CONTENT_LENGTH": str(size),
             "REMOTE_ADDR": "127.0.0.1", "RUNTIME_CATALOG_NAMESPACE": "", **more}
    if token:
        pairs["HTTP_X_VAULT_TOKEN"] = token
    return pairs


def request(method, path, token=None, body=b"", keep=0, **more):
    return (begin(keep) + parameters(request_pairs(method, path, token, len(body), **more))
            + (record(STDIN, body) if body else b"") + record(STDIN))


def location_path(uri):
    """nginx's $document_uri: decoded, without query, double slashes and dots."""
    kept = []
    for segment in re.sub(rb"/+", b"/", urllib.parse.unquote_to_bytes(uri.partition("?")[0])).split(b"/")[1:]:
        if segment == b"..":
            kept = kept[:-1]
        elif segment != b".":
            kept.append(segment)
    return b"/" + b"/".join(kept)


def as_nginx(method, uri, headers, body=b"", site=""):
    """What nginx sends of a request with headers, at a site that is fixed to a namespace or to none. Like
    nginx it drops those with an underscore; unlike nginx it passes on what nginx refuses."""
    pairs = list(request_pairs(method, uri, None, len(body), DOCUMENT_URI=location_path(uri), RUNTIME_CATALOG_NAMESPACE=site).items())
    for name, value in headers:
        if name == "Content-Type":
            pairs.append(("CONTENT_TYPE", value))
        elif "_" not in name:
            pairs.append(("HTTP_" + name.upper().replace("-", "_"), value))
    return begin(1) + parameters(pairs) + (record(STDIN, body) if body else b"") + record(STDIN)


def records(data):
    """(kind, request, content) of each whole record; what is left over is dropped."""
    at = 0
    while len(data) - at >= 8:
        _, kind, number, size, padding = struct.unpack_from("!BBHHBx", data, at)
        if len(data) - at < 8 + size + padding:
            return
        yield kind, number, data[at + 8:at + 8 + size]
        at += 8 + size + padding


def answer(data):
    """What the records say on STDOUT."""
    return b"".join(content for kind, _, content in records(data) if kind == STDOUT)


def received(peer):
    """All that comes until the other side hangs up."""
    data = b""
    try:
        while piece := peer.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def ended(data):
    """Whether the records hold the end of a request."""
    return any(kind == END for kind, *_ in records(data))


def exchange(peer, data):
    """Sends a request on a connection that is kept, and reads to the end of the answer."""
    peer.sendall(data)
    reply = b""
    while not ended(reply):
        piece = peer.recv(65536)
        if not piece:
            break
        reply += piece
    return answer(reply)


class Connection:
    """One to a worker's socket, opened when it is needed, and again when the worker has closed it, which
    it does to those that are idle."""

    def __init__(self, path):
        self.path, self.socket, self.sent = str(path), None, b""

    def send(self, data):
        self.sent = data
        try:
            self.connected().sendall(data)
        except OSError:
            self.close()
            self.connected().sendall(data)

    def connected(self):
        if not self.socket:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(60)
            self.socket.connect(self.path)
        return self.socket

    def receive(self):
        """The answer to what was sent: headers, with Status, and body."""
        data = self.read()
        if not data: # it had been closed before the request came
            self.close()
            self.connected().sendall(self.sent)
            data = self.read()
        if not ended(data):
            raise ConnectionError("the worker hung up")
        return answer(data)

    def read(self):
        data = bytearray()
        try:
            while not (data[-16:-14] == bytes((1, END)) and ended(data)) and (piece := self.socket.recv(65536)):
                data += piece
        except ConnectionResetError:
            pass
        return bytes(data)

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None
