"""Whether somebody typed over a cell: what Home sees of its own cells, of the network's checks and of the softmax.

No function says in every program whether a cell holds a formula, so each looks at what must hold whatever the text, the
settings and the weights are. It can't see everything; what it names is wrong.
"""

from collections.abc import Callable

from sheetgpt.sheets.block import Part, cell
from sheetgpt.sheets.grid import EMBED, HOME, LABEL, OUTPUT, SOFTMAX
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.checksums import CHECKS, CLOSE
from sheetgpt.sheets.page import Beside, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.text.pages import Text

TYPED = 3  # column
BETWEEN = ", "
TOLD = "A cell that calculates was typed over: undo that (Ctrl+Z), or take a fresh copy. Seen on: "


def overwritten(layout: Layout, text: Text | None, completion: Callable[[], str]) -> Part:
    """The sheets on which something doesn't come out, each with a comma behind it. `completion`: Home's formula."""

    def formula() -> str:
        home = f"AND({','.join(home_holds(layout, text, completion()))})"
        some = f"{layout['n_tokens'].local}*{layout['settings_ok'].local}"
        softmax = f"IF({some}=0,TRUE,ABS(SUM({layout['next_probs'].reference})-1)<{CLOSE})"
        found = [unless(home, HOME), unless(softmax, SOFTMAX)]
        for sheet, name in checks(layout).items():
            area = layout[name]
            n = f"{layout.context}+{area.n_rows - 1}*{layout['n_tokens'].local}"
            found.append(unless(f"COUNTIF({area.reference},1)={n}", sheet))
        return "&".join(found)

    return Beside(
        Texts({LABEL: "sheets typed over"}, "name", folded=True),
        cell(TYPED, formula, lambda state: "", "note", "overwritten", kind=Kind.TEXTS),
    )


def checks(layout: Layout) -> dict[str, str]:
    """Sheet -> the name of its checks."""
    blocks = {layout.block_sheet(i): f"h{i}.{CHECKS}" for i in range(layout.config.n_layer)}
    return {EMBED: "embed.checks", **blocks, OUTPUT: "logits.checks"}


def unless(holds: str, sheet: str) -> str:
    """A text in the place of a number makes an error of most conditions, which is as wrong."""
    return f'IF(ISERROR({holds}),"{sheet}{BETWEEN}",IF({holds},"","{sheet}{BETWEEN}"))'


def told(layout: Layout) -> str:
    """The sentence for Home's status: what to do first, since the sheets may be many."""
    found = layout["overwritten"].local
    return f'"{TOLD}"&LEFT({found},LEN({found})-{len(BETWEEN)})&"."'


def home_holds(layout: Layout, text: Text | None, completion: str) -> list[str]:
    """Conditions: positions count up, ids are those read and chosen, what is shown is what was written."""
    position, ids, active, chosen = (layout[n] for n in ("positions", "token_ids", "active", "sample_chosen_id"))
    n_prompt, n_given, n_dropped, n_ids = (layout[n].local for n in ("n_prompt", "n_given", "n_dropped", "n_ids"))
    last, found = layout.context - 1, [f"{position.stripe(0).local}=0"]
    if last:
        after, before = (position.columns_of(first, last).local for first in (1, 0))
        written = f"({after}>={n_prompt})*{active.columns_of(1, last).local}"
        other = f"({ids.columns_of(1, last).local}<>{chosen.columns_of(0, last).reference})"
        found += [f"SUMPRODUCT(({after}-{before}-1)*({after}-{before}-1))=0", f"SUMPRODUCT({written}*{other})=0"]
    read = f"SUM({layout['prompt_ids'].local})"
    if text is not None:
        read = f"IF({n_ids}>0,{read},SUM({text.tokenizer['ids'].reference}))"
    seen = f'SUMIF({position.local},"<"&{n_prompt},{ids.local})'
    found += [f"IF(AND({n_given}>0,{n_dropped}=0),{seen}={read},TRUE)", f"{n_prompt}={n_given}-{n_dropped}"]
    if text is not None:
        found.append(f"EXACT({layout['completion'].local},{completion})")
    return found
