"""The top of the Home sheet: prompt, completion, the controls, what is wrong in words, and the workbook's self-check.

Twin of what the yellow cells mean: `workbook/inputs.py`.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2 import sampling
from sheetgpt.gpt2.sampling import COLDEST, HOTTEST, MAX_SEED, MAX_TOP_K
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.limits import MAX_TEXT
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.home.chat import answered, full_prompt
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.sheets.layout import INPUTS, Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.state import Now, Prompt
from sheetgpt.sheets.text.text_layout import Text
from sheetgpt.sheets.text.tokenizer import PROBLEM, messages
from sheetgpt.sheets.text.tokenizer_layout import LINE_BREAK
from sheetgpt.text import bpe

LEAST = "1E-300"  # instead of the largest logit, where all of them are 0
FINE = "Everything is in order."
NOTE = "Note: "
SLID = f"{NOTE}the prompt and the new tokens don't fit into the columns, so the prompt's first tokens were dropped."
AGREES = "✓ the ten largest logits agree with NumPy's to nine digits"
DIFFERS = "✗ the ten largest logits differ from NumPy's by more than 1E"
WHY = ": was a weight or a formula changed?"
OTHER_INPUTS = "– the inputs are not those of the build, so there is nothing to compare with"
NEW_LINE = (
    f"For a line break, type or paste {LINE_BREAK}. (Alt+Enter, or Ctrl+Enter in LibreOffice, works too, but not in "
    "LibreOffice 26.)"
)
N_CHECKED = 10  # logits
BITS, INFINITE = 1023, "∞"  # a double ends below 2^1024
WIDE = FIRST_TOKEN + 11  # the prompt's box ends here


def bar(number: int, palette: Palette) -> Cells:
    """The coloured rest of a section's title row."""
    return rows.joined(rows.blank(c, palette["maths"]) for c in range(2, FIRST_TOKEN + 12))


def ranges(layout: Layout) -> dict[str, tuple[float, float, bool, str]]:
    """Of each setting: least, most, whether whole, and the sentence for what is none of these."""
    most = layout.context - 1
    return {
        "new_tokens": (0, most, True, f"New tokens must be a whole number from 0 to {most}."),
        "temperature": (0, HOTTEST, False, f"The temperature must be 0, or a number from {COLDEST:g} to {HOTTEST}."),
        "top_k": (1, MAX_TOP_K, True, f"top_k must be a whole number from 1 to {MAX_TOP_K}."),
        "top_p": (0, 1, False, "top_p must be above 0 and at most 1."),
        "seed": (0, MAX_SEED, True, f"The seed must be a whole number from 0 to {MAX_SEED}."),
        "score_prompt": (0, 1, True, "“Score the prompt” must be 0 or 1."),
    }


TITLES = {
    "new_tokens": ("New tokens", "How many tokens to write after the prompt."),
    "temperature": ("Temperature", "0 always takes the likeliest token. Below 1: more cautious. Above 1: wilder."),
    "top_k": ("top_k", f"Choose only among this many of the likeliest tokens, 1 to {MAX_TOP_K}."),
    "top_p": ("top_p", "Of these, keep the likeliest that together reach this probability. 1 keeps all."),
    "seed": ("Seed", "The same seed gives the same text, another seed another text."),
    "score_prompt": ("Score the prompt", "1 shows how surprising each token of the prompt is. 0 is faster."),
}


