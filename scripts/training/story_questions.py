"""The questions that were derived from the stories by rule (`stories.qa.jsonl`), cleaned; and gaps to fill in.

A pair in: {"kind", "context", "question", "answer"}. Out: what the user says (a sentence or two, and the question) and
the answer, both short. A gap: a piece of a story as prefix, middle and suffix, cut between words.
"""

import random
import re
from collections.abc import Iterable
from typing import Any

LOOSE_ENDS = re.compile(
    r"\b(an?|the|and|or|but|to|of|in|on|at|with|for|from|by|near|behind|under|into|that|who|which|his|her|their|its|very|"
    r"so|as|stuck|outside|inside|up|down|out|away)\b"
)
PEOPLE = re.compile(
    r"(grand)?(mom|dad|mommy|daddy|mum|mummy|mother|father|sister|brother|ma|pa|friends?|family|parents)"
)
MOST_WORDS = 14  # in an answer; a workbook's 48 columns hold the question with it
STORY = re.compile(r"Tell me a story about (.+)\.")


def sentences(text: str) -> list[str]:
    """Split after . ! ? (and a closing quote) where a capital or a quote follows."""
    return [part for part in re.split(r"""(?:(?<=[.!?])|(?<=[.!?]["']))\s+(?=["'A-Z])""", text.strip()) if part]


def clean_pair(pair: dict[str, Any]) -> tuple[str, str] | None:
    """(what the user says, the answer); None where the rule that made the pair went wrong or the answer trails on."""
    answer, kind = pair["answer"].strip(), pair["kind"]
    told = sentences(pair["context"])
    if not told or kind == "tell_story" or trails_on(answer, kind):
        return None
    text = told[-1]
    if re.search(r"\b(Mr|Mrs|Ms|Dr|St)\.$", text) or '"' in text:
        return None
    if len(text.split()) > 2 * MOST_WORDS or not told_in(answer, kind, text):
        return None
    if kind == "name" and not names_it(answer, text):
        return None
    return f"{text} {pair['question'].strip()}", answer


def trails_on(answer: str, kind: str) -> bool:
    """Whether the answer is not one whole, short sentence, or names a thing where a person is asked for."""
    words = re.findall(r"[A-Za-z']+", answer)
    if not 3 <= len(words) <= MOST_WORDS or not re.fullmatch(r"[A-Z][^.!?\"\n]*\.", answer):
        return True
    if LOOSE_ENDS.fullmatch(words[-1]) or (kind in ("what_saw", "what_found") and words[-1].endswith("ing")):
        return True
    if kind == "who":
        return not (PEOPLE.fullmatch(words[-1]) or words[-1][0].isupper())
    # "Max loved to run and his mom was glad that ...": a second sentence hangs on
    return kind != "why" and bool(
        re.search(r"\b(and|but|so|when|because|while|as|until) (he|she|it|they|his|her|the)\b", answer)
    )


def names_it(answer: str, text: str) -> bool:
    """Whether "The name of the old cat was Tom." stands in the text as "old cat named Tom"."""
    found = re.fullmatch(r"The name of the ([a-z -]+) was (\w+)\.", answer)
    if not found or LOOSE_ENDS.search(found[1]):
        return False
    return bool(re.search(rf"\b{found[1]} (?:named|called) {found[2]}\b", text))


def told_in(answer: str, kind: str, text: str) -> bool:
    """Whether the text says it: every word of the answer stands there, but for those of the question's own frame."""
    frame = {"the", "name", "of", "was", "color", "went", "with"} if kind in ("name", "color", "who") else set()
    there = set(re.findall(r"[a-z']+", text.lower()))
    return all(word in there or word in frame for word in re.findall(r"[a-z']+", answer.lower()))


def clean_pairs(pairs: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """The clean pairs, each once, in the file's order."""
    return list(dict.fromkeys(pair for pair in map(clean_pair, pairs) if pair))


def story_request(pair: dict[str, Any], n_sentences: int | None = None) -> tuple[str, str] | None:
    """(a request for a story, the story); with `n_sentences`, for a short one: the story's first sentences."""
    found = STORY.fullmatch(pair["question"].strip())
    if pair["kind"] != "tell_story" or not found:
        return None
    if n_sentences is None:
        return pair["question"].strip(), pair["answer"].strip()
    first = sentences(pair["answer"].split("\n")[0])[:n_sentences]
    if len(first) < n_sentences or '"' in "".join(first):
        return None
    return f"Tell me a short story about {found[1]}.", " ".join(first)


def gap(text: str, rng: random.Random, most: int = 8) -> tuple[str, str, str] | None:
    """(prefix, middle, suffix), whose sum is `text`: a middle of 1 to `most` words, cut before their spaces."""
    starts = [found.start() for found in re.finditer(r" (?=\S)", text)]
    if len(starts) < 4:
        return None
    length = rng.randint(1, min(most, len(starts) - 2))
    first = rng.randrange(1, len(starts) - length)
    begin, end = starts[first], starts[first + length]
    return text[:begin], text[begin:end], text[end:]
