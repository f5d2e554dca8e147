"""The pages of `mixpo view`, asked for without a network: `view` as a command that ends."""

import asyncio
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

PAGES = (
    *("/", "/questions", "/responses", "/pairs", "/changes", "/dropped", "/review", "/curves"),
    f"/questions?{urlencode({'q': 'how many', 'page': '1'})}",
    *(f"/question?id={quote(name)}" for name in ("scenes-0", "scenes-1", "pictures-0", "none")),
    *(f"/pair?id={quote(name)}" for name in ("scenes-0/0>1", "scenes-1/0>1", "none")),
)


def view(run: Path) -> None:
    """Asks for every page of a run, and prints the status and the text. Raises what the app raises."""
    from mixpo.app.server import make_app
    from mixpo.app.views import Views
    from mixpo.cli_tools import files_of
    from mixpo.errors import UserError

    try:
        app = make_app(Views(files_of(run), ()))
        for address in PAGES:
            status, body = asyncio.run(_get(app, address))
            print(f"view {address}: {status}\n{body}")  # noqa: T201
            if status >= 500:
                raise SystemExit(1)
    except UserError as error:  # what `mixpo` makes of it
        print(f"mixpo: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


async def _get(app, address: str) -> tuple[int, str]:
    path, _, query = address.partition("?")
    sent: list[dict] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path, "root_path": "",
        "raw_path": path.encode(), "query_string": query.encode(), "headers": [(b"host", b"127.0.0.1:7860")],
        "server": ("127.0.0.1", 7860), "client": ("127.0.0.1", 1),
    }  # fmt: skip

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body.decode("utf-8", "replace")
