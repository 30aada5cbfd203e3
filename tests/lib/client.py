"""An HTTPS client that verifies the server, hides nothing, and sends what a test asks for."""
import http.client
import json
import socket
import ssl

from leaks import tokens_in


class Response:
    def __init__(self, status, headers, body, reason=""):
        self.status = status
        self.reason = reason
        self.headers = headers  # (name, value), as they came
        self.body = body

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        """The one value of a header that came exactly once, else None."""
        values = self.values(name)
        return values[0] if len(values) == 1 else None

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def key(self, name):
        return self.json.get(name) if isinstance(self.json, dict) else None

    @property
    def data(self):
        return self.key("data")

    @property
    def errors(self):
        return self.key("errors")

    def __str__(self):
        lines = [f"{self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\n".join(lines) + "\n\n" + self.body.decode("utf-8", "backslashreplace")


class UnixConnection(http.client.HTTPConnection):
    """Without TLS, to a socket in the file system."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """Talks to https://localhost:port. A connection a request unless told otherwise."""

    def __init__(self, port, authority):
        self.port = port
        self.tokens = set() # that were sent or came back
        self.context = ssl.create_default_context(cafile=authority)

    def connect(self, timeout=40):
        return http.client.HTTPSConnection("localhost", self.port, timeout=timeout,
                                           context=self.context)

    def request(self, method, path, headers=(), body=None, connection=None):
        """Headers are pairs and may repeat; a body that is neither text nor bytes is sent as
        JSON."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        used = connection or self.connect()
        try:
            used.putrequest(method, path)
            for name, value in headers:
                self.tokens |= tokens_in(value if isinstance(value, bytes) else str(value).encode())
                used.putheader(name, value)
            self.tokens |= tokens_in(body or b"")
            if body is not None:
                used.putheader("Content-Length", str(len(body)))
            used.endheaders(body)
            answer = used.getresponse()
            response = Response(answer.status, answer.getheaders(), answer.read(), answer.reason)
            self.tokens |= tokens_in(response.body)
            return response
        finally:
            if not connection:
                used.close()

    def raw(self, data, tls=True):
        """Sends bytes as they are, reads until the server hangs up or has answered once."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=40) as plain:
            with (self.context.wrap_socket(plain, server_hostname="localhost")
                  if tls else plain) as connection:
                connection.sendall(data)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                return Response(answer.status, answer.getheaders(), answer.read())
