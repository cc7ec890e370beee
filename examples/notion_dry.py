"""What an agent would read from Notion, on sample data: no account, no network, nothing is kept."""

import asyncio

from omniforge import Agent, SkillRef
from omniforge.client import TestResult


async def main() -> TestResult:
    agent = Agent(
        name="project-digest",
        skills=[
            SkillRef(
                "notion-weekly-summary",
                source="public",
                config={"databases": ["Client Projects"], "highlight": ["Blocked"]},
            )
        ],
    )
    result = await agent.test(suite="full")
    print(result.text)
    for sentence in result.fault_words:
        print(sentence)
    return result


if __name__ == "__main__":
    asyncio.run(main())
