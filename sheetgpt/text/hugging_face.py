"""What Hugging Face's `AutoTokenizer` reads beside vocabulary and merges: class, added tokens, tokens around a text.

In: the contents of a folder's JSON files. Out: plain data. What sheetgpt can't honour is refused by its name.
Source: `transformers` 5.24, tokenization_auto.py, tokenization_utils_base.py (`_from_pretrained`) and
tokenization_utils_tokenizers.py (`TokenizersBackend.__init__`); tests/golden/tokenizers.json holds its answers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from sheetgpt.errors import SheetGPTError

END_OF_TEXT = "<|endoftext|>"
MAX_ID = 2**31
MAX_ADDED = 300_000  # in one file; at 10 µs each. The largest vocabularies have some hundreds, or thousands
ADVICE = (
    "sheetgpt reads byte-level BPE, such as GPT-2's and RoBERTa's. --prompt-bytes 0 builds a workbook whose prompts "
    "are token ids."
)

Contents = Mapping[str, dict[str, Any]]  # the file's name -> its object


class Kind(Enum):
    """How a class of tokenizers is set up."""

    GPT2 = "GPT-2's"
    ROBERTA = "RoBERTa's"
    AS_IT_STANDS = "whatever tokenizer.json says"


KINDS = {
    **dict.fromkeys(("GPT2Tokenizer",), Kind.GPT2),
    **dict.fromkeys(
        ("RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "LEDTokenizer", "MvpTokenizer"), Kind.ROBERTA
    ),
    **dict.fromkeys(("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"), Kind.AS_IT_STANDS),
}
FOREIGN = {
    "WordPiece": (
        "Bert DistilBert Electra BertJapanese Funnel LayoutLM MobileBert MPNet SqueezeBert Splinter Tapas Lxmert"
    ),
    "SentencePiece": (
        "Albert Camembert XLMRoberta XLNet T5 MT5 Llama CodeLlama Gemma MBart MBart50 Pegasus Reformer BigBird Marian "
        "GPTSw3 XGLM DebertaV2 Speech2Text Rembert RemBert FNet Barthez NllbMoe Nllb M2M100 Cpm BertGeneration"
    ),
}
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
ROBERTA = dict(zip(ROLES, ("<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"), strict=True))


@dataclass(frozen=True)
class Added:
    """A token that is found in the text before anything else; `id` is what its file says, None where nothing does."""

    content: str
    id: int | None = None
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False
    special: bool = False
    file: str = ""


def kind_of(contents: Contents, folder: Path) -> Kind:
    """What the class in tokenizer_config.json, or else config.json, stands for. Refuses the others by name."""
    for file in ("tokenizer_config.json", "config.json"):
        name = contents.get(file, {}).get("tokenizer_class")
        if name is None:
            continue
        kind = KINDS.get(name, KINDS.get(name.removesuffix("Fast"))) if isinstance(name, str) else None
        if kind is None:
            said = f"{folder / file} says tokenizer_class {name!r:.80}"
            scheme = next((scheme for scheme, names in FOREIGN.items() if _stem(name) in names.split()), None)
            raise SheetGPTError(f"{said}{', which is ' + scheme if scheme else ''}; {ADVICE}")
        if kind is Kind.AS_IT_STANDS and "tokenizer.json" not in contents:
            raise SheetGPTError(f"{folder / file} says tokenizer_class {name!r}, which needs a tokenizer.json.")
        return kind
    return Kind.GPT2


def _stem(name: object) -> str:
    return str(name).removesuffix("Fast").removesuffix("Tokenizer")


def settings(contents: Contents, folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, and over it what special_tokens_map.json says, which only older files need."""
    config = dict(contents.get("tokenizer_config.json", {}))
    if "additional_special_tokens" in config and not config.get("extra_special_tokens"):  # its older name
        config["extra_special_tokens"] = config.pop("additional_special_tokens")
    if "added_tokens_decoder" not in config:
        more = contents.get("special_tokens_map.json", {})
        if isinstance(more.get("extra_special_tokens"), list):
            both = [*_list(config.get("extra_special_tokens")), *more["extra_special_tokens"]]
            more = more | {"extra_special_tokens": both}
        config |= more
    if config.get("add_prefix_space"):
        raise SheetGPTError(
            f"{folder / 'tokenizer_config.json'} says add_prefix_space {config['add_prefix_space']!r}; expected false, "
            f"as in GPT-2."
        )
    if config.get("split_special_tokens"):
        raise SheetGPTError(
            f"{folder / 'tokenizer_config.json'} says split_special_tokens {config['split_special_tokens']!r}, so that "
            f"a special token in the text counts as plain letters; sheetgpt expects false."
        )
    for key in ("add_bos_token", "add_eos_token"):
        if type(config.get(key, False)) is not bool and config[key] is not None:
            raise SheetGPTError(
                f"{folder / 'tokenizer_config.json'} says {key} {config[key]!r:.80}; expected true or false."
            )
    return config


