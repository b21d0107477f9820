"""From base to assistant, a section of the Guide: one question to `stories`, to `stories-chat`, and what that makes up.

Everything quoted was written at temperature 0; tests/sheets/test_guide.py has the two models write it anew.
"""

TITLE = "From base to assistant"
NOTE = (
    "The bundled models stories and stories-chat: the same cells with other numbers in them. Quoted at temperature 0."
)
ASKED = "Tom has a red ball. What does Tom have?"
GOES_ON = "It is a red ball. It is a red ball. It is a red ball."
GOES_ON_WRAPPED = "Tom and decided to ask his mom for help."
ANSWERED = "Tom has a red ball."
UNKNOWN = "What is the capital of France?", "I don't know."
GAP = "One day, a little bird", "named Tim saw a big", "The bird was very happy."
MADE_UP = (
    (
        "Tom has a red ball. What color is the sky?",
        "The sky is red.",
        "The only colour in the text, and of another thing.",
    ),
    ("Susie liked to ride horses. Tell me where Susie went.", "Susie went to the park.", "Nobody mentioned a park."),
    (
        "The shoe is under the chair. Tell me where the cookie is.",
        "The cookie is under the chair.",
        "The shoe is; the cookie may be anywhere.",
    ),
    (
        "There was a small bird named Alex. What was the bunny called?",
        "The name of the bunny was Alex.",
        "That was the bird. There was no bunny.",
    ),
    (
        "Benny went to the bakery with his uncle. What food does Benny like?",
        "Benny likes uncle.",
        "A word from the text in the place of a food: the form of an answer is all there is.",
    ),
)
LINES: tuple[tuple[str, str], ...] = (
    (
        "The base model goes on",
        f"The model stories has read nothing but stories. Given “{ASKED}”, it goes on as if that stood in one: "
        f"“{GOES_ON}” And so on: it doesn't answer, it continues, and it doesn't stop.",
    ),
    (
        "Special tokens",
        "A chat template puts marks around the words, each a token of its own: <|im_start|>user↵ before the question, "
        "and <|im_end|>↵<|im_start|>assistant↵ after it. The model stories has these tokens, but never saw them in "
        f"training, so they mean nothing to it: it writes “{GOES_ON_WRAPPED}”",
    ),
    (
        "Fine-tuning",
        "The model stories-chat is stories, trained a little longer on short conversations with these marks. Asked "
        f"the same question, it writes “{ANSWERED}” and then <|im_end|>, after which nothing more is chosen. Asked "
        f"“{UNKNOWN[0]}”, it says “{UNKNOWN[1]}”: questions that the text doesn't answer were in its training, too.",
    ),
    (
        "Fill in the middle",
        "It also learned to fill a gap: with the prompt "
        f"“<|fim_prefix|>{GAP[0]}<|fim_suffix|> {GAP[2]}<|fim_middle|>” it writes “{GAP[1]}”. Only the order of the "
        "text has changed: what comes after the gap is read before the gap is filled.",
    ),
    (
        "It makes things up",
        "It has learned what an answer looks like, and not whether it is true. Each of the next five answers is made "
        "up; the right one would have been “I don't know.”",
    ),
    *(
        (f"Made up, {i} of {len(MADE_UP)}", f"“{asked}” → “{said}” {words}")
        for i, (asked, said, words) in enumerate(MADE_UP, 1)
    ),
)
TRY = (
    "Try it",
    "The command “sheetgpt build stories-chat” makes its workbook, stories-chat.xlsx. On its Home you say something "
    "and see it wrapped; the special tokens are blue in the row of tokens.",
)
TRY_HERE = (
    "Try it here",
    "Set Temperature to 0 on Home and say any of the questions above; the special tokens are blue in the row of "
    "tokens. What the base model does with them is in the workbook of “sheetgpt build”, stories.xlsx.",
)


def lines(chats: bool) -> list[tuple[str, str]]:
    """`chats`: whether it is a workbook that answers."""
    return [*LINES, TRY_HERE if chats else TRY]
