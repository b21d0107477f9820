"""Short conversations for fine-tuning, from templates and from the stories' questions, and the held-out ones.

A turn is a sentence or two and a question about them; the answer is a sentence of the text, or "I don't know." where
the text does not hold it. Whole names, things and forms of question are held out (`conversation_words`, `Ask.held`).
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from conversation_words import (
    ACTS,
    ANIMALS,
    BOYS,
    COLORS,
    FOODS,
    GIRLS,
    KINDS,
    PLACES,
    REASONS,
    RELATIVES,
    SPOTS,
    THINGS,
    Words,
)

UNKNOWN = "I don't know."
HELD_WORDS = frozenset(
    word for group in (GIRLS, BOYS, THINGS, ANIMALS, PLACES) for name in group.held for word in (name, name + "s")
)
PRONOUNS = {True: {"he": "she", "his": "her", "him": "her"}, False: {"he": "he", "his": "his", "him": "him"}}


@dataclass(frozen=True)
class Ask:
    """Ways to put one question to a fact, those of the training and those held out; and its answer."""

    train: tuple[str, ...]
    held: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Fact:
    """A sentence with blanks, and what can be asked of it; facts of one group may answer each other's questions."""

    group: str
    text: str
    asks: tuple[Ask, ...]


def _own(verb: str, base: str, past: bool) -> Fact:
    """ "{name} has a red ball." and its questions."""
    do = "did" if past else "does"
    text = f"{{name}} {verb} {{a_thing}}."
    what = Ask(
        (f"What {do} {{name}} {base}?", f"Tell me what {{name}} {verb}.", f"What thing {do} {{name}} {base}?"),
        (f"Can you tell me what {{name}} {verb}?", f"What {'was' if past else 'is'} it that {{name}} {verb}?"),
        text,
    )
    who = Ask(
        (f"Who {verb} {{a_thing}}?", f"Who {verb} the {{thing}}?", f"Tell me who {verb} the {{thing}}."),
        (f"Can you tell me who {verb} the {{thing}}?",),
        text,
    )
    return Fact("own", text, (what, what, who))


COLOR = Ask(
    ("What color is the {thing}?", "Which color is the {thing}?", "Tell me the color of the {thing}."),
    ("What is the color of the {thing}?",),
    "The {thing} is {color}.",
)
WHERE = "The {thing} is {spot}."
WENT = "{name} went to the {place} with {his} {relative}."
FEELS = "{name} was {feeling} because {reason}."
NAMED = "There was {a_animal} named {name}."
FACTS = (
    _own("has", "have", past=False),
    _own("found", "find", past=True),
    _own("saw", "see", past=True),
    _own("lost", "lose", past=True),
    _own("made", "make", past=True),
    _own("got", "get", past=True),
    _own("wants", "want", past=False),
    Fact("own", "{name} has {a_colored}.", (COLOR,)),
    Fact("color", "The {thing} is {color}.", (COLOR,)),
    Fact(
        "where",
        WHERE,
        (
            Ask(
                ("Where is the {thing}?", "Tell me where the {thing} is.", "Where can I find the {thing}?"),
                ("Can you tell me where the {thing} is?", "Do you know where the {thing} is?"),
                WHERE,
            ),
            Ask(("What is {spot}?", "Tell me what is {spot}."), ("Can you tell me what is {spot}?",), WHERE),
        ),
    ),
    Fact(
        "went",
        WENT,
        (
            Ask(
                ("Where did {name} go?", "Tell me where {name} went.", "To which place did {name} go?"),
                ("Can you tell me where {name} went?", "Do you know where {name} went?"),
                "{name} went to the {place}.",
            ),
            Ask(
                ("Who did {name} go with?", "Tell me who went with {name}."),
                ("Can you tell me who went with {name}?",),
                "{name} went with {his} {relative}.",
            ),
            Ask(
                ("Who went to the {place}?", "Tell me who went to the {place}."),
                ("Can you tell me who went to the {place}?",),
                "{name} went to the {place}.",
            ),
        ),
    ),
    Fact(
        "likes",
        "{name} likes {food}.",
        (
            Ask(
                ("What does {name} like?", "Tell me what {name} likes.", "What food does {name} like?"),
                ("Can you tell me what {name} likes?",),
                "{name} likes {food}.",
            ),
            Ask(
                ("Who likes {food}?", "Tell me who likes {food}."),
                ("Can you tell me who likes {food}?",),
                "{name} likes {food}.",
            ),
        ),
    ),
    Fact(
        "likes",
        "{name} {loved} to {act}.",
        (
            Ask(
                ("What did {name} {love} to do?", "Tell me what {name} {loved} to do.", "What did {name} {love}?"),
                ("Can you tell me what {name} {loved} to do?",),
                "{name} {loved} to {act}.",
            ),
        ),
    ),
    Fact(
        "feels",
        FEELS,
        (
            Ask(
                ("Why was {name} {feeling}?", "Tell me why {name} was {feeling}."),
                ("Can you tell me why {name} was {feeling}?", "Do you know why {name} was {feeling}?"),
                FEELS,
            ),
            Ask(
                ("How did {name} feel?", "How was {name}?"),
                ("Can you tell me how {name} felt?",),
                "{name} was {feeling}.",
            ),
            Ask(("Who was {feeling}?",), ("Can you tell me who was {feeling}?",), "{name} was {feeling}."),
        ),
    ),
    Fact(
        "named",
        NAMED,
        (
            Ask(
                ("What was the name of the {animal}?", "What was the {animal} called?", "Tell me the {animal}'s name."),
                ("Can you tell me the name of the {animal}?",),
                "The name of the {animal} was {name}.",
            ),
            Ask(("Who was {name}?",), ("Can you tell me who {name} was?",), "{name} was {a_animal}."),
        ),
    ),
)