def check_decoder(content: Mapping[str, Any], kind: Kind, path: Path) -> None:
    """Where the class doesn't set its own, the decoder must be GPT-2's, or a token's text would be another."""
    decoder = content.get("decoder")
    name = decoder.get("type") if isinstance(decoder, dict) else decoder
    if kind is Kind.AS_IT_STANDS and name != "ByteLevel":
        said = "has no decoder" if decoder is None else f"has the decoder {name!s:.80}"
        raise SheetGPTError(f"{path} {said}; GPT-2's is ByteLevel.")


def roles(config: Mapping[str, Any], kind: Kind, path: Path) -> dict[str, Added]:
    """The special tokens by role: the class's own, `null` for none, and roles that only this tokenizer has."""
    own = ROBERTA if kind is Kind.ROBERTA else dict.fromkeys(ROLES[:3], END_OF_TEXT) if kind is Kind.GPT2 else {}
    more = {key: value for key, value in config.items() if key.endswith("_token") and key not in ROLES}
    named = config.get("extra_special_tokens")
    more |= named if isinstance(named, dict) else {}
    more = {key: value for key, value in more.items() if isinstance(value, str | dict)}
    found = {role: config.get(role, own.get(role)) for role in ROLES} | more
    return {role: described(value, path, special=True) for role, value in found.items() if value not in (None, "")}


def added_tokens(contents: Contents, config: Mapping[str, Any], kind: Kind, folder: Path) -> list[Added]:
    """Every added token, in the order in which they get their ids; a later one of the same text changes its flags."""
    path = folder / "tokenizer_config.json"
    _check_number(contents, config, folder)
    named = roles(config, kind, path)
    listed = list(_listed(contents.get("tokenizer.json", {}), folder))
    older = list(_older(contents, config, folder))
    newer = list(_newer(config, folder))
    _check_one_id([*older, *newer, *listed], folder)
    declared = newer if "added_tokens_decoder" in config else [*older, *listed]
    names = {token.content for token in named.values()}
    last = {token.id: token for token in declared}  # of two files that have an id, the later
    found = listed if kind is Kind.AS_IT_STANDS else []
    found += [last[i] for i in sorted(last, key=lambda i: -1 if i is None else i)]
    known = {token.content for token in found}
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or ()
    extras = [described(entry, path, special=True) for entry in extra] if isinstance(extra, list) else []
    for token in (*named.values(), *extras):
        if token.content not in known:
            known.add(token.content)
            found.append(token)
    return [token if token.special or token.content not in names else replace(token, special=True) for token in found]


