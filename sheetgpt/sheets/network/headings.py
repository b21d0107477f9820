"""Headings in words that a class understands, each of which the Glossary explains; and rows that are shut at first.

A tensor's own name stands at the end of its heading's sentence and beside its rows.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.page import Bar, Beside, Stack

HEADINGS = {
    "ln_1": "Layer norm 1",
    "attn.qkv": "Query, key, value",
    "attn.scores": "Scores",
    "attn.exp": "exp(score)",
    "attn.probs": "Attention weights",
    "attn.z": "Mixed values",
    "attn.out": "Attention adds",
    "resid_mid": "Stream after attention",
    "ln_2": "Layer norm 2",
    "mlp.fc": "Neurons' sums",
    "mlp.act": "Neurons' outputs",
    "mlp.out": "MLP adds",
    "resid_post": "Stream after the block",
    "ln_f": "Final norm",
    "embed_tok": "Token's embedding",
    "embed_pos": "Position's embedding",
    "embed": "Embedding",
    "logits": "Logits",
}


def bar(name: str, words: str, link: str = "", of: str = "") -> Bar:
    """`words` may end in the tensor's shape: "…  [n_embd, T]". `of`: which head's, or what of it."""
    said, _, shape = words.partition("  [")
    return Bar(HEADINGS[name] + of, f"{said}  {name}" + (f" [{shape}" if shape else ""), link=link)


def shut(parts: Sequence[Part], in_sight: Collection[str]) -> Iterator[Part]:
    """The same parts, their blocks folded below their headings; but those whose names are `in_sight`.

    A [+] in the margin opens them. What stands beside a block goes with it.
    """
    for part in parts:
        yield part if any(block.name in in_sight for block in blocks_of(part)) else _shut(part)


def blocks_of(part: Part) -> Iterator[Block]:
    if isinstance(part, Block):
        yield part
    elif isinstance(part, Beside | Stack):
        yield from (block for each in part.parts for block in blocks_of(each))


def _shut(part: Part) -> Part:
    if isinstance(part, Block):
        return replace(part, folded=True)
    return type(part)(*map(_shut, part.parts)) if isinstance(part, Beside | Stack) else part
