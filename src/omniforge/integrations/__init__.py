"""Services outside: the catalogue of integrations, people's connections to them, and their tools."""

from omniforge.integrations.errors import (
    ConnectionDeclined,
    ConnectionExpired,
    ConnectionMissing,
    IntegrationNotConfigured,
    StateInvalid,
)
from omniforge.integrations.manifest import Access, Destination, Integration, IntegrationTool, load_catalog
from omniforge.integrations.samples import SampleFault
from omniforge.integrations.schemas import Connection, ConnectionStatus, Resource, SignIn
from omniforge.integrations.service import IntegrationService
from omniforge.integrations.signin import ConnectionArrived, SignInDeclined
from omniforge.integrations.usage import Lent

__all__ = [
    "Access",
    "Connection",
    "ConnectionArrived",
    "ConnectionDeclined",
    "ConnectionExpired",
    "ConnectionMissing",
    "ConnectionStatus",
    "Destination",
    "Integration",
    "IntegrationNotConfigured",
    "IntegrationService",
    "IntegrationTool",
    "Lent",
    "Resource",
    "SampleFault",
    "SignIn",
    "SignInDeclined",
    "StateInvalid",
    "load_catalog",
]