def _check_number(contents: Contents, config: Mapping[str, Any], folder: Path) -> None:
    """Before anything is made of each."""
    listed = {
        "added_tokens.json": contents.get("added_tokens.json"),
        "tokenizer.json": contents.get("tokenizer.json", {}).get("added_tokens"),
        "tokenizer_config.json": config.get("added_tokens_decoder"),
        "special_tokens_map.json": config.get("extra_special_tokens"),
    }
    for file, tokens in listed.items():
        if isinstance(tokens, list | dict) and len(tokens) > MAX_ADDED:
            said = f"{len(tokens):,} added tokens; no GPT-2 model needs more than {MAX_ADDED:,}"
            raise SheetGPTError(f"{folder / file} has {said}.")


def _newer(config: Mapping[str, Any], folder: Path) -> Iterator[Added]:
    """The added tokens of tokenizer_config.json: all of them, where it has any."""
    path, decoder = folder / "tokenizer_config.json", config.get("added_tokens_decoder") or {}
    if not isinstance(decoder, dict):
        raise SheetGPTError(f"{path} has added_tokens_decoder {decoder!r:.80}; expected an object of ids and tokens.")
    for key, entry in decoder.items():
        digits = key.isascii() and key.isdigit() and len(key) < 20
        yield described(entry, path, id=int(key) if digits else key)


def _older(contents: Contents, config: Mapping[str, Any], folder: Path) -> Iterator[Added]:
    """The tokens of added_tokens.json, which has no flags: those with a role are special."""
    entries = [config.get(role) for role in ROLES] + _list(config.get("extra_special_tokens"))
    special = {_content(entry) for entry in entries if isinstance(_content(entry), str)}
    path = folder / "added_tokens.json"
    for token, i in contents.get("added_tokens.json", {}).items():
        yield described({"content": token, "special": token in special}, path, id=i)


def _listed(content: Mapping[str, Any], folder: Path) -> Iterator[Added]:
    """The added tokens of tokenizer.json."""
    path, entries = folder / "tokenizer.json", content.get("added_tokens") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SheetGPTError(
            f"{path} describes an added token in a way that sheetgpt doesn't understand: {entries!r:.80}."
        )
    for entry in entries:
        yield described(entry, path, id=entry.get("id"))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _content(entry: object) -> object:
    return entry.get("content") if isinstance(entry, dict) else entry


_NO_ID = object()


def described(entry: object, path: Path, *, id: object = _NO_ID, special: bool = False) -> Added:
    """A token from its text, or from a description with flags. Without a word, special tokens aren't normalized."""
    content = _content(entry)
    if not isinstance(content, str) or not content or (id is not _NO_ID and not _is_id(id)):
        number = "" if id is _NO_ID else f" with the id {id!r:.40}"
        raise SheetGPTError(f"{path} has the added token {content!r:.80}{number}; expected a text and a number.")
    flags = dict(entry) if isinstance(entry, dict) else {}
    special = special or bool(flags.get("special"))
    found = {key: bool(flags.get(key)) for key in ("lstrip", "rstrip", "single_word")}
    normalized = bool(flags.get("normalized", not special))
    i = id if isinstance(id, int) else None
    return Added(content, i, **found, normalized=normalized, special=special, file=path.name)


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < MAX_ID


def _check_one_id(declared: Iterable[Added], folder: Path) -> None:
    """Refuses files that contradict one another: the class's own choice would be right for one of them only."""
    first: dict[str, Added] = {}
    owner: dict[int | None, Added] = {}
    for token in declared:
        if owner.setdefault(token.id, token).content != token.content:
            other = owner[token.id]
            raise SheetGPTError(
                f"{folder / token.file} gives the id {token.id} to the token {token.content!r:.80}; "
                f"{other.file if other.file != token.file else 'it'} gives it to {other.content!r:.80}, too."
            )
        before = first.setdefault(token.content, token)
        if before.id != token.id:
            raise SheetGPTError(
                f"{folder / token.file} gives the added token {token.content!r} the id {token.id}; another file gives "
                f"it {before.id}."
            )


