"""The few pages a browser may meet without the web interface: one look for all of them."""

from __future__ import annotations

from html import escape

PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}
"""Headers of a page: nothing is kept, nothing is loaded, nobody frames it."""

_STYLE = (
    "body{font:17px/1.6 system-ui,sans-serif;max-width:34rem;margin:16vh auto;padding:0 1.5rem;"
    "color:#1f2933;background:#fff}h1{font-size:1.4rem}"
    "code{background:#f1f3f5;padding:.1em .35em;border-radius:4px}"
    "@media(prefers-color-scheme:dark){body{color:#e4e7eb;background:#16191d}code{background:#262b31}}"
)


def html_page(title: str, body: str) -> str:
    """A whole page. `title` is text, `body` is HTML whose data the caller has escaped."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
