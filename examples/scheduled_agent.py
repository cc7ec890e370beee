"""An agent that runs every Monday: tried here with sample data, then brought to a server."""

import asyncio
import sys

from omniforge import Agent, SkillRef
from omniforge.sdk import Deployment


async def main(platform_url: str) -> Deployment:
    agent = Agent(
        name="weekly-reporter",
        description="Generate weekly reports from Notion and post to Slack",
        skills=[
            SkillRef(
                name="notion-weekly-summary",
                source="public",
                config={"databases": ["Client Projects"]},
            ),
            SkillRef(name="slack-poster", config={"channel": "#team-updates"}),
        ],
        schedule="0 8 * * MON",
        timezone="Europe/Berlin",
    )
    result = await agent.test(dry_run=True)
    print(result)

    deployment = await agent.deploy(platform_url=platform_url)
    print(f"Deployed: {deployment.agent_id}, {deployment.status}")
    for problem in deployment.problems:
        print(problem["message"])
    return deployment


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8700"))
