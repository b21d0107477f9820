"""The words of the trade in plain words, for the sheet Glossary, and the headings that each of them explains."""

import re
from dataclasses import dataclass

GLOSSARY = "Glossary"
FIRST_ROW = 4  # of the first term there
_WHICH = re.compile(r"^h\d+\.|, head \d+$|:.*$")  # which block's or head's a heading is


@dataclass(frozen=True)
class Term:
    name: str
    words: str
    at: str = ""  # a tensor or a cell with that name, where it can be seen
    headings: tuple[str, ...] = ()  # beside the name itself, in small letters


TERMS = (
    Term(
        "activation",
        "What a neuron makes of its sum before it passes it on. GELU lets large sums through and turns negative ones "
        "nearly into 0.",
        "h0.mlp.act",
        ("mlp.act", "neurons' outputs"),
    ),
    Term(
        "attention",
        "How a token takes up what stands in other tokens: itself and those before it, never a later one. attn.out is "
        "what all heads of a block found together.",
        "h0.attn.out",
        ("attn.out", "attention adds"),
    ),
    Term(
        "attention weight",
        "How much of its attention a token gives to another one: softmax of the scores, 0 to 100%. A token's weights "
        "add up to 100%.",
        "h0.attn.probs.0",
        ("attn.probs", "attention weights", "pattern"),
    ),
    Term(
        "bit",
        "The unit of surprise: a token that had a chance of 1/2 is worth 1 bit, one of 1/4 is worth 2, of 1/8 is worth "
        "3.",
    ),
    Term(
        "block",
        "One layer of the network: attention, then an MLP, each of which adds something to every token's column. All "
        "blocks are built alike, with other weights.",
        "h0.resid_post",
    ),
    Term(
        "byte",
        "A number from 0 to 255. A computer writes a character as one to four of them, by the rules of UTF-8.",
        headings=("bytes", "its bytes"),
    ),
    Term(
        "code point", "A character's number in Unicode: 65 for A, 32 for a space.", headings=("character", "characters")
    ),
    Term(
        "contribution",
        "What one part of the network adds to a logit. The last state is a sum of what all parts wrote, so the logit "
        "can be split among them.",
        headings=("adds", "contributions"),
    ),
    Term(
        "cosine",
        "How far two columns of numbers point the same way: 1 if they do, 0 if they have nothing in common, −1 if "
        "they are opposite.",
        headings=("cosines",),
    ),
    Term(
        "embedding",
        "The column of numbers that stands for a token. Tokens that are used alike have columns that are alike. The "
        "position has one, too; the first block reads their sum.",
        "embed",
        ("embed", "embed_tok", "embed_pos", "token's embedding", "position's embedding"),
    ),
    Term(
        "entropy",
        "How open a choice is, in bits: 0 if one outcome is certain, 1 for two that are equally likely, 2 for four.",
        "entropy",
        ("entropy, bits", "entropies", "next token's entropy, bits"),
    ),
    Term(
        "head",
        "One of the attentions that work side by side in a block, each with weights of its own, so that each can look "
        "for something else.",
        "h0.attn.z",
    ),
    Term(
        "layer norm",
        "Before a part reads a token's column, the column is brought to mean 0 and variance 1, then stretched by "
        "learned gains and shifted by learned biases.",
        "h0.ln_1.mean",
        ("ln_1", "ln_2", "ln_f", "layer norm 1", "layer norm 2", "final norm", "rstd of the final norm"),
    ),
    Term(
        "lens",
        "The logit lens: the network's last step applied too early, after some block, to see what it would say.",
    ),
    Term(
        "logit",
        "How well a token fits as the next one, as a plain number: larger is better, only differences count. Softmax "
        "turns logits into probabilities.",
        "logits",
        ("logits", "its logit", "largest logit"),
    ),
    Term(
        "merge",
        "A rule of byte-pair encoding (BPE): these two neighbours become one token. The rules were learned from text, "
        "the most frequent pair first; a pair's rank is its place among them, and the smallest joins first.",
        headings=("merges", "merge rounds", "bpe", "joins?", "pair's rank"),
    ),
    Term(
        "MLP",
        "Multi-layer perceptron: the second half of a block. Every neuron looks at a token's column and, if it finds "
        "what it looks for, adds its own pattern.",
        "h0.mlp.out",
        ("mlp.out", "mlp adds"),
    ),
    Term(
        "neuron",
        "One row of the MLP: a weighted sum of a token's column. It fires where the sum is large.",
        "h0.mlp.fc",
        ("mlp.fc", "neurons' sums"),
    ),
    Term(
        "parameter",
        "A number that was learned in training: a weight, a gain or a bias. Here each is a green cell.",
        headings=("parameters",),
    ),
    Term(
        "perplexity",
        "As if the model had to guess, each time, among so many equally likely tokens: 2 to the power of the mean "
        "surprise. 1 would be perfect.",
        "perplexity",
        ("prompt's perplexity",),
    ),
    Term(
        "position",
        "A token's place in the text, counted from 0. It has the same column on every sheet.",
        "positions",
    ),
    Term(
        "probability",
        "How likely a token is to come next, 0 to 100%; all tokens together have 100%.",
        "next_probs",
        ("its probability", "probabilities"),
    ),
    Term("prompt", "The text that the model is given, and goes on with.", "prompt"),
    Term(
        "query, key, value",
        "What a token asks for, what it offers, and what it passes on. A query is compared with every key; the values "
        "are mixed by how well they match.",
        "h0.attn.qkv",
        ("attn.qkv", "attn.z", "mixed values"),
    ),
    Term(
        "residual stream",
        "The column of numbers that a token carries through the network. No part replaces it; each adds to it: "
        "resid_mid is the sum after attention, resid_post after the MLP.",
        "h0.resid_mid",
        ("resid_mid", "resid_post", "the residual stream", "stream after attention", "stream after the block"),
    ),
    Term(
        "score",
        "How well a query matches a key: their products, added up, over the root of the head's size. Softmax turns "
        "the scores into attention weights.",
        "h0.attn.scores.0",
        ("attn.scores", "scores"),
    ),
    Term(
        "seed",
        "Where the random numbers begin. The same seed draws the same tokens again.",
        "seed",
        ("random number",),
    ),
    Term(
        "softmax",
        "Turns numbers into probabilities: e to the power of each, divided by the sum of all. The largest number gets "
        "the largest share.",
        "next_exp",
        ("exp(score)", "sum of exp", "weight"),
    ),
    Term(
        "surprise",
        "−log2 of the probability that the model gave a token: 0 bits if it was certain, 10 bits for a chance of one "
        "in a thousand.",
        "surprisal",
        ("surprise, bits", "prompt's surprise, bits per token", "surprisal"),
    ),
    Term(
        "temperature",
        "What the logits are divided by before softmax. Below 1 the likeliest tokens get more, above 1 less; at 0 the "
        "likeliest is always taken.",
        "temperature",
    ),
    Term(
        "token",
        "A piece of text that the model reads or writes as one: a word, a part of one, a sign. Its id is its number in "
        "the vocabulary; · stands for a space.",
        "token_text",
        ("token id", "tokens", "token ids", "id"),
    ),
    Term("top_k", "Draw only among this many of the likeliest tokens.", "top_k", ("candidates",)),
    Term(
        "top_p",
        "Of these, draw only among the likeliest that together reach this probability.",
        "top_p",
        ("kept by top_p",),
    ),
    Term(
        "unembedding",
        "The columns that the last state is compared with, one a token of the vocabulary: the better the match, the "
        "larger the logit. GPT-2 takes the embeddings themselves.",
        "logits",
    ),
    Term("vocabulary", "All the tokens that the model knows, by id.", "vocab_shown"),
)

_ROWS = {heading: row for row, term in enumerate(TERMS, FIRST_ROW) for heading in (term.name.lower(), *term.headings)}


def row_of(heading: str) -> int | None:
    """Where the Glossary explains a heading, whatever head it names; None where it doesn't."""
    words = heading.strip().lower()
    return _ROWS.get(words) or _ROWS.get(_WHICH.sub("", words))