def inputs_rows(layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now) -> Iterator[Row]:
    home = layout
    title = f"GPT-2 in a spreadsheet: {now.model}"
    yield rows.row(1, rows.text(1, title, palette["title"]), height=28)
    does = "continues your text" if layout.chat is None else "answers you"
    words = (
        f"Change a yellow cell: the whole network recalculates and {does}. Every weight is a cell, every "
        "step a formula, every token a column. If nothing happens, press F9 (in LibreOffice Ctrl+Shift+F9)."
    )
    yield rows.row(2, rows.text(1, words, palette["note"]))
    if text is not None:
        yield rows.row(3, rows.text(3, NEW_LINE, palette["note"]))
        yield from _text_boxes(layout, palette, now)
        source = completion_formula(layout, text)
        cell = rows.formula(3, source, now.completion, palette["completion"])
        title = "The model continues" if layout.chat is None else "The model answers"
        yield _box(palette, home["completion"].row, title, cell, "completion")
    n = home["message"].row
    message = rows.formula(3, message_formula(layout, text), message_now(layout, text, now), palette["message"])
    yield rows.row(n, rows.text(1, "Status", palette["name"]), message)
    n = home["prompt_text"].row
    read = rows.formula(3, prompt_text(layout, text), now.prompt_text, palette["quote"])
    yield rows.row(n, rows.text(1, "As the model reads it", palette["name"]), read)
    n = home["new_tokens"].row - 1
    yield rows.row(n, rows.text(1, "Settings", palette["section"]), bar(n, palette))
    facts = dict(_facts(layout, text, palette, prompt, now))
    for name in INPUTS:
        n, (title, hint) = home[name].row, TITLES[name]
        value = {"new_tokens": now.inputs.new_tokens, "score_prompt": int(now.inputs.score_prompt)}.get(name)
        value = getattr(now.inputs.sampling, name) if value is None else value
        cells = rows.text(1, title, palette["name"]), rows.number(3, value, palette["input"])
        yield rows.row(n, *cells, rows.text(4, hint, palette["note"]), facts.pop(n, ()))
    n = home["settings_ok"].row
    ok = rows.formula(3, settings_ok(layout), 1, palette["flag"])
    yield rows.row(n, rows.text(1, "All settings valid?", palette["label"]), ok, facts.pop(n, ()))
    n = home["self_check"].row
    check = rows.formula(3, self_check(layout, text), now.self_check, palette["quote"])
    yield rows.row(n, rows.text(1, "Self-check", palette["name"]), check)
    if now.cost is not None:
        n = home["self_check"].row + 1
        price = rows.text(3, f"{layout.weights}; {now.cost}.", palette["note"])
        yield rows.row(n, rows.text(1, "Weights", palette["name"]), price)


def _text_boxes(layout: Layout, palette: Palette, now: Now) -> Iterator[Row]:
    """The cells for a text. A chat has two: what is in the first takes the place of the second."""
    home, inputs = layout, now.inputs
    prompt = rows.text(3, prompt_cell(inputs.prompt), palette["prompt"])
    if layout.chat is None:
        yield _box(palette, home["prompt"].row, "Prompt: type any text", prompt)
        return
    says = rows.text(3, prompt_cell(inputs.user_says), palette["prompt"])
    yield _box(palette, home["user_says"].row, "Say something", says)
    yield _box(palette, home["prompt"].row, "or leave that empty, and type a prompt", prompt)
    n, value = home["full_prompt"].row, prompt_cell(inputs.text(layout))
    cell = rows.formula(3, full_prompt(layout), value, palette["quote"])
    yield rows.row(n, rows.text(1, "The prompt in full", palette["name"]), cell)


def _box(palette: Palette, n: int, title: str, cell: Cells, style: str = "prompt") -> Row:
    """A line whose cell is merged up to the column WIDE."""
    rest = rows.joined(rows.blank(c, palette[style]) for c in range(4, WIDE + 1))
    return rows.row(n, rows.text(1, title, palette["name"]), cell, rest, height=36)


