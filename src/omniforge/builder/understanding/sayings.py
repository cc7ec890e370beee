"""What people say in several words, and the plain verb that means the same."""

from __future__ import annotations

_WHO = r"(?:#[\w-]+|@[\w-]+|zze\d+zz|(?:the |our |my |every |each )?(?:[\w'-]+ ){0,3}?[\w'-]+)"
_PLACED = r"(?:#[\w-]+|@[\w-]+|zze\d+zz)"

SAYINGS: tuple[tuple[str, str], ...] = (
    (
        r"(?P<v>let|have|keep) (?P<who>(?!me\b|us\b)"
        + _WHO
        + r") (?:know|posted|informed|updated|in the loop)\b",
        r"tell \g<who>",
    ),
    (
        r"(?:give|send|shoot|drop|fire off|ping)(?: off)? (?P<who>(?!me\b|us\b)"
        + _WHO
        + r") (?:an? )?(?:quick |short |little |friendly |gentle )?"
        r"(?:heads?[- ]?up|shout|nudge|ping|buzz|line|shout-out)(?= |$|,|\.)",
        r"tell \g<who>",
    ),
    (
        r"(?:give|send|shoot) an? (?:quick |short )?(?:heads?[- ]?up|shout|nudge|ping|shout-out) to (?P<who>"
        + _WHO
        + r")(?= |$|,|\.)",
        r"tell \g<who>",
    ),
    (
        r"(?:give|send|shoot|drop) (?P<who>me|us) (?:an? )?(?:quick |short |little )?(?:heads?[- ]?up|"
        r"shout|nudge|ping|buzz|line)\b",
        r"tell \g<who>",
    ),
    (r"(?:cc|(?<!a )copy in|loop in|bring in|put in copy) (?P<who>" + _PLACED + r")", r"message \g<who>"),
    (r"cc (?P<who>(?:the |our |my )?[\w-]+)(?= |$|,|\.)", r"email \g<who>"),
    (
        r"(?:put|keep|copy|loop) (?P<who>"
        + _PLACED
        + r") (?:in )?(?:on )?(?:cc|copy|in|it|(?:in )?the loop)\b",
        r"message \g<who>",
    ),
    (r"keep (?:an|a close|a careful|one) eye (?:on|out for)", "watch"),
    (r"(?:keep tabs on|look out for|be on the lookout for|stay on top of)", "watch"),
    (r"(?P<v>jot|note|write|mark|put|take|set|scribble)(?P<i>s|ting|ing)? down(?= )", "record"),
    (r"(?:make|take|keep) (?:a )?(?:quick )?(?:note|record|entry|log) (?:of|for)", "record"),
    (r"note(?= (?:it|them|that|this)\b)", "record"),
    (r"make (?:sure|certain|it sure)(?: that)?", "ensure"),
    (r"see to it that", "ensure"),
    (r"double[- ]check(?= )", "check"),
    (
        r"(?:have|take|has|having) an? (?:quick |good |close |closer )?look (?:at|through|over|into)",
        "look at",
    ),
    (
        r"(?:look|go|run|sift|comb|leaf|trawl|dig|flick|skim|page|work|read|plough|plow|search|"
        r"scan)(?:ing)? through(?= (?!#))",
        "look at",
    ),
    (r"(?:go|look|run) over(?= )", "look at"),
    (
        r"(?:put|pull|bring|gather|scrape|get|collect|roll|tie|wrap|mash|lump|stitch|join|throw|mix|"
        r"fold)(?:ing)? (?P<what>both|it all|them (?:all|both)|everything|"
        r"the (?:two|three|four|results?|lists?|summaries|findings)|all (?:of (?:it|them|that)|that|three|"
        r"two|four)) (?:up |together )*(?P<in>into|in|to)(?= (?:one|an?|the) )",
        r"combine \g<what> \g<in>",
    ),
    (
        r"(?:pull|bring|roll|tie|wrap|mash|lump|stitch|put|throw|merge|fold)(?:ing)? (?P<what>both|it all|"
        r"them(?: all| both)?|everything|all of (?:it|them|that)) (?:up|together)(?: into)?",
        r"combine \g<what> into",
    ),
    (
        r"(?:roll|wrap|sum|boil|condense|round)(?:ing)? (?P<what>it|them|this|that|everything|all of (?:it|"
        r"them|that)|it all|the results?) (?:up|down)",
        r"summarise \g<what>",
    ),
    (
        r"(?:put|pull|draw|whip|knock|rustle|write|bring|get)(?:ting|ing)? (?:together|up)(?= (?:an?|the|"
        r"one|some|our|my) )",
        "compile",
    ),
    (r"(?:dig|fish|root|ferret|hunt)(?:ging|ing|ting)? (?:out|down|up)(?= )", "find"),
    (r"round(?:ing)? up(?= (?:the|all|our|my|this|last|any|every|new)\b)", "collect"),
    (r"(?:fire|send|shoot|ship|dispatch)(?:ing)? (?:off|out|over|across)(?= )", "send"),
    (
        r"(?P<v>send|forward|hand|pass|ship|shoot)(?:ing)? (?P<what>it|them|this|that|those|these|the "
        r"\w+(?: \w+)?) (?:on|off|out|over|along|across)(?= |$|,)",
        r"send \g<what>",
    ),
    (r"(?:pass|hand|send) (?:on|over|along)(?= )", "send"),
    (r"(?:pass|hand|wave) (?P<what>it|them|this|that|those) through", r"approve \g<what>"),
    (r"sign (?P<what>it|them|this|that|those) off", r"approve \g<what>"),
    (
        r"(?:sign off(?: on)?|green-?light|wave through|give the (?:go-ahead|green light|ok|okay)(?: to| "
        r"for)?|rubber-?stamp)",
        "approve",
    ),
    (r"(?:turn|knock) (?P<what>it|them|this|that|those|the \w+) (?:down|back)", r"reject \g<what>"),
    (r"(?:turn down|knock back|throw out)", "reject"),
    (r"say no(?: to)?(?= |$|,|\.)", "reject"),
    (
        r"(?:put|hold|park) (?P<what>it|them|this|that|those) (?:aside |back |on hold )?for (?:a |manual |"
        r"human )?(?:review|checking|approval)",
        r"review \g<what>",
    ),
    (
        r"(?:file|raise|log|lodge|open|cut|create)(?: up)?(?= (?:an? |the |another |one |it |them |this "
        r")(?:\w+ ){0,3}?(?:ticket|issue|bug|card|task|case)s?\b)",
        "create",
    ),
    (r"open up", "open"),
    (r"(?:get|gets) (?P<who>#[\w-]+) to", r"ask \g<who> to"),
    (r"(?:ring|call|get in touch with|reach out to|contact|talk to|speak to|drop)(?= (?:#|zze))", "message"),
    (r"shout (?:in|into|at|to)(?= #)", "post in"),
    (r"(?:make|do) (?:a )?(?:post|announcement)(?= (?:in|to|on))", "post"),
    (
        r"(?:they |it )?(?:go|goes|is put|are put|is sent|are sent|gets?) (?:in)?to (?:manual |human "
        r")?review(?= |$|,|;|\.)",
        "review it",
    ),
    (
        r"(?<!new row )(?<!new entry )(?<!new item )(?<!new issue )(?<!new ticket )(?<!new task )"
        r"(?<!new page )(?<!new message )(?<!new record )(?<!new lead )(?<!new project )(?<!new customer )"
        r"(?:goes|go|going|gets?|comes?|lands?|ends? up|is to go|belongs?)(?: straight| directly| just| "
        r"right)?(?= (?:in|into|to|onto|on) (?:#|the #|our #|(?:the |our )?(?:\w+ )?(?:Notion|Slack|Linear|"
        r"GitHub)\b))",
        "put it",
    ),
    (
        r"(?:needs?|require|requires|wants?)(?: an?| the)?(?: \w+)? (?:approval|sign-?off|review|an? ok|a "
        r"look)(?= (?:in|from|by|of) #)",
        "ask for approval",
    ),
    (r"(?:work|figure|find) out", "calculate"),
    (r"tot(?:al)? up|add up|tally up", "total"),
    (r"touch base with", "message"),
    (
        r"keep (?:me|us) (?:up to date|up-to-date|posted|informed|updated|in the loop)(?: on| about| with| "
        r"of)?",
        "watch",
    ),
    (r"(?:don't|do not) (?:bother|worry|do anything|need anything)", "do nothing"),
)
"""Patterns and what stands for them; who it is for and what it is about are kept."""
