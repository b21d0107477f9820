"""The Guide sheet: a tour in ten stops, where the parameters are, experiments, and from base model to assistant."""

from typing import Any

from sheetgpt.ooxml.area import quoted
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.grid import EMBED, GUIDE, HOME, SAMPLE, SOFTMAX, TOKENIZER
from sheetgpt.sheets.guide import assistant as guide_assistant
from sheetgpt.sheets.guide import class_plan
from sheetgpt.sheets.guide import experiments as guide_experiments
from sheetgpt.sheets.home.about import counted, parameter_parts
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Beside, Page, Paper, Space, Stack, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import ORANGE, dress

WORDS = "a tour in ten stops, experiments, a plan for a class, and how a model becomes an assistant"
NUMBER, NAME, SAID, SHARE, LAST = range(1, 6)  # columns; what is said runs on up to the last
WIDTHS = (6, 27, 14, 10, 66)  # of the columns: a laptop's window shows them whole
A_LINE = 110  # characters of what is said that surely fit into its columns, in the widest font (DejaVu Sans)

Stop = tuple[str, str, str]  # where the link goes, its text, what there is to see


def stops(layout: Layout) -> list[Stop]:
    """In the order of the computation."""
    first, n = layout.block_sheet(0), layout.config.n_layer

    def to(tensor: str) -> str:
        area = layout[tensor]
        return f"{quoted(area.sheet)}!A{area.row - 1}"

    def top(sheet: str) -> str:
        return f"{quoted(sheet)}!A1"

    ids = "This workbook has no tokenizer: type token ids into the yellow row on Home, one per token."
    corrected = 'AutoCorrect may change what you type (“ for ", a capital after a full stop): look at the cell.'
    home = f"Type a prompt. The network reads it and continues it, one token after another. {corrected}"
    chosen = "It becomes the token of the next column, on every sheet: so the text grows to the right"
    if layout.reads_only:
        home = f"Type a prompt. The network reads it and says which token comes next. {corrected}"
        chosen = "A workbook built without --reads-only puts it into the next column: so the text grows to the right"
    text = "The text is cut into words and the words into bytes; round by round, neighbouring bytes join into tokens."
    return [
        (top(HOME), "Home", home),
        (top(TOKENIZER if layout.reads_text else HOME), "Tokens", text if layout.reads_text else ids),
        (
            *(top(EMBED), "Embedding"),
            f"Each token becomes a column of {layout.config.n_embd} numbers: its own, plus those of its position. From "
            "here on a token keeps its column on every sheet, and no formula ever looks to the right.",
        ),
        (
            *(to(f"h{0}.ln_1.mean"), f"{first}: layer norm"),
            "Before a block reads a column, the column is brought to mean 0 and variance 1, then stretched and "
            "shifted by learned numbers: the green ones beside each row.",
        ),
        (
            *(to("h0.attn.probs.0"), f"{first}: attention"),
            "Each token asks (query); it and every token before it answer (key). The better the two match, the more "
            "of the answering token's value is taken. The orange squares show who looks at whom.",
        ),
        (
            *(to("h0.resid_mid"), f"{first}: what attention adds"),
            "What the heads found is mixed and added to the column: x + attention. Nothing is overwritten.",
        ),
        (
            *(to("h0.mlp.fc"), f"{first}: MLP"),
            f"{layout.config.n_inner:,} neurons look at each column by itself; the more strongly one fires, "
            "the more of its own pattern it adds.",
        ),
        (
            *(to("logits"), "Logits"),
            f"After {n} such blocks, the final state of a column is compared with every token of the vocabulary: "
            f"one number for each of {layout.config.n_vocab:,} tokens.",
        ),
        (
            *(top(SOFTMAX), "Probabilities"),
            "Divided by the temperature and put through softmax, the logits become probabilities. A low temperature "
            "makes the best one nearly certain; a high one makes all of them alike.",
        ),
        (
            *(top(SAMPLE), "The choice"),
            f"A random number picks one of the likeliest tokens. {chosen}, without macros and without circular "
            "references.",
        ),
    ]


