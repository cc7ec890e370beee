"""A specification in Markdown brought to the board, by a program that is not asynchronous."""

import sys
from pathlib import Path

from omniforge.client import OmniForgeClient, Ticket

HERE = Path(__file__).parent


def main(base_url: str) -> list[Ticket]:
    with OmniForgeClient.sync(base_url=base_url) as client:
        project = client.board.projects.create("Word counts")
        imported = client.board.specs.import_file(project.id, HERE / "word-counts.md")
        print(imported.counts)
        tickets = client.board.tickets.list(project_id=project.id)
        for ticket in tickets:
            print(ticket.ref, ticket.status, ticket.title)
        return tickets


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8700")
