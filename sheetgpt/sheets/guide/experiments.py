"""Experiments on the Guide sheet, each with the sheet that shows it and what came out with the bundled model.

tests/sheets/test_guide.py finds every figure of theirs anew.
"""

from dataclasses import dataclass

from sheetgpt.sheets.grid import LAB
from sheetgpt.sheets.layout import Layout

TITLE, OUTCOMES = "Experiments: predict, then look", "What came out"
NOTE = "With the bundled model, stories, at temperature 1; another one answers in its own way."


HERE = "The experiments are made with the model stories: “sheetgpt build” makes its workbook, stories.xlsx."
IN_LAB = "Three more, with heads switched off and streams steered: “sheetgpt build --lab” makes stories-lab.xlsx."
ZERO = "Set New tokens to 0 on Home"


@dataclass(frozen=True)
class Experiment:
    sheet: str  # where it is done
    needs: tuple[str, ...]  # optional sheets
    question: str
    todo: str
    guess: str  # what is to be predicted
    outcome: str
    lanes: int = 1  # which a workbook must have


EXPERIMENTS = (
    Experiment(
        "Attention",
        ("attention",),
        "What does this head do?",
        f"{ZERO} and type “Lily had a red ball and Tom had a blue hat. Lily liked her red” there; "
        "on Attention choose block 3, head 0.",
        "At which two tokens will the last one, “red”, look most?",
        "The last token, “red”, looks at “ball” (53%), which followed the “red” before it, and then at “hat” (26%), "
        "which followed the other colour. Of all heads this one looks most at what came after an earlier copy (48% on "
        "average): an induction head, though not a pure one.",
    ),
    Experiment(
        "Lens",
        ("lens",),
        "Where does the answer appear?",
        f"{ZERO} and type “The bird flew up into the” there; read the token “sky” on Lens from left to right.",
        "After which block will “sky” be among the ten likeliest?",
        "After the embedding it is number 1408, after block 0 number 816, after block 1 number 155, after block 2 "
        "number 6 with 3%. Block 3 makes it the likeliest, with 42%.",
    ),
    Experiment(
        "Contributions",
        ("attention", "contributions"),
        "Which part decided?",
        f"{ZERO} and type “Mia had a cat. The cat was named Sue. Mia loved her” there.",
        "Which token comes next, and is it a head or an MLP that speaks for it most?",
        "The model would say “cat”, and what speaks for it most is a single head: block 3, head 2 adds 3.90 to a "
        "logit of 9.80, more than any MLP. On Attention you see why: it gives 73% of its attention to the two "
        "“cat”, and it copies them.",
    ),
    Experiment(
        "Neuron",
        ("neuron", "neuron-tokens"),
        "What does this neuron wait for?",
        f"{ZERO} and type “The dog was very big and very” there; on Neuron choose block 3, neuron 208.",
        "At which tokens does it fire, and what do the tokens that it promotes have in common?",
        "It fires at “very” (5.5 and 5.8) and at “and” (3.0), after which a quality is about to be named, and is "
        "silent at the other tokens. It speaks for “heavy”, “loud”, “long” and “friendly”.",
    ),
    Experiment(
        "Embedding",
        ("embedding",),
        "Are words directions?",
        "On Embedding, take him − he + she; then went − go + come, and mom − girl + boy.",
        "Write down the three answers that you expect.",
        "The first gives “her” (0.68), although “them” is nearest to “him”. The second gives “came” (0.63), although "
        "“ran” is nearest to “went”. The third gives “dad” (0.61), which proves little, since “dad” is nearest to "
        "“mom” alone as well (0.64).",
    ),
    Experiment(
        LAB,
        (),
        "What if that head is off?",
        f"{ZERO} and type “Mia had a cat. The cat was named Sue. Mia loved her” there; on Lab set block 3, head 2 to "
        "0.",
        "What will lane B say in place of lane A's likeliest token?",
        "Lane A says “cat” with 38%. In lane B, without the head that copies, “cat” falls to 2%, and “toy” is the "
        "likeliest with 12%. Choose mean in place of zero: an average of the head is left, and “cat” is back with 23%. "
        "“Restore all” makes the lanes equal again.",
        lanes=2,
    ),
    Experiment(
        LAB,
        (),
        "Can a direction change its mood?",
        f"{ZERO} and type “Tom was very” there; on Lab, with every switch at 1 and Restore all at 0, steer "
        "block 1: plus “sad”, minus “happy”, factor 4. Then factor 6; then factor 4 in block 0.",
        "Does more always help, and does earlier?",
        "Lane A says “happy” with 26%, and “sad” with 9%. In lane B “sad” is the likeliest with 33%, with factor 6 it "
        "has 50%. Before block 0 the same push breaks the sentence: the likeliest is “.” with 15%.",
        lanes=2,
    ),
    Experiment(
        LAB,
        (),
        "Where does it know who is sad?",
        f"{ZERO} and type “The boy was sad because” there, “The girl was sad because” on Lab, with every "
        "switch at 1 and no steering. Patch block 0, resid, position 1; then blocks 1, 2 and 3 in its place.",
        "Up to which block does the patch turn “she” into “he”?",
        "Lane B says “she” with 84%. With lane A's stream at the token “girl” before block 0 or 1 it says “he” with "
        "72%; before block 2 “she” is back with 46%, because by then later tokens have read who it is.",
        lanes=2,
    ),
)


def can_be_made(layout: Layout) -> bool:
    """The model continues what is typed, has block 3, head 2 and neuron 208; the longest prompt has 17 tokens."""
    config = layout.config
    large = config.n_layer > 3 and config.n_head > 2 and config.n_inner > 208 and layout.context > 17
    return large and layout.chat is None and layout.reads_text


def elsewhere(layout: Layout) -> str:
    """Where the others are."""
    if not can_be_made(layout):
        return HERE
    return "" if layout.lanes == 2 else IN_LAB


def offered(layout: Layout) -> list[Experiment]:
    """Those whose sheets are in the workbook."""
    if not can_be_made(layout):
        return []
    return [one for one in EXPERIMENTS if {*one.needs} <= {*layout.optional} and one.lanes <= layout.lanes]