def _facts(
    layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now
) -> Iterator[tuple[int, Cells]]:
    """On the right of the controls, by row: how many tokens there are, and how surprising."""
    home, soft = layout, layout
    given, dropped, n_prompt = (home[name].local for name in ("n_given", "n_dropped", "n_prompt"))
    typed = f"SUM({home['ids_typed'].local})"
    if text is not None:
        typed = f"IF({home['n_ids'].local}>0,{typed},{text.tokenizer.cells['n_tokens'].reference})"
    room = f"{layout.context}-IF({home['settings_ok'].local}=1,{home['new_tokens'].local},0)"
    surprise = home["surprisal"].local
    total = f'SUMIF({home["positions"].local},"<"&{n_prompt},{surprise})'
    scored = f"AND({home['score_prompt'].local}=1,{n_prompt}>1)"
    heat, sums = home["temperature"].local, soft["next_sum"].reference
    mean = f"SUMPRODUCT({soft['next_probs'].reference},{soft['next_logits'].reference}-{soft['next_max'].reference})"
    entropy = f"IF({heat}=0,0,(LN({sums})-{mean}/{heat})/LN(2))"
    known = now.inputs.score_prompt and prompt.n_prompt > 1
    bits_each = float(np.mean(now.surprisal[1 : prompt.n_prompt])) if known else 0.0
    probs = sampling.probabilities(now.logits, now.inputs.sampling.temperature)
    bits = -float(np.sum(probs[probs > 0] * np.log2(probs[probs > 0])))
    mean_bits = f'IF({scored},{total}/({n_prompt}-1),"")'
    loss, some = home["loss"].local, f"{home['n_tokens'].local}*{home['settings_ok'].local}>0"
    perplexity = f'IF(ISNUMBER({loss}),IF({loss}<{BITS},2^{loss},"{INFINITE}"),"")'
    perplexity_now: float | str = "" if not known else 2**bits_each if bits_each < BITS else INFINITE
    lines: tuple[tuple[str, str, str, float | str, str], ...] = (
        ("n_given", "Prompt tokens", typed, now.n_given, "id"),
        ("n_dropped", "– dropped for lack of room", f"MAX(0,{given}-({room}))", now.n_given - prompt.n_prompt, "id"),
        ("n_prompt", "– kept", f"{given}-{dropped}", prompt.n_prompt, "id"),
        ("n_tokens", "All tokens, with the new ones", f"SUM({home['active'].local})", prompt.n, "id"),
        ("loss", "Prompt's surprise, bits per token", mean_bits, bits_each if known else "", "share"),
        ("perplexity", "Prompt's perplexity", perplexity, perplexity_now, "share"),
        ("entropy", "Next token's entropy, bits", f'IF({some},{entropy},"")', bits, "share"),
    )
    hot = float(sampling.doubt(now.logits, now.inputs.sampling.temperature))
    by_name = {"loss": now.doubt, "perplexity": now.doubt, "entropy": max(now.doubt, hot)}
    for name, title, source, value, style in lines:
        area = home[name]
        label = rows.text(area.column - 4, title, palette["name"])
        yield area.row, label + rows.formula(area.column, source, value, palette[style], by_name.get(name, 0.0))


def decoded_prompt(layout: Layout, text: Text) -> str:
    """The text up to the last byte of the prompt's tokens."""
    end = text.decoding.column("end").reference
    n_bytes = f"INDEX({end},{layout['n_prompt'].local})"
    seen = f"INDEX({text.decoding.column('text').reference},MIN({n_bytes},{text.decoding.capacity}))"
    return f'IF({layout["n_prompt"].local}=0,"",IF({n_bytes}=0,"",{seen}))'


def prompt_text(layout: Layout, text: Text | None) -> str:
    """What the prompt's tokens spell; without a tokenizer all tokens' numbers, strung together."""
    if text is not None:
        return decoded_prompt(layout, text)
    return "&".join(layout["token_text"].at(0, t) for t in range(layout.context))


def completion_formula(layout: Layout, text: Text) -> str:
    """What the written tokens add to the text."""
    whole = text.decoding.text.reference if layout.chat is None else answered(layout, text)
    return f"MID({whole},LEN({layout['prompt_text'].local})+1,{MAX_TEXT})"


def settings_ok(layout: Layout) -> str:
    """1 when every setting is a number in its range: only then does the workbook choose tokens."""
    home = {name: layout[name].local for name in INPUTS}
    numbers = ",".join(f"ISNUMBER({cell})" for cell in home.values())
    return f"IF(AND({numbers}),IF(AND({','.join(_in_range(layout, name) for name in INPUTS)}),1,0),0)"


def _in_range(layout: Layout, name: str) -> str:
    cell, (least, most, whole, _) = layout[name].local, ranges(layout)[name]
    low = {"temperature": f"OR({cell}=0,{cell}>={COLDEST})", "top_p": f"{cell}>0"}.get(name, f"{cell}>={least:g}")
    return f"{low},{cell}<={most:.0f}" + (f",INT({cell})={cell}" if whole else "")


