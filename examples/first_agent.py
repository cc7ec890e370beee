"""A first agent: a skill of your own in a folder, tested and run in this program. No server, no account."""

import asyncio
from pathlib import Path

from omniforge import Agent, SkillRef
from omniforge.client import Execution

HERE = Path(__file__).parent
EXPENSES = [
    {"person": "Maya", "what": "train to Berlin", "amount": 84},
    {"person": "Derek", "what": "dinner with a customer", "amount": 310},
    {"person": "Maya", "what": "two monitors", "amount": 560},
]


async def main() -> Execution:
    agent = Agent(
        name="expense-watch",
        description="Lists the expenses somebody has to look at",
        skills=[SkillRef(path=HERE / "skills" / "expense-check", config={"limit": 100})],
    )
    result = await agent.test(input_data={"expenses": EXPENSES})
    print(result)

    execution = await agent.run({"expenses": EXPENSES})
    print(execution.status)
    print(execution.text)
    return execution


if __name__ == "__main__":
    asyncio.run(main())
