"""The top of the Home sheet: prompt and completion, what is wrong in words, the settings.

What the yellow cells mean: `workbook/yellow/inputs.py`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from openpyxl.formatting.rule import CellIsRule, FormulaRule
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.checkpoints.quantize import EXACT
from sheetgpt.gpt2.generation.sampling import COLDEST, HOTTEST, MAX_SEED, MAX_TOP_K
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.limits import MAX_TEXT
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.grid import FIRST_TOKEN, LABEL
from sheetgpt.sheets.home import overwritten
from sheetgpt.sheets.home.chat import answered, full_prompt
from sheetgpt.sheets.home.facts import lengths, surprises
from sheetgpt.sheets.home.self_check import self_check
from sheetgpt.sheets.inputs import LINE_BREAK, prompt_cell
from sheetgpt.sheets.layout import INPUTS, Layout
from sheetgpt.sheets.page import Beside, Space, Stack, Texts
from sheetgpt.sheets.state import Now, State
from sheetgpt.sheets.style.looks import put
from sheetgpt.sheets.tensor import Kind, Value
from sheetgpt.sheets.text.pages import Text
from sheetgpt.sheets.text.tokenizer import PROBLEM, messages
from sheetgpt.text import bpe

FINE = "Everything is in order."
NOTE = "Note: "
BOTH = f"{NOTE}both boxes are filled, so what you say is read, and the prompt below it is not."
COMMA = "Is it a decimal? Some programs want 0.8, others 0,8."
SLID = f"{NOTE}the prompt and the new tokens don't fit into the columns, so the prompt's first tokens were dropped."
SLID_READING = f"{NOTE}the prompt doesn't fit into the columns, so its first tokens were dropped."
NEW_LINE = (
    f"For a line break, type or paste {LINE_BREAK}. (Alt+Enter, or Ctrl+Enter in LibreOffice, works too, but not in "
    "LibreOffice 26.)"
)
ONLY_READS = "This workbook only reads (build --reads-only), so New tokens must be 0."
WRITES_NOTHING = "Nothing is written here: below is what comes next"
TYPED = 3  # column: what is typed
NAME, NUMBER, HINT = FIRST_TOKEN, FIRST_TOKEN + 2, FIRST_TOKEN + 3  # of the settings
WIDE = FIRST_TOKEN + 11  # the prompt's box ends here


def boxes(layout: Layout, text: Text | None) -> list[Part]:
    """The cells for a text, and what the model makes of it; as many rows without a tokenizer.

    A chat has two: what is in the first takes the place of the second.
    """
    if not layout.reads_text:
        return [Space(3)]

    def typed(name: str, title: str, twin: Callable[[State], str]) -> Part:
        return box(title, cell(TYPED, None, twin, "prompt", name, kind=Kind.INPUT), "prompt")

    def prompt_now(state: State) -> str:
        return prompt_cell(state.inputs.prompt)

    def full_now(state: State) -> str:
        return prompt_cell(state.inputs.text(layout))

    source = None if text is None else partial(completion, layout, text)  # a page that is only declared knows no text
    end = cell(TYPED, source, lambda state: state.now.completion, "completion", "completion", kind=Kind.TEXTS)
    hint = Texts({TYPED: NEW_LINE}, "note")
    if layout.chat is None:
        prompt = typed("prompt", "Prompt: type any text", prompt_now)
        return [hint, prompt, box(WRITES_NOTHING if layout.reads_only else "The model continues", end, "completion")]

    return [
        hint,
        typed("user_says", "Say something", lambda state: prompt_cell(state.inputs.user_says)),
        typed("prompt", "or leave that empty, and type a prompt", prompt_now),
        said("full_prompt", "The prompt in full", partial(full_prompt, layout), full_now),
        box(WRITES_NOTHING if layout.reads_only else "The model answers", end, "completion"),
    ]


def box(title: str, held: Block, style: str) -> Part:
    """A line whose cell is merged up to the column WIDE."""
    rest = dict.fromkeys(range(TYPED + 1, WIDE + 1), "")
    return Beside(Texts({LABEL: title} | rest, style, {LABEL: "name"}, height=32), held)


def said(name: str, title: str, formula: Callable[[], str], twin: Callable[[State], str], style: str = "quote") -> Part:
    """A line whose cell says something."""
    return Beside(Texts({LABEL: title}, "name"), cell(TYPED, formula, twin, style, name, kind=Kind.TEXTS))


def completion(layout: Layout, text: Text) -> str:
    """What the written tokens add to the text."""
    whole = text.decoding["decoded"].reference if layout.chat is None else answered(layout, text)
    return on_one_line(f"MID({whole},LEN({layout['prompt_text'].local})+1,{MAX_TEXT})")


def on_one_line(text: str) -> str:
    """A line feed as the sign for it, as it is typed: a cell is as high as it is, and would hide a second line.

    As many characters as before: what is written after the prompt begins at LEN + 1.
    """
    return f'SUBSTITUTE({text},CHAR(10),"{LINE_BREAK}")'


def status(layout: Layout, text: Text | None) -> list[Part]:
    def told(state: State) -> str:
        return message_now(layout, state.text, state.now)

    message = cell(TYPED, lambda: message_formula(layout, text), told, "message", "message", kind=Kind.TEXTS)
    return [
        Beside(Texts({LABEL: "Status"}, "name"), replace(message, colours=[colour_message])),
        said("prompt_text", "As the model reads it", partial(prompt_text, layout, text), lambda s: s.now.prompt_text),
    ]


def colour_message(frame: Worksheet, area: Area) -> None:
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    note = FormulaRule([f'LEFT({area.local},{len(NOTE)})="{NOTE}"'], font=Font(color="C55A11"))
    put(frame, area, fine, note)


def prompt_text(layout: Layout, text: Text | None) -> str:
    """What the prompt's tokens spell; without a tokenizer all tokens' numbers, strung together."""
    if text is not None:
        return decoded_prompt(layout, text)
    return "&".join(layout["token_text"].at(0, t) for t in range(layout.context))


def typed_over(layout: Layout, text: Text | None) -> Part:
    """In a folded row."""
    return overwritten.overwritten(layout, text, lambda: "" if text is None else completion(layout, text))


def decoded_prompt(layout: Layout, text: Text) -> str:
    """The text up to the last byte of the prompt's tokens."""
    end = text.decoding["end"].reference
    n_bytes = f"INDEX({end},{layout['n_prompt'].local})"
    texts = text.decoding["text"]
    seen = f"INDEX({texts.reference},MIN({n_bytes},{texts.n_rows}))"
    return f'IF({layout["n_prompt"].local}=0,"",IF({n_bytes}=0,"",{on_one_line(seen)}))'


