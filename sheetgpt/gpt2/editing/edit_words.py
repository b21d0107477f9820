"""Edits as words, for the command line and Python: `--off 2.3 --steer 1:dog-cat*4 --patch 2.mlp@3`.

- off: `BLOCK.HEAD`, `BLOCK.mlp`, or `BLOCK` for all heads and the MLP of a block; `2.3*0.5` halves instead. Of two
  words for one part the later counts: `2,2.3*1` leaves of block 2 only head 3. `mean`: what is off leaves its average.
- steer: `BLOCK:PLUS*FACTOR` or `BLOCK:PLUS-MINUS*FACTOR`, and `@POSITION` where it begins later than at 0. A token is a
  word (`sheetgpt.text.one_token`) or an id, `#123`.
  `BLOCK:~POSITION*FACTOR` adds what the other run's stream has there more than this one's.
- patch: `BLOCK.PART@POSITION`, with a head, `mlp` or `resid` as PART; `@2-5` is a range, `@all` every position of the
  model.

Words of off and patch may stand in one text, separated by commas; a comma can be part of a token, so steering has a
text each.
"""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sheetgpt.errors import SheetGPTError, cut
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.editing.edits import MEAN, ZERO, Edits, Part, Patch, Steering
from sheetgpt.text.one_token import ID, not_one, token_or_none
from sheetgpt.text.tokenizer import Tokenizer

NUMBER, FACTOR = r"[0-9]{1,9}", r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,9})?"
OFF = re.compile(rf"({NUMBER})(?:\.({NUMBER}|mlp))?(?:\*({FACTOR}))?", re.IGNORECASE)
STEER = re.compile(rf"\s*({NUMBER}):(.+)\*({FACTOR})(?:@({NUMBER}))?\s*", re.DOTALL)
PATCH = re.compile(rf"({NUMBER})\.({NUMBER}|mlp|resid)@(?:({NUMBER})(?:-({NUMBER}))?|all)", re.IGNORECASE)
OFF_FORM = "write block.head, such as 2.3, or 2.mlp, or 2 for the whole block; 2.3*0.5 halves it"
STEER_FORM = "write block:token*factor or block:token-token*factor, such as 1:dog-cat*4 or 1:dog*4@2"
PATCH_FORM = "write block.part@position, such as 2.3@4 for a head, 2.mlp@2-5 or 2.resid@all"

Texts = str | Sequence[str]


@dataclass(frozen=True)
class EditWords:
    """What `parse_edits` takes: `options` are the same words as the command line takes them."""

    off: tuple[str, ...] = ()
    mean: bool = False
    steer: tuple[str, ...] = ()
    patch: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        off, patch = ((f"--{name}", ",".join(words)) for name, words in (("off", self.off), ("patch", self.patch)))
        steer = (word for text in self.steer for word in ("--steer", text))
        mean = ("--mean",) if self.mean else ()
        return (*(off if self.off else ()), *mean, *steer, *(patch if self.patch else ()))

    def __str__(self) -> str:
        """For a shell."""
        return shlex.join(self.options)


def parse_edits(
    model: str | os.PathLike[str] | Checkpoint = DEFAULT,
    *,
    off: Texts = (),
    mean: bool = False,
    steer: Texts = (),
    patch: Texts = (),
) -> Edits:
    """`parse_edits("stories", off="2.3,2.mlp*0.5", steer="1:dog-cat*4", patch=["2.resid@3", "0.1@all"])`.

    A text, or several. Raises SheetGPTError, with an example of the right form, for words that are none, and for what
    the model doesn't have.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model)
    words = EditWords(_texts(off), mean, _texts(steer), _texts(patch))
    return edits_of(words, checkpoint.config, checkpoint.tokenizer)


def edits_of(words: EditWords, config: GPT2Config, tokenizer: Tokenizer | None) -> Edits:
    """What the words say, checked against the model."""
    switches = dict(switch for word in _separated(words.off) for switch in _switches(word, config))
    steering = tuple(_steering(word, tokenizer) for word in words.steer)
    patches = tuple(patch for word in _separated(words.patch) for patch in _patches(word, config))
    edits = Edits(switches, MEAN if words.mean else ZERO, steering, patches)
    edits.check(config)
    return edits


def words_of(edits: Edits, config: GPT2Config, tokenizer: Tokenizer | None) -> EditWords:
    """The words that `edits_of` makes the same edits of; raises SheetGPTError for edits that the model can't have."""
    edits.check(config)
    return EditWords(
        tuple(_off_words(edits, config)),
        edits.mode == MEAN,
        tuple(_steer_word(steer, tokenizer) for steer in edits.steering),
        tuple(_patch_words(edits.patches, config)),
    )


def part_name(block: int, part: Part) -> str:
    """As it is typed: `2.3`, `2.mlp`."""
    return f"{block}.{part}"


def _texts(given: Texts) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _separated(texts: Sequence[str]) -> Iterator[str]:
    return (word.strip() for text in texts for word in text.split(","))


def _part(text: str) -> Part:
    return int(text) if text.isdigit() else text.lower()


def _switches(word: str, config: GPT2Config) -> Iterator[tuple[tuple[int, Part], float]]:
    found = OFF.fullmatch(word)
    if not found:
        raise SheetGPTError(f"{cut(word, 60)!r} switches nothing off: {OFF_FORM}.")
    block, factor = int(found[1]), float(found[3] or 0)
    parts = [_part(found[2])] if found[2] else [*range(config.n_head), "mlp"]
    return (((block, part), factor) for part in parts)


