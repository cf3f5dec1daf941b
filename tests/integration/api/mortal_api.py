"""An API that dies between a commit and its answer when it is told to, and comes back: `python -m ... PORT`.

The listening socket is the parent's, which stays: who connects meanwhile waits. It prints its port.
"""

import os
import signal
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.app import create_app

DIE = b"x-die"


class Mortal:
    """Kills its process when an answer is about to be sent to a request with the header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dies = scope["type"] == "http" and any(name == DIE for name, _ in scope["headers"])

        async def send_or_die(message: Message) -> None:
            if dies and message["type"] == "http.response.start":
                os.kill(os.getpid(), signal.SIGKILL)
            await send(message)

        await self._app(scope, receive, send_or_die)


def serve(app: Starlette, listener: socket.socket) -> None:
    """Serve until killed, in a process of its own each time."""
    while True:
        pid = os.fork()
        if pid == 0:
            config = uvicorn.Config(Mortal(app), log_config=None, lifespan="on")
            uvicorn.Server(config).run(sockets=[listener])
            os._exit(0)
        os.waitpid(pid, 0)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - whoever started it reads it
    serve(create_app(), listener)


if __name__ == "__main__":
    main()
