"""What a sheet is asked about: a position of the text and tokens, in yellow cells; the text itself stands above them.

An empty cell, or one that holds no position and no id, asks for the usual: the prompt's last position, whatever was
written after it, and the likeliest token. So a sheet has something to show whatever stands there, and says what it made
of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.formulas import text_at, to_go_on
from sheetgpt.sheets.grid import FIRST_TOKEN, LABEL
from sheetgpt.sheets.home.after import LAST, PROMPT
from sheetgpt.sheets.home.prompt import FINE, NOTE
from sheetgpt.sheets.inside.token_words import hexadecimal, hexadecimal_now, id_now, place
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Beside, Page, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style import looks
from sheetgpt.sheets.style.choosers import Chooser, whole, whole_now
from sheetgpt.sheets.tensor import Kind, Value

POSITIONS, TOKENS = 4, 5  # rows of the text
SPELLED, TYPED, USED, SHOWN = 2, 3, 4, 5  # columns: a word's bytes, what is typed, what it comes to, the token there
NO_POSITION = "The text has no such position, so the prompt's last token is taken: positions are 0 to "
NO_WORD = "No single token is this word, so it counts as empty; the sheet Vocabulary has all tokens and their ids."
NO_TOKEN = "No token has this id, so it counts as empty: ids are 0 to "
WIDTHS = (25, 7, 10, 9, 12)  # of columns A to E

Twin = Callable[[State], Value]


@dataclass(frozen=True)
class Ask:
    """A yellow cell: what it comes to, the token there, and the sentence for what can't be used ("" where it is fine),
    each as a formula and its twin.
    """

    name: str
    title: str
    hint: str
    formula: Callable[[], str]
    now: Twin
    shown_formula: Callable[[], str]
    shown: Twin
    refusal_formula: Callable[[], str]
    refusal: Twin


@dataclass(frozen=True)
class Question:
    """The yellow cells of one page. Formulas on it say `position`, `token(name)` for what is asked."""

    page: Page
    layout: Layout

    def typed(self, name: str) -> str:
        return self.page[name].local

    def used(self, name: str) -> str:
        """What a yellow cell comes to: in the column beside it."""
        return Area(self.page.title, self.page[name].row, USED).local

    def shown(self, name: str) -> Area:
        """Where the string of the token that is asked for stands."""
        return Area(self.page.title, self.page[name].row, SHOWN)

    def guard(self, source: str, j: int) -> str:
        """Nothing is shown where there is no text to ask about."""
        return f'IF(ISNUMBER({self.used("position")}),{source},"")'

    def value(self, state: State, name: str) -> Value:
        """What stands in a yellow cell."""
        return state.chosen[self.page.prefix + name]

    def position_now(self, state: State) -> int:
        return position_now(self.value(state, "position"), state)

    def token_now(self, state: State, name: str) -> int | None:
        """The id that is asked for, by itself or by a word; None for what is none."""
        typed = self.value(state, name)
        if isinstance(typed, str):
            return id_now(typed, state.hexes)
        found = whole_now(typed, self.layout.config.n_vocab - 1, -1)
        return None if found < 0 else found

    def word(self, name: str) -> Block:
        """The bytes of the word that is typed, in the column before it, in white."""
        return cell(
            SPELLED,
            lambda: hexadecimal(self.typed(name)),
            lambda state: hexadecimal_now(self.value(state, name)),
            "hidden",
            f"{name}_bytes",
            kind=Kind.TEXTS,
            named=False,
        )

    def place(self, name: str) -> str:
        return place(self.page[f"{name}_bytes"].local, self.layout["vocab_hex"].reference)

    def number_now(self, state: State, name: str, n: int) -> int:
        return whole_now(self.value(state, name), n - 1, 0)

    @property
    def ready(self) -> str:
        """Whether there is a text, and settings that are valid."""
        return to_go_on(self.layout, self.page.title)

    def position(self) -> Ask:
        """Which position of the text; no number where there is no text."""
        text, last = self.layout["token_text"].reference, f"{self.layout['n_tokens'].reference}-1"

        def refusal() -> str:
            typed = self.typed("position")
            usual = f'IF({typed}="",TRUE,OR({typed}="{PROMPT}",{typed}="{LAST}"))'
            return f'IF({usual},"",IF({is_whole(typed, last)},"","{NO_POSITION}"&{last}&"."))'

        def refused(state: State) -> str:
            typed = self.value(state, "position")
            known = is_usual(typed) or whole_now(typed, state.prompt.n - 1, -1) >= 0
            return "" if known else f"{NO_POSITION}{state.prompt.n - 1}."

        def shown() -> str:
            used = self.used("position")
            return f'IF(ISNUMBER({used}),{text_at(text, f"1,{used}+1")},"")'

        return Ask(
            "position",
            "Position",
            "of the text above",
            lambda: f'IF({self.ready},{position_of(self.typed("position"), self.layout)},"")',
            self.position_now,
            shown,
            lambda state: state.prompt.shown[self.position_now(state)],
            refusal,
            refused,
        )

    def token(
        self, name: str, title: str, hint: str, otherwise: Callable[[], str], now: Callable[[State], int | None]
    ) -> Ask:
        """A token of the vocabulary. `otherwise`: the id where none is typed; `now`: the id that it comes to."""
        strings, last = self.layout["vocab_shown"].reference, self.layout.config.n_vocab - 1
        told = f"{NO_TOKEN}{last}."

        def formula() -> str:
            typed, found = self.typed(name), f"IF({self.place(name)}>0,{self.place(name)}-1,{otherwise()})"
            asked = f"IF(ISTEXT({typed}),{found},{whole(typed, str(last), otherwise())})"
            return f'IF(ISNUMBER({self.used("position")}),{asked},"")'

        def shown_formula() -> str:
            return f'IF(ISNUMBER({self.used(name)}),{text_at(strings, f"{self.used(name)}+1")},"")'

        def used_now(state: State) -> Value:
            found = now(state)
            return "" if found is None else found

        def shown(state: State) -> str:
            found = now(state)
            return "" if found is None else state.shown[found]

        def refusal() -> str:
            typed = self.typed(name)
            word = f'IF({self.place(name)}>0,"","{NO_WORD}")'
            return f'IF({typed}="","",IF(ISTEXT({typed}),{word},IF({is_whole(typed, str(last))},"","{told}")))'

        def refused(state: State) -> str:
            typed = self.value(state, name)
            known = typed == "" or self.token_now(state, name) is not None
            return "" if known else NO_WORD if isinstance(typed, str) else told

        return Ask(name, title, hint, formula, used_now, shown_formula, shown, refusal, refused)

    def number(self, name: str, title: str, hint: str, n: int) -> Ask:
        """A number from 0 to n - 1, without its decimals; 0 for what is none."""
        told = f"There is no such {title.lower()}, so 0 is taken: they are 0 to {n - 1}."

        def refusal() -> str:
            typed = self.typed(name)
            return f'IF({typed}="","",IF({is_whole(typed, str(n - 1))},"","{told}"))'

        def refused(state: State) -> str:
            typed = self.value(state, name)
            return "" if typed == "" or whole_now(typed, n - 1, -1) >= 0 else told

        return Ask(
            name,
            title,
            hint,
            lambda: whole(self.typed(name), str(n - 1), "0"),
            lambda state: self.number_now(state, name, n),
            lambda: '""',
            lambda state: "",
            refusal,
            refused,
        )

    def add(
        self,
        *asks: Ask,
        beside: Mapping[str, Sequence[Part]] | None = None,
        note: tuple[Callable[[], str], Twin] = (lambda: '""', lambda state: ""),
    ) -> None:
        """The heads, the yellow cells, and below them the first thing that is to be said about them.

        `beside`: more parts in the row of an ask, or in that of the "heads" or the "status"; `note`: a sentence to say
        where nothing else is.
        """
        more = beside or {}
        heads = Texts({TYPED: "type here", USED: "in use", SHOWN: "token"})
        self.page.add(Beside(heads, *more.get("heads", ())))
        for ask in asks:
            title = {LABEL: ask.title, FIRST_TOKEN: ask.hint}
            self.page.add(
                Beside(
                    Texts(title, styles={LABEL: "name", FIRST_TOKEN: "note"}),
                    cell(TYPED, None, partial(self.value, name=ask.name), "input", ask.name, kind=Kind.INPUT),
                    cell(USED, ask.formula, ask.now, "id"),
                    cell(SHOWN, ask.shown_formula, ask.shown, "token"),
                    *more.get(ask.name, ()),
                )
            )
        said = [*((ask.refusal_formula, ask.refusal) for ask in asks), note]

        def status() -> str:
            formula = f'"{FINE}"'
            for source, _ in reversed(said):
                formula = f'IF({source()}="",{formula},"{NOTE}"&{source()})'
            return f"IF({self.ready},{formula},{self.layout['message'].reference})"

        def status_now(state: State) -> str:
            return next((f"{NOTE}{words}" for _, twin in said if (words := twin(state))), FINE)

        words = Texts({LABEL: "Status"}, "name")
        # not left of the frozen column's edge: LibreOffice paints no change of a text that runs across it
        message = cell(FIRST_TOKEN, status, status_now, "quote")
        self.page.add(Beside(words, message, *more.get("status", ())))


def position_of(typed: str, layout: Layout) -> str:
    """The position that is asked for, where there is a text."""
    last, end = (f"{layout[name].reference}-1" for name in ("n_tokens", "n_prompt"))
    return whole(typed, last, f'IF({typed}="{LAST}",{last},{end})')


def position_now(typed: Value, state: State) -> int:
    """The twin of `position_of`. A spreadsheet's = knows no small and capital letters."""
    last, end = state.prompt.n - 1, state.prompt.n_prompt - 1
    return whole_now(typed, last, last if isinstance(typed, str) and typed.lower() == LAST else end)