def _steering(word: str, tokenizer: Tokenizer | None) -> Steering:
    found = STEER.fullmatch(word)
    if not found:
        raise SheetGPTError(f"{cut(word, 60)!r} doesn't steer: {STEER_FORM}.")
    at = re.fullmatch(rf"~({NUMBER})", found[2])
    if at:
        return Steering(int(found[1]), None, None, float(found[3]), int(found[4] or 0), int(at[1]))
    plus, minus = _difference(found[2], tokenizer)
    return Steering(int(found[1]), plus, minus, float(found[3]), int(found[4] or 0))


def _difference(text: str, tokenizer: Tokenizer | None) -> tuple[int, int | None]:
    """`dog-cat` -> their ids. A token may hold the sign itself: of all places to part at, one must make sense."""
    ids = re.fullmatch(rf"{ID.pattern}(?:-{ID.pattern})?", text)
    if ids:
        return int(ids[1]), None if ids[2] is None else int(ids[2])
    cuts = [(text[:n], text[n + 1 :]) for n, c in enumerate(text) if c == "-" and 0 < n < len(text) - 1]
    whole = token_or_none(text, tokenizer)
    pairs = [(token_or_none(plus, tokenizer), token_or_none(minus, tokenizer)) for plus, minus in cuts]
    made = [(plus, minus) for plus, minus in pairs if plus is not None and minus is not None]
    readings: list[tuple[int, int | None]] = [*([] if whole is None else [(whole, None)]), *made]
    if len(readings) == 1:
        return readings[0]
    if readings:
        spelt = " or ".join(f"#{plus}" if minus is None else f"#{plus}-#{minus}" for plus, minus in readings)
        raise SheetGPTError(f"{cut(text, 40)!r} can be read in more than one way: write {cut(spelt, 80)}.")
    for (plus, minus), pair in zip(cuts, pairs, strict=True):
        if pair[0] is not None:
            raise not_one(minus, tokenizer)
        if pair[1] is not None or len(cuts) == 1:
            raise not_one(plus, tokenizer)
    raise not_one(text, tokenizer)


def _patches(word: str, config: GPT2Config) -> Iterator[Patch]:
    found = PATCH.fullmatch(word)
    if not found:
        raise SheetGPTError(f"{cut(word, 60)!r} is no patch: {PATCH_FORM}.")
    first = int(found[3] or 0)
    last = config.n_positions - 1 if found[3] is None else int(found[4] or first)
    if last >= config.n_positions:
        raise SheetGPTError(f"There is no position {last}: the model's are 0 to {config.n_positions - 1}.")
    if last < first:
        raise SheetGPTError(f"The positions {first}-{last} run backwards: write {last}-{first}.")
    return (Patch(int(found[1]), _part(found[2]), position) for position in range(first, last + 1))


def _off_words(edits: Edits, config: GPT2Config) -> Iterator[str]:
    """A block whose parts have one factor is one word."""
    rest = dict(edits.switches)
    for block in sorted({block for block, _ in rest}):
        parts: list[Part] = [*range(config.n_head), "mlp"]
        factors = {part: rest[block, part] for part in parts if (block, part) in rest}
        if len(factors) == len(parts) and len({*factors.values()}) == 1:
            yield f"{block}{_times(factors[0])}"
            continue
        yield from (part_name(block, part) + _times(factor) for part, factor in factors.items())


def _times(factor: float) -> str:
    return "" if factor == 0 else f"*{_number(factor)}"


def _number(x: float) -> str:
    """The shortest text that is this number."""
    short = f"{x:g}"
    return short if float(short) == x else repr(float(x))


def _steer_word(steer: Steering, tokenizer: Tokenizer | None) -> str:
    """In words where they are read back as the same tokens, else in ids."""
    tokens = [token for token in (steer.plus, steer.minus) if token is not None]
    tail = f"*{_number(steer.factor)}" + (f"@{steer.start}" if steer.start else "")
    if steer.at is not None:
        return f"{steer.block}:~{steer.at}{tail}"
    typed = [_typed(token, tokenizer) for token in tokens]
    word = f"{steer.block}:{'-'.join(typed)}{tail}"
    try:
        if _steering(word, tokenizer) == steer:
            return word
    except SheetGPTError:
        pass
    return f"{steer.block}:{'-'.join(f'#{token}' for token in tokens)}{tail}"


def _typed(token: int, tokenizer: Tokenizer | None) -> str:
    """The token's word without the space before it, where that can be typed and is read as this token."""
    text = tokenizer.token_text(token).removeprefix(" ") if tokenizer else ""
    plain = text.isprintable() and not any(c.isspace() for c in text)
    return text if plain and token_or_none(text, tokenizer) == token else f"#{token}"


def _patch_words(patches: Sequence[Patch], config: GPT2Config) -> Iterator[str]:
    """In their order; neighbours of one part are one range."""
    ends = [n for n, (a, b) in enumerate(pairwise(patches), 1) if b != Patch(a.block, a.part, a.position + 1)]
    for start, end in pairwise([0, *ends, len(patches)] if patches else []):
        first, last = patches[start].position, patches[end - 1].position
        where = f"{first}-{last}" if last > first else str(first)
        if (first, last) == (0, config.n_positions - 1):
            where = "all"
        yield f"{part_name(patches[start].block, patches[start].part)}@{where}"