def a(words: str) -> str:
    """'a red ball', 'an old hat'."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def blanks(rng: random.Random, held: frozenset[str] = frozenset()) -> dict[str, str]:
    """One filling of every blank; `held` says what is taken from the held-out words: 'names', 'things' (all else)."""

    def choose(group: Words, what: str = "things") -> str:
        return rng.choice(group.held if what in held else group.train)

    girl = rng.random() < 0.5
    person = {"name": choose(GIRLS if girl else BOYS, "names"), **PRONOUNS[girl]}
    thing, place, color = choose(THINGS), choose(PLACES), choose(COLORS)
    feeling = rng.choice([*REASONS])
    kind, animal = choose(KINDS), choose(ANIMALS)
    filled = {
        **person,
        "thing": thing,
        "place": place,
        "color": color,
        "a_colored": a(f"{color} {thing}"),
        "a_thing": a(rng.choice((f"{color} {thing}", f"{kind} {thing}", thing))),
        "animal": animal,
        "a_animal": a(f"{kind} {animal}"),
        "spot": choose(SPOTS),
        "relative": choose(RELATIVES),
        "food": choose(FOODS),
        "act": choose(ACTS),
        "feeling": feeling,
    }
    filled["love"], filled["loved"] = rng.choice((("like", "liked"), ("love", "loved")))
    filled["reason"] = choose(REASONS[feeling]).format(**person, thing=thing, place=place)
    return filled


def conversation(
    rng: random.Random, held: frozenset[str] = frozenset(), unknown: bool | None = None
) -> tuple[str, str]:
    """(what the user says, the answer). `held` may hold 'names', 'things' and 'forms'; `unknown` None: one in five."""
    if unknown is None:
        unknown = rng.random() < 0.2
    fact, filled = rng.choice(FACTS), blanks(rng, held)
    told = [(fact, filled)]
    if rng.random() < 0.5:
        other, others = rng.choice(FACTS), blanks(rng, held)
        if apart(filled, others) and not (unknown and other.group == fact.group):
            told.insert(rng.randrange(2), (other, others))
    text = " ".join(f.text.format(**b) for f, b in told)
    if unknown:
        return unanswerable(rng, told, text, held)
    ask = rng.choice(fact.asks)
    return f"{text} {form(rng, ask, held).format(**filled)}", ask.answer.format(**filled)


def apart(one: Mapping[str, str], two: Mapping[str, str]) -> bool:
    """Two sentences about different people, things and all: a question then has one answer."""
    return all(one[k] != two[k] for k in ("name", "thing", "place", "spot", "food", "animal", "feeling"))


def form(rng: random.Random, ask: Ask, held: frozenset[str]) -> str:
    return rng.choice(ask.held if "forms" in held else ask.train)


def unanswerable(
    rng: random.Random, told: list[tuple[Fact, dict[str, str]]], text: str, held: frozenset[str]
) -> tuple[str, str]:
    """A question that the text does not answer: about someone or something else, or about another matter."""
    fact, filled = rng.choice(told)
    while True:
        other = blanks(rng, held)
        if not all(apart(b, other) for _, b in told):
            continue
        if rng.random() < 0.5:  # the same matter, of someone or something else
            question = form(rng, rng.choice(fact.asks), held).format(**other)
        else:  # another matter, of the one told about
            groups = {f.group for f, _ in told} | ({"color", "where"} if rng.random() < 0.5 else set())
            strange = rng.choice([f for f in FACTS if f.group not in groups])
            mixed = other | {key: filled[key] for key in ("name", "he", "his", "him", "thing") if key in filled}
            ask = rng.choice(strange.asks)
            if ask is COLOR and any(b["color"] in text for _, b in told):
                continue
            question = form(rng, ask, held).format(**mixed)
        return (f"{text} {question}" if rng.random() < 0.9 else question), UNKNOWN


def holds_held(text: str) -> bool:
    """Whether a held-out name, thing, animal or place stands in the text."""
    return not HELD_WORDS.isdisjoint(re.findall(r"[A-Za-z]+", text))
