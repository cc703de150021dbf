"""One page per student: points, what agreed and what did not, and what to do about it. Plain HTML, nothing loaded."""

import html
import re

from grading.grader import Grade, Key

SAID = {
    "right": "agrees",
    "differs": "other numbers",
    "shape": "another shape, or another count of numbers",
    "missing": "nothing came back",
}
STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --bad: #b3541e }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #f0883e } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
small { font-weight: normal; white-space: nowrap }
h2 { margin-bottom: .2rem; font-size: 1.15rem } ul { margin: .2rem 0; padding-left: 1.2rem }
.right { color: var(--good) } .differs, .shape, .missing { color: var(--bad) }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .4rem 0 }
pre { border-left: .3rem solid var(--bad); padding-left: .8rem }
"""


def page(student: str, key: Key, grade: Grade, named: dict[str, list[str]]) -> str:
    """The page for one student, whose code chose none of its markup."""
    rows = []
    for number, question in enumerate(key.questions, 1):
        name, most = question["name"], sum(question["points"].values())
        rows.append(
            f"<h2>{number}. {_inline(question['title'])} <small>{grade.points(name)} of {most}</small></h2><ul>"
        )
        for part, found in grade.parts[name].items():
            what = _inline(question["compared"].get(part, f"`{part}`"))
            hint = f" {html.escape(found.hint)}" if found.hint else ""
            rows.append(f'<li>{what}: <span class="{found.said}">{SAID[found.said]}</span>.{hint}</li>')
        rows.append("</ul>")
        rows += [f"<p>{_inline(text)}</p>" for text in named.get(name, [])]
        if grade.points(name) < most:
            rows += [f"<pre>{html.escape(text)}</pre>" for text in grade.words.get(name, [])]
    cells = [(where, texts) for where, texts in grade.words.items() if where.startswith("cell ")]
    if cells:
        rows.append("<h2>Cells that stopped with an error</h2>")
        rows += [f"<pre>{html.escape(where)}: {html.escape(text)}</pre>" for where, texts in cells for text in texts]
    remarks = "".join(f"<p><strong>{html.escape(text)}</strong></p>" for text in grade.remarks)
    title = f"{html.escape(key.title)}: {html.escape(student)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<p><strong>{grade.total} of {key.most} points.</strong></p>{remarks}{''.join(rows)}</html>\n"
    )


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
