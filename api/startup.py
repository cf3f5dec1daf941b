"""Starts only on a database that fences its tenants, and says in one line why not."""

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rustok.db.failures import is_refused_login, is_transient
from rustok.db.fences import refuse_open_fences
from rustok.kernel.errors import Misconfigured, RustokError, Unavailable


async def check_database(engine: AsyncEngine, setting: str) -> None:
    """Return when the server answers and its row level security binds this process.

    Raises:
        Unavailable: nothing answers there.
        Misconfigured: the login is refused, or row level security does not hold.

    """
    place = _place(engine.url)
    try:
        await refuse_open_fences(engine, setting)
    except Misconfigured:
        raise
    except Exception as error:
        if is_refused_login(error):
            raise Misconfigured(
                f"PostgreSQL at {place} refuses the login or has no such database: "
                f"correct {setting}, or run `rustok db init`."
            ) from error
        if is_transient(error):
            raise Unavailable(f"PostgreSQL at {place} does not answer: start it, or correct {setting}.") from error
        raise


class PlainStartFailure:
    """Tells the server of a failed start in one line: Starlette would send the whole traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failures: list[Message] = []

        async def hold_failure(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failures.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_failure)
        except RustokError as error:
            if not failures:
                raise
            await send({**failures[0], "message": f"{error.code}: {error}"})
        except Exception:
            for message in failures:
                await send(message)
            raise


def _place(url: URL) -> str:
    return f"{url.host or 'localhost'}:{url.port or 5432}"