def is_usual(typed: Value) -> bool:
    """Whether it is empty, or a word of the list."""
    return isinstance(typed, str) and typed.lower() in ("", PROMPT, LAST)


def is_whole(typed: str, last: str) -> str:
    """Whether `choosers.whole` takes what is typed."""
    return f"IF(ISNUMBER({typed}),AND({typed}>=0,{typed}<={last}),FALSE)"


def add_text(page: Page, layout: Layout) -> None:
    """The text, a token a column: position and string, in rows 4 and 5."""
    active, shown = (layout[name].at(0, 0, "") for name in ("active", "token_text"))
    page.add(Space(POSITIONS - page.row))
    page.positions = Area(page.title, POSITIONS, FIRST_TOKEN, 2, layout.context)
    page.add(
        Beside(
            Texts({LABEL: "The text: position", USED: PROMPT, SHOWN: LAST}, "id", {LABEL: "name"}),
            Block(n_columns=layout.context, label=None, twin=lambda s: np.arange(layout.context), style="id"),
        ),
        Block(
            n_columns=layout.context,
            label="token",
            label_style="name",
            formula=lambda i, t: f'IF({active},{shown},"")',
            guard=lambda source, t: source,
            twin=lambda s: [*s.prompt.shown],
            style="token",
        ),
    )


