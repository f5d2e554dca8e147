"""`mixpo view`: a web server on 127.0.0.1 for one run: browse it, and review it blind.

No other address is listened to or asked; pages load nothing from outside and run no script but the app's own
(Content-Security-Policy). Requests must name this machine as their host, so that no web site can reach the app
through a name of its own (DNS rebinding).
"""

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from mixpo.app.views import Missing, Views
from mixpo.errors import DataError, MissingExtra, UserError, first_line
from mixpo.files import RunFiles
from mixpo.progress import say
from mixpo.report.collect import MEANINGLESS

log = logging.getLogger(__name__)
HOST = "127.0.0.1"
LONGEST_FORM = 100_000
"""Bytes of a form; a review's is a few hundred."""
MOST_FIELDS = 50
"""Of a form."""
LONGEST_QUERY = 8_000
"""Bytes of what follows the `?` of an address."""
CONNECTIONS = 100
"""At a time; more are told to come again."""
REQUEST_SECONDS = 30.0
"""After so long in which a connection has begun no other request, it is closed, whatever it is waiting for."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(views: Views) -> Any:
    """The application (ASGI). Raises MissingExtra without starlette."""
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.requests import Request
        from starlette.responses import HTMLResponse, RedirectResponse, Response
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtra("starlette", "app") from error

    def page(make: Callable[[dict[str, str]], str]) -> Any:
        def handler(request: Request) -> Response:
            status, text = answered(views, make, request)
            return (
                HTMLResponse(text, headers=HEADERS) if status == 200 else Response(text, status, HEADERS, "text/plain")
            )

        return handler

    async def judge(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_FORM:
                return Response("the form is too long", 413, HEADERS, "text/plain")
        try:
            found = parse_qs(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
            values = {key: given[-1] for key, given in found.items()}
            return RedirectResponse(await run_in_threadpool(views.judge, values), 303, HEADERS)
        except ValueError:
            return Response("the form has too many fields", 413, HEADERS, "text/plain")
        except DataError as error:
            return HTMLResponse(await run_in_threadpool(views.apology, str(error)), headers=HEADERS)
        except UserError as error:
            return Response(str(error), 400, HEADERS, "text/plain")

    def text(make: Callable[[], str], kind: str) -> Any:
        return lambda request: Response(make(), 200, HEADERS, kind)

    routes = [
        Route("/", page(lambda values: views.overview())),
        Route("/curves", page(lambda values: views.curves())),
        *(Route(f"/{name}", page(lambda values, name=name: views.listing(name, values)))  # type: ignore[misc]
          for name in ("questions", "responses", "pairs", "dropped")),
        Route("/question", page(lambda values: views.question(values.get("id", "")))),
        Route("/pair", page(lambda values: views.pair(values.get("id", "")))),
        Route("/changes", page(views.changes)),
        Route("/review", page(views.review), methods=["GET"]),
        Route("/review", judge, methods=["POST"]),
        Route("/style.css", text(views.style, "text/css")),
        Route("/view.js", text(views.script, "text/javascript")),
    ]  # fmt: skip
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    return Starlette(routes=routes, middleware=[hosts])


def answered(views: Views, make: Callable[[dict[str, str]], str], request: Any) -> tuple[int, str]:
    """Status and text of a page. Whatever the run's files are, it is a page that says so."""
    if request.headers.get("sec-fetch-site") == "cross-site":
        return 403, "another site asks for this; open the address yourself"
    if len(request.url.query) > LONGEST_QUERY:
        return 414, "the address is too long"
    try:
        return 200, make(dict(request.query_params))
    except DataError as error:
        return 200, views.apology(str(error))
    except MEANINGLESS as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        log.warning("%s: %s", request.url.path, why)
        return 200, views.apology(f"what the run's files say of this page does not fit together ({why})")
    except UserError as error:
        return 404 if isinstance(error, Missing) else 400, str(error)


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1; port 0 takes a free one. Raises UserError when the port is taken."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        # From here on a browser waits instead of being refused: the address is told before the server runs.
        found.listen()
    except OSError as error:
        found.close()
        raise UserError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from error
    return found


def server_config(app: Any) -> Any:
    """How uvicorn serves the app: not slower than a client may be, nor to more of them than there are people."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class PatientProtocol(H11Protocol):
        """Closes a connection on which nothing happens for a while: headers or a body that never end, a page that is
        never fetched. A page that is, however slowly, is sent to its end."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(REQUEST_SECONDS, self.look, None)

        def look(self, before: Any) -> None:
            if self.transport.is_closing():
                return
            now = self.cycle, self.transport.get_write_buffer_size()
            if before in (now, (self.cycle, None)):
                self.transport.abort()
            else:
                self.loop.call_later(REQUEST_SECONDS, self.look, now)

    return uvicorn.Config(
        app, log_level="error", http=PatientProtocol, ws="none", lifespan="off", limit_concurrency=CONNECTIONS
    )


def view(run: Path, port: int = 7860, images: tuple[Path, ...] = ()) -> None:
    """Serves one run until interrupted. Raises UserError for a folder that is no run, MissingExtra without `app`."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("uvicorn", "app") from error
    open_socket = listen(port)
    views = Views(RunFiles(run), images)
    try:
        app = make_app(views)
        say(f"view: http://{HOST}:{open_socket.getsockname()[1]}/ shows {run}; Ctrl-C ends it")
        uvicorn.Server(server_config(app)).run(sockets=[open_socket])
    finally:
        views.close()
