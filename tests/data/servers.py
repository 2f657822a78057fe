"""A web server on this machine that delivers, stalls, cuts off or lies, as the first part of the path names it."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TIMEOUT = 0.3  # the patience of the clients under test, in seconds


class Server(ThreadingHTTPServer):
    """Serves `content` in the way that the first part of the path names, and keeps every request."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.requests, self.ended = content, [], threading.Event()

    def mirror(self, way):
        return f"http://127.0.0.1:{self.server_port}/{way}/"

    def handle_error(self, request, client_address):
        """Clients that leave are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        way, name = self.path.strip("/").split("/")
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.requests.append((way, name, start))
        getattr(self, way)(self.server.content, start)

    def answer(self, body, start=0, status=None, length=None, total=None):
        self.send_response(status or (206 if start else 200))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if length != "none":
            self.send_header("Content-Length", str(len(body) - start if length is None else length))
        self.end_headers()
        if total is None:
            self.wfile.write(body[start:])
            return
        self.wfile.write(body[start:total])
        self.wfile.flush()

    def good(self, content, start):
        self.answer(content, start)

    def no_range(self, content, start):
        self.answer(content)

    def no_length(self, content, start):
        self.answer(content, start, length="none")

    def endless(self, content, start):
        self.answer(content + b"x" * 100_000, start, length="none")

    def cut(self, content, start):
        self.answer(content, start, total=start + 1 + len(content) // 3)

    def cut_at_once(self, content, start):
        self.answer(content, start, total=start)

    def stall(self, content, start):
        self.answer(content, start, total=start + len(content) // 3)
        self.server.ended.wait(5)

    def silent(self, content, start):
        self.server.ended.wait(5)

    def drip(self, content, start):
        self.answer(content, start, total=start)
        for byte in content[start : start + 100]:
            if self.server.ended.wait(TIMEOUT / 10):
                return
            self.wfile.write(bytes([byte]))

    def leisurely(self, content, start):
        """Some 5,000 bytes a second for the first request, all at once when it is asked for the rest."""
        if start:
            return self.answer(content, start)
        self.answer(content, total=0)
        for place in range(0, len(content) // 2, 100):
            if self.server.ended.wait(0.02):
                return
            self.wfile.write(content[place : place + 100])

    def wrong_bytes(self, content, start):
        self.answer(bytes(len(content)), start)

    def wrong_length(self, content, start):
        self.answer(b"<html>please log in</html>")

    def other_range(self, content, start):
        self.answer(content, max(start - 1, 1))

    def refuses_range(self, content, start):
        self.answer(b"", status=416) if start else self.answer(content)

    def broken(self, content, start):
        self.answer(b"", status=500)

    def gone(self, content, start):
        self.answer(b"", status=404)

    def garbage(self, content, start):
        self.wfile.write(b"\x00\x01\x02 not http\r\n\r\n")


@contextlib.contextmanager
def serving(content):
    server = Server(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
