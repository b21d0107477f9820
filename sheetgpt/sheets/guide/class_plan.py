"""The plan of a class on the sheet Guide: ninety minutes, which sheet when, and what everybody does there."""

from dataclasses import dataclass

from sheetgpt.sheets.grid import BY_HAND, EMBED, HOME, LAB, SAMPLE
from sheetgpt.sheets.guide.experiments import offered
from sheetgpt.sheets.layout import Layout

TITLE = "A class of ninety minutes"
NOTE = "Everybody predicts first, writes it down, and only then looks. Exercises checks what is typed there."
FOR_THE_TEACHER = (
    "For the teacher",
    "“sheetgpt build --solutions” makes a second workbook, with the exercises solved; “sheetgpt build --tiny” one "
    "whose numbers can be followed with a pencil. Status on Home names a sheet on which a formula was typed over. Ids "
    "are on Vocabulary, and Glossary says each word plainly.",
)


@dataclass(frozen=True)
class Part:
    minutes: str
    sheet: str  # where it begins
    words: str


def plan(layout: Layout) -> list[Part]:
    """Of what this workbook has; none where it has no exercises."""
    return [part for part in _parts(layout) if part.sheet] if "exercises" in layout.optional else []


def _experiment(layout: Layout, sheet: str) -> str:
    """Which of this workbook's experiments is made on a sheet; nothing where none is."""
    sheets = [one.sheet for one in offered(layout)]
    return f"the {('first', 'second')[sheets.index(sheet)]} experiment" if sheet in sheets else ""


def _parts(layout: Layout) -> list[Part]:
    def there(title: str) -> str:
        return title if title.lower() in layout.optional else ""

    text, two = layout.reads_text, layout.lanes == 2
    looking, knowing = (_experiment(layout, sheet) for sheet in ("Attention", "Lens"))
    begins = "Ask something" if layout.chat is not None else "Type a beginning"
    return [
        Part(
            "0 to 10",
            HOME,
            f"{begins}. Which word comes next? Everybody names one and says how sure they are; then look at "
            "the table. Temperature 0, 1 and 2: what changes in the text, and what doesn't?",
        ),
        Part("10 to 20", there("Map"), "The whole way on one page: five boxes, and a link from each to its rows."),
        Part(
            "20 to 30",
            BY_HAND if text else "",
            "A text of one's own: which pair joins first? Then the exercise “One merge”.",
        ),
        Part("30 to 40", EMBED, "Read one column downwards. The exercises “Token + position” and “Layer norm”."),
        Part(
            "40 to 55",
            there("Attention"),
            f"Who looks at whom? The exercises on scores, weights and values{looking and f', and {looking} above'}.",
        ),
        Part(
            "55 to 65",
            there("Lens"),
            f"From which block on is the answer known?{knowing and f' {knowing.capitalize()}.'}",
        ),
        Part(
            "65 to 75",
            SAMPLE,
            "From logits to a choice: the exercises on softmax, surprise and the draw. Who gets another token with "
            "the same prompt, and why?",
        ),
        Part(
            "75 to 90",
            LAB if two else there("Contributions"),
            "Switch off the head that you hold responsible; was it? Say first what lane B will write."
            if two
            else "Which part decided? Name a head before you look. “sheetgpt build --lab” makes a workbook in which it "
            "can be switched off.",
        ),
    ]