def dress(page: Page, layout: Layout) -> Callable[[Worksheet], None]:
    """What the yellow cells take, and in the text the token that is asked for, marked; widths and what is frozen."""

    def add(frame: Worksheet) -> None:
        offered = Area(page.title, POSITIONS, USED, 1, layout.context + 2)
        words = "A position of the text above; prompt: the end of what was typed; last: of what was written after it."
        Chooser("", page["position"], offered, "Position", words).validate(frame)
        first, text = letters(FIRST_TOKEN), Area(page.title, TOKENS, FIRST_TOKEN, 1, layout.context)
        asked = f"{first}${POSITIONS}={Area(page.title, page['position'].row, USED).local}"
        blank = looks.plain(f'{first}${TOKENS}=""')
        looks.put(frame, text, blank, looks.stands_out(asked, stop=True))
        furnish(frame, page)

    return add


def furnish(frame: Worksheet, page: Page, widths: Sequence[float] = WIDTHS) -> None:
    """Widths, a green tab; labels and title stay in sight, but not the text: below it the columns are other things."""
    all_widths = dict(enumerate(widths, 1)) | dict.fromkeys(range(FIRST_TOKEN, page.last_column + 1), 9.5)
    looks.dress(all_widths, looks.GREEN, f"{letters(FIRST_TOKEN)}{POSITIONS - 1}", gridlines=False)(frame)
