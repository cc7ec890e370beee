"""An agent on a server: tested, switched on, run, and watched while it runs."""

import asyncio
import sys
from pathlib import Path

from omniforge import Agent, SkillRef
from omniforge.client import Execution, OmniForgeClient

HERE = Path(__file__).parent
EXPENSES = [{"person": "Maya", "what": "two monitors", "amount": 560}]


async def main(base_url: str) -> Execution:
    agent = Agent(
        "expense-watch", skills=[SkillRef(path=HERE / "skills" / "expense-check", config={"limit": 100})]
    )
    deployment = await agent.deploy(base_url, activate=True)

    async with OmniForgeClient(base_url=base_url) as client:
        started = await client.agents.run(deployment.agent_id, {"expenses": EXPENSES})
        async for event in client.executions.stream(started.id):
            print(event.seq, event.type, event.skill_name or "")
        execution = await client.executions.get(started.id)
        print(execution.status, execution.text)
        return execution


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8700"))
