"""status --spec S: how a spec on the board stands, over the HTTP API.

Ends with 0 when it is told, with 1 when the server refused, with 2 for a wrong call.
"""

import argparse
import json
import sys
from collections import Counter

from connection import Refused, Server, Unreachable, add_options
from files import complain, say


def arguments():
    parser = argparse.ArgumentParser(prog="status", description="Tell how a spec on the board stands.")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--spec", help="id of the spec")
    wanted.add_argument("--project", help="id or name of a project: all of its specs")
    parser.add_argument("--json", action="store_true", help="print the answers as JSON")
    add_options(parser)
    return parser


def main(argv=None):
    given = arguments().parse_args(argv)
    try:
        server = Server(given.url, given.key)
        if given.spec:
            specs = [server.call("GET", "specs", given.spec)]
        else:
            specs = server.every("specs", "specs", "project", server.project_id(given.project))
        found = [(spec, server.every("tickets", "tickets", spec_id=spec["id"])) for spec in specs]
    except Unreachable as flaw:
        complain(flaw)
        return 2
    except Refused as refusal:
        say(f"{refusal.body.get('error', refusal.status)}: {refusal}")
        return 1
    if given.json:
        say(json.dumps([{**spec, "tickets": tickets} for spec, tickets in found], indent=2))
    else:
        for spec, tickets in found:
            tell(spec, tickets)
    return 0


def tell(spec, tickets):
    say(f"{spec['title']} ({spec['id']}): {spec['phase']}, {spec['progress']} % of the tasks are completed")
    approvals = {"requirements": spec["requirements_approved"], "design": spec["design_approved"]}
    say("  approved: " + (", ".join(name for name, said in approvals.items() if said) or "nothing yet"))
    by_ticket = {}
    for task in spec["tasks"]:
        by_ticket.setdefault(task["ticket_id"], Counter())[task["status"]] += 1
    for ticket in sorted(tickets, key=lambda ticket: ticket["ref"]):
        counts = by_ticket.get(ticket["id"], Counter())
        tasks = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no tasks"
        reason = ticket["blocked_reason"] or ticket["blocker_type"]
        blocked = f", blocked: {reason}" if ticket["is_blocked"] else ""
        say(f"  {ticket['ref']:<16} {ticket['status']:<14} {ticket['title'][:60]} ({tasks}{blocked})")
    figures = spec["execution"]
    checks = f"{figures['tests_passing']} of {figures['tests_total']} pass"
    say(f"  checks: {checks}; {figures['commits']} commits")


if __name__ == "__main__":
    sys.exit(main())
