"""Adds expenses up by person and lists those above a limit."""

from sandbox_kit.skill import run


def main(request):
    expenses, limit = request.input.get("expenses") or [], request.config["limit"]
    totals = {}
    for one in expenses:
        totals[one["person"]] = totals.get(one["person"], 0) + one["amount"]
    above = sorted((one for one in expenses if one["amount"] > limit), key=lambda one: -one["amount"])
    lines = [f"- {one['person']}: {one['what']}, {one['amount']}" for one in above]
    report = "\n".join([f"# Above {limit}", "", *lines]) + "\n"
    output = {"report": report, "totals": totals, "items": len(above)}
    return {
        "output": output,
        "message": f"Looked at {len(expenses)} expenses.",
        "status": "ok" if above else "empty",
    }


run(main)
