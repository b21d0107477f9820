"""The grid that all token sheets share, and the sheets' titles.

Position t stands in column F + t of every token sheet; features run down the rows; columns A to E hold the label,
the index and the neuron's own gain, bias and scale.
"""

LABEL, INDEX, GAIN, BIAS, SCALE, FIRST_TOKEN = 1, 2, 3, 4, 5, 6  # columns of a token sheet
TITLE_ROW, POSITION_ROW, ID_ROW, TOKEN_ROW, ACTIVE_ROW = 1, 2, 3, 4, 5  # header rows of a token sheet
FIRST_WEIGHT = 3  # column C of a weight sheet
BAND = 10_000  # tokens side by side in one band of wte

HOME, GUIDE, MODEL, EMBED, OUTPUT, SOFTMAX, SAMPLE, VOCABULARY, WTE, WPE = (
    "Home",
    "Guide",
    "Model",
    "Embed",
    "Output",
    "Softmax",
    "Sample",
    "Vocabulary",
    "wte",
    "wpe",
)
LM_HEAD = "lm_head"
TOKENIZER, DECODING, BY_HAND, MERGES, CHARACTERS = (  # only where there is a tokenizer
    "Tokenizer",
    "Decoding",
    "BPE by hand",
    "Merges",
    "Characters",
)
LAB, EDITS = "Lab", "Edits"  # only where there are two lanes
LANE = "B_"  # before a name: what it refers to in the second lane
