"""A local server that speaks as the vendors of models do and says what a script says: `create_app(script)`.

`/v1/messages` is Anthropic, `/v1/chat/completions` and `/v1/responses` are OpenAI (and every compatible
server), `/api/v1/chat/completions` is OpenRouter. `POST /_control` brings faults, turns and a fresh start.
"""

from omniforge.llm.standin.app import create_app
from omniforge.llm.standin.state import ModelServer, Recorded

__all__ = ["ModelServer", "Recorded", "create_app"]
