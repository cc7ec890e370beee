"""A local server that speaks Linear's protocol, for development, tests and the demo.

It holds the workspace "Acme Operations". Point OmniForge at it with OMNIFORGE_LINEAR_BASE_URL and the client
`CLIENT_ID` / `CLIENT_SECRET`. It really reads the GraphQL it gets, and refuses what `schema.graphql` does not
have. POST /_control switches faults on, GET /_control/requests tells what arrived, POST /_control/deliver
sends a signed webhook: `{url, secret, event: issue.created | issue.updated | comment.created, id?}`.
"""

from omniforge.integrations.catalog.linear.standin.app import create_app
from omniforge.integrations.catalog.linear.standin.state import CLIENT_ID, CLIENT_SECRET, StandinState

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "StandinState", "create_app"]
