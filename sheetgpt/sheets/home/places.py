"""Where everything with a name lies on the sheet Home."""

from collections.abc import Iterator

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME
from sheetgpt.sheets.layout import INPUTS, Layout
from sheetgpt.sheets.tensor import Kind, Tensor


def places(layout: Layout) -> Iterator[Tensor]:
    yield from controls(layout)
    yield from strip(layout)
    yield from table(layout)


def home_row(layout: Layout, n: int) -> int:
    """Row n of a Home sheet without a chat, whose cells stand two rows lower in one that has it."""
    return n if layout.chat is None or n < 4 else n + 2


def controls(layout: Layout) -> Iterator[Tensor]:
    """The yellow cells, what is wrong with them in words, and on the right of them what they come to."""

    def cell(name: str, row: int, kind: Kind, column: int = 3) -> Tensor:
        return Tensor(name, (Area(HOME, home_row(layout, row), column),), kind)

    if layout.chat is not None:
        yield Tensor("user_says", (Area(HOME, 4, 3),), Kind.INPUT)
        yield Tensor("prompt", (Area(HOME, 5, 3),), Kind.INPUT)
        yield cell("full_prompt", 4, Kind.TEXTS)
    elif layout.reads_text:
        yield cell("prompt", 4, Kind.INPUT)
    if layout.reads_text:
        yield cell("completion", 5, Kind.TEXTS)
    yield cell("message", 6, Kind.TEXTS)
    yield cell("prompt_text", 7, Kind.TEXTS)
    for i, name in enumerate(INPUTS):
        yield cell(name, 10 + i, Kind.INPUT)
    yield cell("settings_ok", 16, Kind.NUMBERS)
    yield cell("self_check", 17, Kind.TEXTS)
    facts = ("n_given", "n_dropped", "n_prompt", "n_tokens", "loss", "perplexity", "entropy")
    for i, name in enumerate(facts):
        yield cell(name, 10 + i, Kind.NUMBERS, FIRST_TOKEN + 9)


def strip(layout: Layout) -> Iterator[Tensor]:
    """A token a column, as on the token sheets."""

    def line(name: str, row: int, kind: Kind, traced: bool = False) -> Tensor:
        area = Area(HOME, home_row(layout, row), FIRST_TOKEN, 1, layout.context)
        return Tensor(name, (area,), kind, ("token",), traced)

    yield line("positions", 20, Kind.CONSTANT)
    yield line("prompt_ids", 21, Kind.INPUT)
    yield Tensor("n_ids", (Area(HOME, home_row(layout, 21), FIRST_TOKEN - 1),), Kind.NUMBERS)
    yield line("ids_typed", 22, Kind.NUMBERS)
    yield line("token_ids", 23, Kind.NUMBERS, traced=True)
    yield line("token_text", 24, Kind.TEXTS)
    yield line("active", 25, Kind.NUMBERS)
    yield line("surprisal", 26, Kind.NUMBERS)
    if layout.chat is not None:
        yield line("special_token", 27, Kind.NUMBERS)


def table(layout: Layout) -> Iterator[Tensor]:
    """The ten likeliest next tokens, a rank a row."""

    def column(name: str, column: int, kind: Kind = Kind.NUMBERS) -> Tensor:
        return Tensor(name, (Area(HOME, home_row(layout, 30), column, 10),), kind, ("rank",))

    yield column("top_ids", 2)
    yield column("top_tokens", 3, Kind.TEXTS)
    yield column("top_logits", 4)
    yield column("top_probs", 5)
    yield Tensor("next_token", (Area(HOME, home_row(layout, 30), 3),), Kind.TEXTS)
