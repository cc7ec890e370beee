"""SKILL.md files as they are found in the wild: odd, foreign, half broken; a hundred of them and more."""

from __future__ import annotations

from itertools import product

BODY = "\n# Title\n\nDo the thing, step by step.\n"

HEADS: dict[str, str] = {
    "plain": "name: pdf-tools\ndescription: Works with PDF files. Use when PDFs are mentioned.",
    "unquoted colon": "name: pdf-tools\ndescription: Use when: the person asks for PDFs: all of them",
    "title case name": "name: PDF Tools\ndescription: Works with PDFs",
    "underscores": "name: pdf_tools_v2\ndescription: Works with PDFs",
    "foreign letters": "name: übersetzer-für-pdf\ndescription: Übersetzt jedes PDF 📄",
    "chinese": "name: 文档工具\ndescription: 处理 PDF 文件。",
    "long description": "name: pdf-tools\ndescription: " + "Works with very many kinds of files. " * 60,
    "folded": "name: pdf-tools\ndescription: >\n  Works with PDFs\n  over several lines.\n",
    "literal": "name: pdf-tools\ndescription: |\n  Works with PDFs.\n\n  - one\n  - two\n",
    "stripped": "name: pdf-tools\ndescription: >-\n  Works with PDFs",
    "no name": "description: Works with PDFs",
    "no description": "name: pdf-tools",
    "empty": "",
    "comments": "# made by hand\nname: pdf-tools # inline\ndescription: Works with PDFs # see docs",
    "tools string": "name: x\ndescription: y\nallowed-tools: Read, Write, Bash(git *), Bash(npm run test:*)",
    "tools spaces": "name: x\ndescription: y\nallowed-tools: Read Write Bash(pdf2txt *)",
    "tools list": "name: x\ndescription: y\nallowed-tools:\n  - Read\n  - Bash(python *)\n  - mcp__figma__*",
    "tools flow": "name: x\ndescription: y\nallowed-tools: [Read, 'Bash(ls *)', WebFetch]",
    "tools number": "name: x\ndescription: y\nallowed-tools: 5",
    "tools map": "name: x\ndescription: y\nallowed-tools:\n  read: true\n  write: false",
    "tools open": "name: x\ndescription: y\nallowed-tools: Bash(git",
    "licence": "name: x\ndescription: y\nlicense: Complete terms in LICENSE.txt",
    "metadata": "name: x\ndescription: y\nmetadata:\n  author: Ada\n  version: '1.0'\n  nested:\n    a: 1",
    "version": "name: x\ndescription: y\nversion: 1.2.3\nauthor: Ada <ada@example.com>",
    "model": "name: x\ndescription: y\nmodel: claude-opus-4\ncontext: fork\nagent: Explore",
    "hooks": "name: x\ndescription: y\nhooks:\n  PreToolUse:\n    - matcher: Bash\n      command: ./check.sh",
    "schedule": "name: x\ndescription: y\nschedule: '0 9 * * 1'\ntrigger: push",
    "arguments": "name: x\ndescription: y\nargument-hint: '[issue-number]'\narguments: [a, b]",
    "flags": "name: x\ndescription: y\nuser-invocable: no\ndisable-model-invocation: true",
    "tags string": "name: x\ndescription: y\ntags: pdf, docs , forms",
    "tabs": "name:\tpdf-tools\ndescription:\tWorks with PDFs\ntags:\n\t- a",
    "quotes": "name: \"pdf-tools\"\ndescription: 'It''s \"great\": really'",
    "odd quotes": "name: pdf-tools\ndescription: \"Works\" with PDFs and \"more\"",
    "backticks": "name: pdf-tools\ndescription: `Works` with PDFs",
    "at sign": "name: pdf-tools\ndescription: @works with PDFs",
    "percent": "name: pdf-tools\ndescription: %works with PDFs",
    "star": "name: pdf-tools\ndescription: *all* the PDFs",
    "exclamation": "name: pdf-tools\ndescription: !important works",
    "braces": "name: pdf-tools\ndescription: {{ template }} for PDFs",
    "brackets": "name: pdf-tools\ndescription: [beta] works with PDFs",
    "dashes": "name: pdf-tools\ndescription: works --- with --- PDFs",
    "hash": "name: pdf-tools\ndescription: works with #1 PDFs",
    "url": "name: pdf-tools\ndescription: see https://example.com/a?b=c#d for more: it works",
    "xml": "name: pdf-tools\ndescription: Works <always> with </PDFs> & co",
    "number name": "name: 42\ndescription: Works with PDFs",
    "boolean name": "name: true\ndescription: yes",
    "date": "name: x\ndescription: 2026-01-01\ncreated-at: 2026-01-01T00:00:00Z",
    "null": "name: null\ndescription: ~",
    "duplicate": "name: a\nname: b\ndescription: y",
    "anchor": "name: &a x\ndescription: *a",
    "tag": "name: !!python/object/apply:os.system ['true']\ndescription: y",
    "list head": "- name: x\n- description: y",
    "scalar head": "just some words",
    "deep": "name: x\ndescription: y\nmetadata: " + "{a: " * 30 + "1" + "}" * 30,
    "capital keys": "Name: pdf-tools\nDescription: Works with PDFs",
    "spaces before colon": "name : pdf-tools\ndescription : Works with PDFs",
    "no space after colon": "name:pdf-tools\ndescription:Works",
    "indented": "  name: pdf-tools\n  description: Works with PDFs",
    "reserved": "name: agent\ndescription: Works with PDFs",
    "long name": "name: " + "a" * 100 + "\ndescription: y",
    "escapes": 'name: x\ndescription: "a\\u0000b\\ud800c\\u202ed"',
}  # fmt: skip

FRAMES: dict[str, str] = {
    "as it should be": "---\n{head}\n---\n{body}",
    "carriage returns": "CRLF---\n{head}\n---\n{body}",
    "byte-order mark": "\ufeff---\n{head}\n---\n{body}",
    "unclosed": "---\n{head}\n{body}",
    "late": "\n\n---\n{head}\n---\n{body}",
    "dots": "---\n{head}\n...\n{body}",
    "spaces": "---   \n{head}\n---\t\n{body}",
    "fenced": "```yaml\n---\n{head}\n---\n```\n{body}",
    "no body": "---\n{head}\n---",
    "rule in body": "---\n{head}\n---\n\n---\n\nname: other\n\n---\n{body}",
}


def cases() -> dict[str, bytes]:
    """Label → bytes; every head in the right frame, and a few heads in every frame."""
    made: dict[str, bytes] = {}
    few = ("plain", "unquoted colon", "hooks", "chinese", "escapes", "no description")
    pairs = [*product(HEADS, ["as it should be"]), *product(few, FRAMES)]
    for head, frame in pairs:
        text = FRAMES[frame].format(head=HEADS[head], body=BODY)
        if text.startswith("CRLF"):
            text = text.removeprefix("CRLF").replace("\n", "\r\n")
        made[f"{head} / {frame}"] = text.encode()
    made["latin-1"] = "---\nname: x\ndescription: Größe\n---\nx".encode("latin-1")
    made["utf-16"] = "---\nname: x\ndescription: y\n---\nx".encode("utf-16")
    made["nul"] = b"---\nname: x\ndescription: y\0\n---\nx"
    made["nothing"] = b""
    made["white space"] = b" \n\t\n"
    made["only prose"] = b"# Tool\n\nIt does a thing.\n"
    made["binary"] = bytes(range(256))
    made["501 lines"] = b"---\nname: x\ndescription: y\n---\n" + b"line\n" * 501
    return made