def message_formula(layout: Layout, text: Text | None) -> str:
    home = layout
    n_ids, given = home["n_ids"].local, home["n_given"].local
    last = layout.config.n_vocab - 1
    gap = f"The row of token ids has a gap, or an entry that is not an id (0 to {last})."
    checks = [(f"{n_ids}>SUM({home['ids_typed'].local})", f'"{gap}"')]
    if text is None:
        nothing = f"Type a token id from 0 to {last} into the first yellow cell of the row of token ids."
        checks.append((f"{given}=0", f'"{nothing}"'))
    else:
        problem, words = (text.tokenizer.cells[name].reference for name in ("problem", "message"))
        checks.append((f"{given}=0", words))
    for name, (*_, sentence) in ranges(layout).items():
        cell = home[name].local
        checks.append((f"IF(ISNUMBER({cell}),NOT(AND({_in_range(layout, name)})),TRUE)", f'"{sentence}"'))
    checks.append((f"{home['n_dropped'].local}>0", f'"{SLID}"'))
    if text is not None:
        checks.append((f"AND({n_ids}=0,{problem}={PROBLEM[bpe.EMPTY]})", f'"{NOTE}"&{words}'))
    formula = f'"{FINE}"'
    for condition, sentence in reversed(checks):
        formula = f"IF({condition},{sentence},{formula})"
    return formula


def message_now(layout: Layout, text: Text | None, now: Now) -> str:
    if now.n_given > layout.context - now.inputs.new_tokens:
        return SLID
    if text is not None and not now.inputs.text(layout) and not now.inputs.ids:
        return NOTE + messages(text.tokenizer)[PROBLEM[bpe.EMPTY]]
    return FINE


def self_check(layout: Layout, text: Text | None) -> str:
    """The workbook's own numbers against the evaluator's, while the inputs are those of the build."""
    home = layout
    names = ("built_settings", "built_n_prompt", "built_ids", "built_prompt", "built_logits")
    built = {name: layout[name].reference for name in names}
    settings = home["new_tokens"].rows_of(0, layout["built_settings"].n_rows)
    position, n_prompt, ids = (home[name].local for name in ("positions", "n_prompt", "token_ids"))
    same = [f"SUMPRODUCT(1*({settings.local}<>{built['built_settings']}))=0", f"{n_prompt}={built['built_n_prompt']}"]
    same.append(f"SUMPRODUCT(({position}<{n_prompt})*({ids}<>{built['built_ids']}))=0")
    if text is not None:
        same.append(f"OR({home['n_ids'].local}>0,EXACT({layout.read_prompt.local},{built['built_prompt']}))")
    top = home["top_logits"].rows_of(0, layout["built_logits"].n_rows).local
    logits = built["built_logits"]  # only operators go down a whole column in Gnumeric: no ABS
    difference = f"SQRT(SUMPRODUCT(({top}-{logits})*({top}-{logits})))/MAX(MAX({logits}),-MIN({logits}),{LEAST})"
    power = f"INT(LN({difference})/LN(10))"  # TEXT would take its format in the user's language
    no = f'"{DIFFERS}"&{power}&"{WHY}"'
    verdict = f'IF({difference}<0.000000001,"{AGREES}",{no})'
    return f'IF({home["settings_ok"].local}=0,"",IF(AND({",".join(same)}),{verdict},"{OTHER_INPUTS}"))'


def self_check_now(logits: NDArray[Any], built: NDArray[Any]) -> str:
    """The twin of `self_check`, where the inputs are those of the build."""
    theirs = np.sort(built)[::-1][:N_CHECKED]
    difference = logits[sampling.top(logits, len(theirs))] - theirs
    with np.errstate(all="ignore"):  # whatever a damaged Model sheet says
        size = float(np.sqrt(difference @ difference) / max(np.abs(theirs).max(), float(LEAST)))
    if size < 1e-9:
        return AGREES
    return f"{DIFFERS}{math.floor(math.log10(size)) if math.isfinite(size) else 0}{WHY}"
