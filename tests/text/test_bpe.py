"""The sheets' algorithms in Python against the reference: `tokenizers` for ids, Python's own decoder for text."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import TEXTS, write_gpt2

from sheetgpt.errors import SheetGPTError
from sheetgpt.sheets.text.bpe_by_hand import learn, letter_of
from sheetgpt.text import bpe
from sheetgpt.text.characters import LETTER, NUMBER, OTHER, SPACE, kind_ranges
from sheetgpt.text.tokenizer import Tokenizer, byte_to_unicode
from sheetgpt.text.utf8 import decode


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return write_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def tables(gpt2: Tokenizer) -> bpe.Tables:
    return bpe.Tables.of(gpt2)


def small(merges: list[tuple[str, str]], added: dict[str, int] | None = None) -> Tokenizer:
    letters = list(byte_to_unicode().values())
    tokens = [*letters, *dict.fromkeys(a + b for a, b in merges)]
    return Tokenizer({token: i for i, token in enumerate(tokens)}, merges, added)


@settings(deadline=None, max_examples=600)
@given(TEXTS)
def test_ids_are_the_references(gpt2: Tokenizer, tables: bpe.Tables, text: str) -> None:
    trace = bpe.run(text, tables, capacity=2000, rounds=200)
    assert trace.status == (bpe.FITS if text else bpe.EMPTY)
    assert trace.ids == (gpt2.encode(text) or [50256])
    assert bytes(trace.byte) == text.encode()


@settings(deadline=None, max_examples=300)
@given(st.text("ab", max_size=40))
def test_a_pair_that_overlaps_itself_merges_from_the_left(text: str) -> None:
    tokenizer = small([("a", "a"), ("a", "b"), ("aa", "aa"), ("aa", "b"), ("aaaa", "aa")])
    assert bpe.run(text, bpe.Tables.of(tokenizer)).ids == tokenizer.encode(text)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(["<a>", "<a>b", "<", "a", ">", "b", "é!", "é", "'", "s", " ", "  "])).map("".join))
def test_the_longest_added_token_comes_first(text: str) -> None:
    tokenizer = small([("a", "b")], {"<a>": 300, "<a>b": 301, "é!": 302, "s ": 303})
    assert bpe.run(text, bpe.Tables.of(tokenizer)).ids == tokenizer.encode(text)


@pytest.mark.parametrize("text", ["x" * 257, "é" * 129, "€" * 85 + "ab", "👍" * 65, "a" + "👍" * 64])
def test_past_the_capacity_there_are_no_ids(tables: bpe.Tables, text: str) -> None:
    trace = bpe.run(text, tables)
    assert (trace.status, trace.ids, trace.n) == (bpe.TOO_LONG, [], 256)


def test_a_word_with_merges_left_over_has_no_ids(tables: bpe.Tables) -> None:
    assert bpe.run("internationalization", tables, rounds=3).status == bpe.TOO_MANY_ROUNDS
    assert bpe.run("internationalization", tables, rounds=3).ids == []
    assert bpe.run("internationalization", tables).ids == [45609, 1634]


def test_half_a_character_and_a_missing_letter_have_no_ids(tables: bpe.Tables) -> None:
    assert (bpe.run("a\ud83d", tables).status, bpe.run("a\ud83d", tables).ids) == (bpe.HALF_CHARACTER, [])
    lacking = bpe.Tables.of(Tokenizer({"a": 0, "b": 1}, []))
    assert bpe.run("ab", lacking).ids == [0, 1]
    assert (bpe.run("abc", lacking).status, bpe.run("abc", lacking).ids) == (bpe.NO_TOKEN, [])


def test_merges_out_of_order_are_refused() -> None:
    letters = list(byte_to_unicode().values())
    vocab = {token: i for i, token in enumerate([*letters, "ab", "abc"])}
    with pytest.raises(SheetGPTError, match=r"Merge 1, 'ab' \+ 'c', comes before"):
        bpe.Tables.of(Tokenizer(vocab, [("ab", "c"), ("a", "b")]))


@pytest.mark.parametrize("flag", ["lstrip", "rstrip", "single_word"])
def test_added_tokens_that_swallow_spaces_are_refused(flag: str) -> None:
    letters = {letter: i for i, letter in enumerate(byte_to_unicode().values())}
    bpe.Tables.of(Tokenizer(letters, [], {"<x>": 256}, flags={"<x>": {flag: False, "normalized": True}}))
    with pytest.raises(SheetGPTError, match=f"'<x>' is marked {flag}"):
        bpe.Tables.of(Tokenizer(letters, [], {"<x>": 256}, flags={"<x>": {flag: True}}))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=2, max_size=4, unique=True),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_added_tokens_that_are_found_in_two_passes_are_refused_where_it_matters(
    tokens: list[str], normalized: list[bool]
) -> None:
    letters = {letter: i for i, letter in enumerate(byte_to_unicode().values())}
    added = {token: letters.get(token, 256 + i) for i, token in enumerate(tokens)}
    flags = {token: {"normalized": late} for token, late in zip(tokens, normalized, strict=False)}
    tokenizer, in_one_pass = Tokenizer(letters, [], added, flags=flags), Tokenizer(letters, [], added)
    texts = ["".join(text) for n in range(8) for text in product("ab", repeat=n)]
    matters = any(tokenizer.encode(text) != in_one_pass.encode(text) for text in texts)
    if matters:
        with pytest.raises(SheetGPTError, match="can overlap in a text"):
            bpe.Tables.of(tokenizer)
        return
    tables = bpe.Tables.of(tokenizer)
    for text in texts[::5]:
        assert bpe.run(text, tables).ids == tokenizer.encode(text) or not text


@pytest.mark.parametrize(
    ("token", "held"), [("a\rb", r"'\r'"), ("↵", "'↵'"), ("\n\t", "a tab and a line break"), ("\uffff", r"'\uffff'")]
)
def test_added_tokens_that_no_cell_keeps_are_refused(token: str, held: str) -> None:
    letters = {letter: i for i, letter in enumerate(byte_to_unicode().values())}
    with pytest.raises(SheetGPTError) as caught:
        bpe.Tables.of(Tokenizer(letters, [], {token: 256}))
    assert f"holds {held}, which a spreadsheet's cell doesn't keep" in str(caught.value)


def test_kinds_of_characters() -> None:
    starts, kinds = kind_ranges()
    assert starts == sorted(set(starts))
    assert starts[0] == 0

    def kind(character: str) -> int:
        return kinds[sum(start <= ord(character) for start in starts) - 1]

    expected = {"a": LETTER, "日": LETTER, "ª": LETTER, "5": NUMBER, "½": NUMBER, "Ⅷ": NUMBER, "\u0301": OTHER}
    expected |= {" ": SPACE, "\t": SPACE, "\x85": SPACE, "\u3000": SPACE, "\u200b": OTHER, "\x1f": OTHER, "_": OTHER}
    assert {character: kind(character) for character in expected} == expected


@settings(max_examples=1500)
@given(
    st.lists(st.one_of(st.sampled_from([0x41, 0x80, 0xA0, 0xC2, 0xE0, 0xE2, 0xED, 0xF0, 0xF4]), st.integers(1, 255)))
)
def test_bytes_decode_as_python_replaces(data: list[int]) -> None:
    done = decode(data)
    assert (done.text[-1] if data else "") == bytes(data).decode(errors="replace")


def test_the_classic_example_by_hand() -> None:
    lines = ["".join(map(letter_of, this.symbols)) for this in learn("aaabdaaabac")]
    assert lines == ["aaabdaaabac", "①abd①abac", "①②d①②ac", "③d③ac", "③d③ac", "③d③ac"]  # Z, Y, X in the books