def with_ids(tokens: Sequence[Added], vocab: Mapping[str, int], folder: Path) -> tuple[dict[str, Added], list[str]]:
    """The added tokens by their text, each with the id that it really gets, and notes on those that get another.

    It is the vocabulary's where the token stands there, else the next free one: `AddedVocabulary::add_tokens` in the
    package `tokenizers`.
    """
    found: dict[str, Added] = {}
    first, moved = "", 0
    owner, top = {i: token for token, i in vocab.items()}, -1
    for token in tokens:
        if token.content in found:
            i = found[token.content].id
        elif token.content in vocab:
            i = vocab[token.content]
            if token.id not in (None, i):
                raise SheetGPTError(f"Token {token.content!r} has two ids, {i} and {token.id}.")
        else:
            i = top + 1 if top >= len(vocab) else len(vocab)
            if token.id is not None and owner.get(token.id, token.content) != token.content:
                raise SheetGPTError(f"Id {token.id} belongs to two tokens, {owner[token.id]!r} and {token.content!r}.")
        assert i is not None
        if token.id not in (None, i) and token.content not in found:
            moved += 1
            first = first or (
                f"{folder / token.file} gives the token {token.content!r:.80} the id {token.id}; as in transformers, "
                f"it gets the next free one, {i}."
            )
        found[token.content], top = token if token.id == i else replace(token, id=i), max(top, i)
    more = moved - 1
    others = "" if not more else " So does one more token." if more == 1 else f" So do {more:,} more tokens."
    return found, [first + others] if first else []


def around(
    contents: Contents, config: Mapping[str, Any], kind: Kind, ids: Mapping[str, int], folder: Path
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that the tokenizer puts before and after every text."""
    named = roles(config, kind, folder / "tokenizer_config.json")
    if kind is Kind.ROBERTA:
        return tuple(ids[named[role].content] for role in ("cls_token",) if role in named), tuple(
            ids[named[role].content] for role in ("sep_token",) if role in named
        )
    if "tokenizer.json" in contents:
        processor = contents["tokenizer.json"].get("post_processor")
        return _processed(processor, folder / "tokenizer.json") if processor else ((), ())
    first, last = (
        (ids[named[role].content],) if config.get(f"add_{role}") and role in named else () for role in ROLES[:2]
    )
    return first, last


def _processed(processor: object, path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What a post-processor of tokenizer.json adds."""
    name = processor.get("type") if isinstance(processor, dict) else processor
    try:
        assert isinstance(processor, dict)
        if name == "Sequence":
            added = [_processed(part, path) for part in processor["processors"]]
            before, after = ([part[side] for part in added if part[side]] for side in (0, 1))
            if len(before) > 1 or len(after) > 1:
                raise SheetGPTError(f"{path} has post-processors that add tokens one after the other; expected one.")
            return tuple(before[0]) if before else (), tuple(after[0]) if after else ()
        if name == "ByteLevel":
            return (), ()
        if name in ("RobertaProcessing", "BertProcessing"):
            return _ids([processor["cls"][1]]), _ids([processor["sep"][1]])
        if name == "TemplateProcessing":
            return _template(processor)
    except (KeyError, TypeError, ValueError, IndexError, AssertionError, AttributeError):
        raise SheetGPTError(
            f"{path} has the post_processor {processor!r:.80}, which sheetgpt doesn't understand."
        ) from None
    raise SheetGPTError(f"{path} has the post_processor {name!r:.80}, which sheetgpt doesn't know.")


def _template(processor: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A template such as `<s> $A </s>`; it must have the text once."""
    sides: list[list[int]] = [[]]
    for piece in processor["single"]:
        if "Sequence" in piece:
            sides.append([])
        else:
            sides[-1] += processor["special_tokens"][piece["SpecialToken"]["id"]]["ids"]
    before, after = sides
    return _ids(before), _ids(after)


def _ids(found: Sequence[object]) -> tuple[int, ...]:
    if not all(map(_is_id, found)):
        raise ValueError("no id")
    return tuple(int(i) for i in found)  # type: ignore[call-overload]
