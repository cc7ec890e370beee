"""The HTTP API of an OmniForge server: an address, a key, and nothing but the standard library."""

import json
import os
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

DEFAULT = "http://127.0.0.1:8700"
PATIENCE = 300


class Refused(Exception):
    """The server said no. `body` is `{error, message, details}`."""

    def __init__(self, status, body):
        super().__init__(body.get("message") or f"The server answered {status}.")
        self.status, self.body = status, body


class Unreachable(Exception):
    """There is no server at the address, or it is no OmniForge."""


class _NoRedirect(HTTPRedirectHandler):
    """A key is sent to the address that was given, and nowhere else."""

    def redirect_request(self, *_):
        return None


def add_options(parser):
    """`--url` and `--key` of a command."""
    url = os.environ.get("OMNIFORGE_URL", DEFAULT)
    parser.add_argument("--url", default=url, help="address of the server")
    parser.add_argument("--key", default=os.environ.get("OMNIFORGE_API_KEY"), help="key of the API")


class Server:
    def __init__(self, url, key=None):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(f"{url!r} is no address such as {DEFAULT}.")
        self.url, self.key = url.rstrip("/"), key
        self.opener = build_opener(_NoRedirect)

    def call(self, method, *steps, query=None, body=None):
        """What the server answers at `/api/v1/<steps>`."""
        path = "/".join(quote(step, safe="") for step in steps)
        address = f"{self.url}/api/v1/{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            request = Request(address, data, headers, method=method)  # noqa: S310 - http or https, see above
            with self.opener.open(request, timeout=PATIENCE) as answer:
                return _json(answer.read(), self.url)
        except HTTPError as error:
            raise Refused(error.code, _json(error.read(), self.url)) from None
        except (URLError, TimeoutError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"There is no answer from {self.url}: {reason}.") from None

    def every(self, plural, *steps, **query):
        """All items of a list, however many pages it has."""
        found = []
        while True:
            page = self.call("GET", *steps, query={**query, "limit": 200, "offset": len(found)})
            found += page[plural]
            if not page[plural] or len(found) >= page["total"]:
                return found

    def project_id(self, named):
        """The id of a project that is named by its id or by its name."""
        try:
            return self.call("GET", "projects", named)["id"]
        except Refused as refusal:
            if refusal.status != 404:
                raise
        for project in self.every("projects", "projects", search=named[:200]):
            if project["name"] == named and project["status"] != "archived":
                return project["id"]
        message = f"There is no project {named!r}."
        raise Refused(404, {"error": "not_found", "message": message, "details": {}})


def _json(data, url):
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"What answers at {url} is no OmniForge server.")
    return found
