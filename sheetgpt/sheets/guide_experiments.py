"""Experiments on the Guide sheet, each with the sheet that shows it and what came out with the bundled model.

tests/test_guide.py finds every figure of theirs anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette

TITLE = "Experiments"
NOTE = (
    "What comes out is said of the bundled model, fairytale, with 0 new tokens; another model answers in its own way."
)


@dataclass(frozen=True)
class Experiment:
    sheet: str  # where it is done
    needs: tuple[str, ...]  # optional sheets
    question: str
    todo: str
    outcome: str

    @property
    def words(self) -> str:
        return f"{self.todo} {self.outcome}"


EXPERIMENTS = (
    Experiment(
        "Attention",
        ("attention",),
        "What does this head do?",
        "Type “The king had a son and a daughter. The king had a son and a” on Home; on Attention choose block 3, "
        "head 2.",
        "The last token skips the little words and looks at the people: 26% at each “son” and 26% at “daughter”. Of "
        "all heads this one looks most at what came after an earlier copy (33% on average), but it looks at any "
        "person: no head here is a pure induction head.",
    ),
    Experiment(
        "Lens",
        ("lens",),
        "Where does the answer appear?",
        "Type “The old woman opened the” on Home and read the token “door” on Lens from left to right.",
        "After the embedding it is number 596, after block 0 number 128, after block 1 number 12. Block 2 makes it the "
        "likeliest, with 12%, and block 3 raises that to 50%.",
    ),
    Experiment(
        "Contributions",
        ("attention", "contributions"),
        "Which part decided?",
        "Type “The king and the” on Home.",
        "The model would say “king”, and what speaks for it most is a single head: block 3, head 2 adds 2.35 to a "
        "logit of 8.02, more than any MLP. On Attention you see why: it gives 69% of its attention to “king”, which it "
        "copies.",
    ),
    Experiment(
        "Neuron",
        ("neuron", "neuron-tokens"),
        "What does this neuron wait for?",
        "Type “Once upon a time there was a very pretty little” on Home; on Neuron choose block 3, neuron 191.",
        "It fires at “a”, “very”, “pretty” and “little”, where a thing is about to be named, and is silent at the "
        "other tokens. It speaks for “castle”, “bed”, “table” and “palace”.",
    ),
    Experiment(
        "Embedding",
        ("embedding",),
        "Are words directions?",
        "On Embedding, take king − man + woman; then try him − he + she, and went − go + come.",
        "The first gives “queen” (0.67), which proves little, since “queen” is nearest to “king” alone as well (0.68). "
        "The second gives “her” (0.69), although “them” is nearest to “him”. The third gives “passed”, and “came” only "
        "third: a model of 1.1 million parameters has the idea, but not every form.",
    ),
)


def offered(layout: Layout) -> list[Experiment]:
    """Those whose sheets are in the workbook."""
    return [one for one in EXPERIMENTS if {*one.needs} <= {*layout.optional}]


def link(experiment: Experiment) -> str:
    return f"{quoted(experiment.sheet)}!A1"


def experiment_rows(layout: Layout, palette: Palette, n: int) -> Iterator[Row]:
    """From row n on: the title, and an experiment a row."""
    found = offered(layout)
    if not found:
        return
    filler = rows.joined(rows.blank(column, palette["section"]) for column in (1, 4, 5))
    title, note = rows.text(2, TITLE, palette["section"]), rows.text(3, NOTE, palette["maths"])
    yield rows.row(n, filler[:1], title, note, filler[1:])
    for i, one in enumerate(found, 1):
        cells = rows.number(1, i, palette["id"]), rows.text(2, one.question, palette["link"])
        rest = (rows.blank(column, palette["paragraph"]) for column in (4, 5))
        yield rows.row(n + i, *cells, rows.text(3, one.words, palette["paragraph"]), *rest, height=48)
