"""A server that scripts call, and that counts their calls."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.chaos.proxy import HOST


class Receiver(HTTPServer):
    """Answers every POST with 204, one after the other."""

    request_queue_size = 128  # those that are sent at once wait here

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Post)
        self.url = f"http://{HOST}:{self.server_port}"
        self.calls = 0


class _Post(BaseHTTPRequestHandler):
    server: Receiver
    timeout = 5.0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing of each call."""


@contextmanager
def open_receiver() -> Iterator[Receiver]:
    """Answer calls in a thread of its own."""
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
