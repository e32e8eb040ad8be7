"""The API as its users meet it: over STATE/control.sock, as the machine's owner, or over the page's port."""
import http.client
import json
import socket
import urllib.parse


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def ok(self, status=200):
        assert self.status == status, f"status {self.status}, {status} expected: {self.body[:2000]}"
        return self.json

    def failed(self, status, *words, code=None, field=None):
        """Refused, in words that hold each of these."""
        assert self.status == status, f"status {self.status}, {status} expected: {self.body[:2000]}"
        error = self.json
        assert set(error) == {"code", "message", "remedy", "details"}
        said = error["message"] + " " + (error["remedy"] or "")
        for word in words:
            assert word in said, f"{word!r} is not in {said!r}"
        assert code is None or error["code"] == code
        assert field is None or error["details"].get("field") == field, error
        return error


class OverSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Api:
    """`port`: of the page, spoken to with an API token; without it: the machine's owner."""

    def __init__(self, state, port=None, token=None, host="127.0.0.1"):
        self.state, self.port, self.token, self.host = state, port, token, host

    def connection(self):
        if self.port is None:
            return OverSocket(self.state / "control.sock")
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def ask(self, method, path, body=None, headers=()):
        connection = self.connection()
        headers = dict(headers)
        if self.token:
            headers["X-Octopus-ApiKey"] = self.token
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self.ask("GET", path)

    def post(self, path, body=None):
        return self.ask("POST", path, {} if body is None else body)

    def put(self, path, body):
        return self.ask("PUT", path, body)

    def delete(self, path, body=None):
        return self.ask("DELETE", path, body)
