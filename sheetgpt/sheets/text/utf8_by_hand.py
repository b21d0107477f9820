"""The lower part of the sheet BPE by hand: a text's UTF-8 bytes, and what merges save; and what all its lines share."""

from collections.abc import Callable, Iterator
from functools import partial

from sheetgpt.sheets.block import Block, Part, State, Values, cell, unguarded
from sheetgpt.sheets.formulas import code_point
from sheetgpt.sheets.page import Beside, Page, Texts
from sheetgpt.sheets.style.looks import put, warns
from sheetgpt.sheets.tensor import Kind
from sheetgpt.text.bpe import length

WIDTH, CHARACTERS = 24, 12  # letters of the text, of the UTF-8 example
FIRST = 4  # column D: the first letter
TYPED, LAST_OF_BAR = 2, 15  # columns
CUT = "The text is cut"
UNIT = "LEN(_xlfn.UNICHAR(128512))"  # 2 where the program counts in UTF-16, as Excel does

Step = Callable[[int], str]  # the formula of a position


def typed(name: str, words: str, twin: Callable[[State], str], most: int, goes_on: Callable[[], str]) -> Part:
    """A yellow cell, and beside it what it takes, or that its text goes on and is cut; `goes_on` is the condition."""
    cut = f"{CUT}: only its first {most} letters are read."

    def said(i: int, j: int) -> str:
        return f'IF({goes_on()},"{cut}","{words}")'

    note = Block(
        f"{name} said",
        *(1, 1),
        formula=said,
        twin=lambda state: cut if len(twin(state)) > most else words,
        label=None,
        style="note",
        guard=unguarded,
        colours=[lambda frame, area: put(frame, area, warns(f'LEFT({area.local},{len(CUT)})="{CUT}"'))],
        named=False,
    )
    return Beside(Texts({1: "Type a text"}, "name"), cell(TYPED, None, twin, "typed text", name, kind=Kind.INPUT), note)


def bar(title: str) -> Part:
    return Texts({column: title if column == 1 else "" for column in range(1, LAST_OF_BAR + 1)}, "section")


def strip(
    name: str, label: str, formula: Step, twin: Callable[[State], Values], width: int = WIDTH, style: str = "id"
) -> Block:
    """A line with a formula of its own in every column."""
    return Block(name, 1, width, lambda i, p: formula(p), twin, label, style=style, fills=False, named=False)


def utf8_lines(here: Page) -> Iterator[Part]:
    """Code points and bytes, a character a column; characters beyond U+FFFF are two positions wide in Excel."""
    yield bar("UTF-8: the bytes of a text")
    words = f"Up to {CHARACTERS} letters, of one to four bytes each."
    yield typed("utf8", words, lambda state: state.by_hand[1], CHARACTERS, partial(example_goes_on, here))

    def example(state: State) -> str:
        text: str = state.by_hand[1][:CHARACTERS]
        return text

    def place(p: int) -> str:
        text = here["utf8"].local
        if p == 0:
            return f'IF(LEN({text})=0,"",1)'
        above = here["place"].at(0, p - 1)
        following = f"{above}+IF({here['code'].at(0, p - 1)}>65535,{UNIT},1)"
        return f'IF({above}="","",IF({following}>LEN({text}),"",{following}))'

    def places(state: State) -> list[int]:
        text = example(state)
        return [length(text[:p], state.read.unit) + 1 for p in range(len(text))]

    yield strip("place", "position", place, places, CHARACTERS)

    def code(p: int) -> str:
        text, here_it_is = here["utf8"].local, here["place"].at(0, p)
        return f'IF({here_it_is}="","",IFERROR({code_point(text, here_it_is, f"LEN({text})")},65533))'

    yield strip("code", "code point", code, lambda state: [*map(ord, example(state))], CHARACTERS)

    def byte(k: int, p: int) -> str:
        """Byte k of a code point's one to four, blank past the last."""
        code = here["code"].at(0, p)
        n = f"(1+({code}>127)+({code}>2047)+({code}>65535))"
        lead = f"IF({code}<128,{code},256-2^(8-{n})+INT({code}/64^({n}-1)))"
        source = lead if k == 0 else f'IF({n}>{k},128+MOD(INT({code}/64^({n}-{k + 1})),64),"")'
        return f'IF({code}="","",{source})'

    def bytes_now(k: int, state: State) -> list[int | str]:
        spelled = [character.encode() for character in example(state)]
        return [token[k] if k < len(token) else "" for token in spelled]

    for k in range(4):
        yield strip(f"byte {k}", f"byte {k + 1}", partial(byte, k), partial(bytes_now, k), CHARACTERS)


def cost_lines(here: Page, tokenizer: Page) -> Iterator[Part]:
    yield bar("The length of the prompt: in bytes, and in tokens after the merges")

    def line(label: str, name: str, formula: Callable[[], str], twin: Callable[[State], float], style: str) -> Part:
        return Beside(Texts({1: label}, "label"), cell(TYPED, formula, twin, style, name, named=False))

    def ratio() -> str:
        n_bytes, n_tokens = here["as bytes"].local, here["as tokens"].local
        return f"IF({n_tokens}=0,0,{n_bytes}/{n_tokens})"

    def ratio_now(state: State) -> float:
        return state.read.n / len(state.read.ids) if state.read.ids else 0

    yield line("as bytes", "as bytes", lambda: tokenizer["all_bytes"].reference, lambda s: s.read.n, "total")
    yield line(
        "as BPE tokens", "as tokens", lambda: tokenizer["n_tokens"].reference, lambda s: len(s.read.ids), "total"
    )
    yield line("bytes per token", "bytes a token", ratio, ratio_now, "number")


def example_goes_on(here: Page) -> str:
    at, code = (here[name].at(0, CHARACTERS - 1) for name in ("place", "code"))
    following = f"{at}+IF({code}>65535,{UNIT},1)"
    return f'IF({at}="",FALSE,{following}<=LEN({here["utf8"].local}))'
