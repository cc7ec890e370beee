"""What can go wrong with a service outside, in words a person can be shown."""

from __future__ import annotations

from omniforge.core.errors import Conflict, Forbidden, Invalid, NotFound, ProviderError


class IntegrationNotConfigured(Conflict):
    """This installation has no client for the service."""

    code = "integration_not_configured"


class ConnectionMissing(Conflict):
    """The work needs a connection that nobody made yet."""

    code = "connection_missing"


class ConnectionExpired(Conflict):
    """The service no longer takes our credentials; only the person can renew them."""

    code = "connection_expired"


class ConnectionDeclined(Conflict):
    """The person said no on the service's own page."""

    code = "connection_declined"


class StateInvalid(Invalid):
    """Unknown, used, expired and foreign sign-in links, all alike."""

    code = "state_invalid"

    def __init__(self) -> None:
        super().__init__("The sign-in link has expired. Let's start again.")


class GrantRefused(Conflict):
    """The token address refused a code or a refresh token for good."""

    code = "grant_refused"


class RefusedThere(Invalid):
    """The service understood the request and found it wrong; `details["said"]` is its own text."""

    code = "refused_there"


class ResourceNotFound(NotFound):
    """Gone, renamed, or no longer shared with us."""

    code = "resource_not_found"


class PermissionDeniedThere(Forbidden):
    """The connection is good, but the service does not let it do this."""

    code = "permission_denied_there"


class ConflictThere(Conflict):
    """Somebody changed the same thing at the same moment."""

    code = "conflict_there"


class RateLimitedThere(ProviderError):
    """The service asks us to slow down, for longer than we are willing to wait in place."""

    status = 429
    code = "rate_limited_there"


class ServiceDown(ProviderError):
    """No answer, an error on their side, or an answer that cannot be read."""

    code = "service_down"


class AnswerTooLarge(ProviderError):
    """More bytes than we take from one answer."""

    code = "answer_too_large"