def message_formula(layout: Layout, text: Text | None) -> str:
    n_ids, given = layout["n_ids"].local, layout["n_given"].local
    last = layout.config.n_vocab - 1
    gap = f"The row of token ids has a gap, or an entry that is not an id (0 to {last})."
    checks = [(f"{n_ids}>SUM({layout['ids_typed'].local})", f'"{gap}"')]
    if text is None:
        nothing = f"Type a token id from 0 to {last} into the first yellow cell of the row of token ids."
        checks.append((f"{given}=0", f'"{nothing}"'))
    else:
        problem, words = (text.tokenizer[name].reference for name in ("problem", "message"))
        checks.append((f"{given}=0", words))
    for name, (*_, sentence) in ranges(layout).items():
        cell = layout[name].local
        checks.append((f"IF(ISNUMBER({cell}),NOT(AND({_in_range(layout, name)})),TRUE)", f'"{sentence}"'))
    checks.append((f'{layout["overwritten"].local}<>""', overwritten.told(layout)))
    checks.append((f"{layout['n_dropped'].local}>0", f'"{slid(layout)}"'))
    if layout.chat is not None:
        checks.append((f'AND({layout["user_says"].local}<>"",{layout["prompt"].local}<>"")', f'"{BOTH}"'))
    if text is not None:
        checks.append(
            (f"AND({n_ids}=0,{problem}={PROBLEM[bpe.EMPTY]})", f'"{NOTE}"&LOWER(LEFT({words},1))&MID({words},2,300)')
        )
    formula = f'"{FINE}"'
    for condition, sentence in reversed(checks):
        formula = f"IF({condition},{sentence},{formula})"
    return formula


def slid(layout: Layout) -> str:
    return SLID_READING if layout.reads_only else SLID


def message_now(layout: Layout, text: Text | None, now: Now) -> str:
    if now.n_given > layout.context - now.inputs.new_tokens:
        return slid(layout)
    if layout.chat is not None and now.inputs.user_says and now.inputs.prompt:
        return BOTH
    if text is not None and not now.inputs.text(layout) and not now.inputs.ids:
        words = messages(text.sizes)[PROBLEM[bpe.EMPTY]]
        return f"{NOTE}{words[0].lower()}{words[1:]}"
    return FINE