def page(layout: Layout) -> Page:
    here = Page(GUIDE, WORDS, 1)
    here.last_column = LAST
    here.head(title="A tour in ten stops", height=28)
    here.add(Space())
    for number, (place, name, words) in enumerate(stops(layout), 1):
        add_paragraph(here, name, words, number, place)
    here.add(Space(), *parameters(here, layout), Space())
    found, elsewhere = guide_experiments.offered(layout), guide_experiments.elsewhere(layout)
    here.add(heading(guide_experiments.TITLE, guide_experiments.NOTE if found else ""))
    for number, one in enumerate(found, 1):
        add_paragraph(here, one.question, f"{one.todo} {one.guess}", number, f"{quoted(one.sheet)}!A1")
    if elsewhere:
        add_paragraph(here, "In another workbook", elsewhere)
    parts = class_plan.plan(layout)
    if parts:
        here.add(Space(), heading(class_plan.TITLE, class_plan.NOTE))
        for part in parts:
            add_paragraph(here, f"{part.minutes}: {part.sheet}", part.words, place=f"{quoted(part.sheet)}!A1")
        add_paragraph(here, *class_plan.FOR_THE_TEACHER)
    here.paper = Paper(one=True, upright=True, last_row=here.row - 1)  # what comes is for the screen, and gives answers
    here.add(Space(), heading(guide_assistant.TITLE, guide_assistant.NOTE))
    for name, words in guide_assistant.lines(chats=layout.chat is not None):
        add_paragraph(here, name, words)
    if found:
        here.add(Space(), heading(guide_experiments.OUTCOMES, "Only after you have guessed."))
    for number, one in enumerate(found, 1):
        add_paragraph(here, one.question, one.outcome, number)
    here.dresses.append(dress(dict(enumerate(WIDTHS, 1)), ORANGE, gridlines=False))
    return here


def add_paragraph(here: Page, name: str, words: str, number: int = 0, place: str = "") -> None:
    """A name, with a link where there is a place to go to, and a few sentences. `number`: 0 for none."""
    n, height = here.row, 16 * max(2, -(-len(words) // A_LINE))
    texts = {NAME: name, SAID: words} | dict.fromkeys(range(SAID + 1, LAST + 1), "")
    parts: list[Part] = [Texts(texts, "paragraph", {NAME: "link" if place else "name"}, height=height)]
    if number:
        parts.append(cell(NUMBER, None, lambda state: number, "id"))
    if place:
        here.links.append((f"B{n}", place))
    here.add(Beside(*parts))
    here.dresses.append(lambda frame: frame.merged_cells.add(f"C{n}:E{n}"))


def heading(title: str, note: str) -> Part:
    texts = dict.fromkeys(range(NUMBER, LAST + 1), "") | {NAME: title, SAID: note}
    return Texts(texts, "section", {SAID: "maths"})


def parameters(here: Page, layout: Layout) -> list[Part]:
    """Counted by formulas from the shapes on the Model sheet."""
    heads = ("", "Parameters", "how many", "share", "calculated from the shapes on the sheet Model")
    parts = parameter_parts(layout.config)
    counts, total = counted(here, layout, SAID)

    def share(i: int, j: int) -> str:
        return f"{here['counts'].line(i).local}/{here['n_params'].local}"

    def shares(state: State) -> list[float]:
        return [number(layout.config) / layout.config.n_params for *_, number in parts]

    looks: dict[str, Any] = {"n_columns": 1, "column": SHARE, "label": None, "style": "prob"}
    names = Stack(*(Texts({NAME: part}, "label") for part, *_ in parts))
    whole = Texts({NAME: "all parameters", LAST: "the number of weights in this workbook"}, "label", {NAME: "name"})
    return [
        Texts(dict(enumerate(heads, 1)), "section"),
        Beside(names, counts, Block(n_rows=len(parts), formula=share, twin=shares, **looks)),
        Beside(whole, total),
    ]