def ranges(layout: Layout) -> dict[str, tuple[float, float, bool, str]]:
    """Of each setting: least, most, whether whole, and the sentence for what is none of these."""
    most = layout.most_new_tokens
    n = f"New tokens must be a whole number from 0 to {most}."
    return {
        "new_tokens": (0, most, True, ONLY_READS if layout.reads_only else n),
        "temperature": (
            0,
            HOTTEST,
            False,
            f"The temperature must be 0, or a number from {COLDEST:g} to {HOTTEST}. {COMMA}",
        ),
        "top_k": (1, MAX_TOP_K, True, f"top_k must be a whole number from 1 to {MAX_TOP_K}."),
        "top_p": (0, 1, False, f"top_p must be above 0 and at most 1. {COMMA}"),
        "seed": (0, MAX_SEED, True, f"The seed must be a whole number from 0 to {MAX_SEED}."),
        "score_prompt": (0, 1, True, "“Score the prompt” must be 0 or 1."),
    }


TITLES = {
    "new_tokens": ("New tokens", "how many to write after the prompt"),
    "temperature": ("Temperature", "0: always the likeliest; below 1 more cautious, above 1 wilder"),
    "top_k": ("top_k", f"choose among this many of the likeliest, 1 to {MAX_TOP_K}"),
    "top_p": ("top_p", "of these, those that together reach this probability; 1: all"),
    "seed": ("Seed", "the same seed writes the same text"),
    "score_prompt": ("Score the prompt", "1: how surprising is each token of it? 0: faster"),
}


def titles(layout: Layout) -> dict[str, tuple[str, str]]:
    """Of each setting: its name, and a few words."""
    if not layout.reads_only:
        return TITLES
    n = "0: this workbook only reads. So a change of the settings below is quick: it changes no token."
    return TITLES | {"new_tokens": (TITLES["new_tokens"][0], n)}


def settings(layout: Layout, text: Text | None) -> Part:
    """The yellow cells with a number, and below them what the text comes to."""
    cells: list[Part] = []
    for name in INPUTS:
        title, hint = titles(layout)[name]
        words = Texts({NAME: title, HINT: hint}, styles={NAME: "name", HINT: "note"})
        typed = cell(NUMBER, None, partial(setting_now, name), "input", name, kind=Kind.INPUT)
        cells.append(Beside(words, typed))
    return Stack(*cells, *lengths(layout, text), *surprises(layout))


def settings_valid(layout: Layout) -> Part:
    """In a folded row."""
    ok = cell(TYPED, partial(settings_ok, layout), lambda state: 1, "flag", "settings_ok")
    return Beside(Texts({LABEL: "all settings valid?"}, "name", folded=True), ok)


def trust(layout: Layout) -> list[Part]:
    """Whether the numbers are the evaluator's, and what rounding the weights costs."""
    check = said("self_check", "Self-check", partial(self_check, layout), lambda state: state.now.self_check)
    price = cell(TYPED, None, lambda state: f"{layout.weights}; {state.now.cost}.", "note")
    weights = Space() if layout.weights == EXACT else Beside(Texts({LABEL: "Weights"}, "name"), price)
    return [Space(), check, weights]


def setting_now(name: str, state: State) -> Value:
    own = {"new_tokens": state.inputs.new_tokens, "score_prompt": int(state.inputs.score_prompt)}
    return own[name] if name in own else getattr(state.inputs.sampling, name)


def settings_ok(layout: Layout) -> str:
    """1 when every setting is a number in its range: only then does the workbook choose tokens."""
    cells = {name: layout[name].local for name in INPUTS}
    numbers = ",".join(f"ISNUMBER({cell})" for cell in cells.values())
    return f"IF(AND({numbers}),IF(AND({','.join(_in_range(layout, name) for name in INPUTS)}),1,0),0)"


def _in_range(layout: Layout, name: str) -> str:
    cell, (least, most, whole, _) = layout[name].local, ranges(layout)[name]
    low = {"temperature": f"OR({cell}=0,{cell}>={COLDEST})", "top_p": f"{cell}>0"}.get(name, f"{cell}>={least:g}")
    return f"{low},{cell}<={most:.0f}" + (f",INT({cell})={cell}" if whole else "")
