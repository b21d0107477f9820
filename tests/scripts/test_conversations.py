"""The assistant's training pairs: what is cleaned away, what is held out, how a conversation and a gap are written."""

import json
import random
import re
from pathlib import Path

import pytest
from checkpoint_files import CHAT_TEMPLATE, IM_END, ROLES, SPECIAL, chat_prompt, config_of, save_config, save_tokenizer
from conversation_words import ANIMALS, BOYS, COLORS, GIRLS, PLACES, THINGS, Words
from conversations import FACTS, UNKNOWN, conversation, holds_held
from corpus import count_bytes, encode, stories, train_tokenizer
from story_questions import clean_pair, gap, sentences, story_request

EVERY = frozenset({"names", "things", "forms"})


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def pair(kind: str, context: str, question: str, answer: str) -> dict[str, str]:
    return {"kind": kind, "context": context, "question": question, "answer": answer}


def test_a_clean_pair_keeps_only_the_sentence_that_answers() -> None:
    told = "Max ran home. It was late. One day, Max found a shiny coin on the ground."
    assert clean_pair(pair("what_found", told, "What did Max find?", "Max found a shiny coin.")) == (
        "One day, Max found a shiny coin on the ground. What did Max find?",
        "Max found a shiny coin.",
    )


@pytest.mark.parametrize(
    ("kind", "context", "answer"),
    [
        ("what_saw", "Tim saw a little bird sitting on the wheat.", "Tim saw a little bird sitting."),
        ("what_saw", "Max saw a cat stuck in a tree.", "Max saw a cat stuck."),
        ("who", "One day, Spot went to the park with his bone.", "Spot went with his bone."),
        ("name", "One day, a boy named Tim went to visit Mr.", "The name of the boy was Tim."),
        ("name", "He lived in a house with a girl named Lily.", "The name of the house with a girl was Lily."),
        ("what_like", "Sue sang. She liked to jump.", "Sue liked to jump."),
        ("what_love", "Tim loved to run and he ran all day.", "Tim loved to run and he ran all day."),
        ("what_love", "Tim loved to run. " * 2, "Tim loved to run. He ran"),
        ("what_love", "Tim loved to " + "run and run " * 9 + "far.", "Tim loved to " + "run and run " * 9 + "far."),
    ],
)
def test_a_pair_that_went_wrong_or_trails_on_is_dropped(kind: str, context: str, answer: str) -> None:
    assert clean_pair(pair(kind, context, "What?", answer)) is None


def test_a_request_for_a_short_story_gets_its_first_sentences() -> None:
    told = "Once there was a dog. He was big. He ran.\nThen he slept."
    found = pair("tell_story", "", "Tell me a story about a dog.", told)
    assert story_request(found) == ("Tell me a story about a dog.", told)
    assert story_request(found, 2) == ("Tell me a short story about a dog.", "Once there was a dog. He was big.")
    assert story_request(found, 4) is None


def test_sentences_end_where_a_sentence_begins() -> None:
    assert sentences('"Come in!" said Mom. Tom ran. "Yes." He sat.') == [
        '"Come in!" said Mom.',
        "Tom ran.",
        '"Yes."',
        "He sat.",
    ]


def test_a_gap_is_cut_between_words_and_loses_nothing() -> None:
    rng, text = random.Random(1), "Tom has a red ball. He plays with it."
    for _ in range(50):
        prefix, middle, suffix = gap(text, rng) or ("", "", "")
        assert prefix + middle + suffix == text
        assert prefix
        assert middle[0] == suffix[0] == " "
        assert middle.count(" ") <= 8
    assert gap("Tom ran away.", rng) is None


def test_training_conversations_hold_no_held_out_word_or_form() -> None:
    rng = random.Random(2)
    forms = {form for fact in FACTS for ask in fact.asks for form in ask.held}
    trained = {form for fact in FACTS for ask in fact.asks for form in ask.train}
    assert forms.isdisjoint(trained)
    made = [conversation(rng) for _ in range(2000)]
    assert not any(holds_held(f"{user} {answer}") for user, answer in made)
    assert not any("Can you tell me" in user or "Do you know" in user for user, _ in made)
    assert 0.1 < sum(answer == UNKNOWN for _, answer in made) / len(made) < 0.3


def test_held_out_conversations_use_the_held_out_words() -> None:
    rng = random.Random(3)
    names = {*GIRLS.train, *BOYS.train}
    for _ in range(500):
        user, _ = conversation(rng, EVERY, unknown=False)
        assert names.isdisjoint(user.replace("?", " ").replace(".", " ").split()), user


@pytest.mark.parametrize("group", [GIRLS, BOYS, THINGS, ANIMALS, PLACES])
def test_no_word_is_both_trained_and_held_out(group: Words) -> None:
    assert not {*group.train} & {*group.held}


def test_an_answer_stands_in_the_text() -> None:
    """Every word of a known answer is in the text, but for those that the question brings along."""
    rng = random.Random(4)
    for _ in range(1000):
        user, answer = conversation(rng, unknown=False)
        assert answer != UNKNOWN
        there = {*words_of(user), "is", "was", "the", "name", "of"}
        assert there.issuperset(words_of(answer)), (user, answer)


def test_an_unanswerable_question_is_not_answered_by_chance() -> None:
    rng = random.Random(5)
    for _ in range(1000):
        user, answer = conversation(rng, unknown=True)
        assert answer == UNKNOWN
        told, asked = re.split(r"(?<=\.) (?=[^.]+[.?]$)", user) if ". " in user else ("", user)
        if found := re.fullmatch(r"(?:What|Which) color is the (\w+)\?", asked):
            assert not re.search(
                rf"({'|'.join(COLORS.train)}) {found[1]}|The {found[1]} is (?!under|on|in|be|ne|by)", told
            ), user
        if found := re.fullmatch(r"(?:What|Where|Who) did (\w+) .*", asked):
            verb = asked.split()[3].rstrip("?")
            assert not re.search(rf"{found[1]} {verb}", told), user


def test_the_corpus_counts_no_marker() -> None:
    text = "One.\n<|endoftext|>\nTwo.\n<|endoftext|>\n"
    assert stories(text) == ["One.", "Two."]
    assert count_bytes(text) == len("One.\n\nTwo.\n\n")
    assert stories("One.\n\nTwo.") == ["One.", "Two."]


def test_the_tokenizer_s_files_name_roles_and_ends(tmp_path: Path) -> None:
    tokenizer = train_tokenizer("Tom has a ball.\n<|endoftext|>\nSue has a ball.\n", 300, SPECIAL, ROLES)
    save_tokenizer(tokenizer, tmp_path, 256, chat=True)
    save_config(config_of(300, 256, 8, 1, 1), tmp_path, 2)
    ids = tokenizer.encode(chat_prompt("Tom?")).tokens
    assert ids[:3] == ["<|im_start|>", "user", "Ċ"]
    assert ids[-3:] == ["<|im_start|>", "assistant", "Ċ"]
    assert encode(tokenizer, "a\n<|endoftext|>\n")[0] == 0
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == CHAT_TEMPLATE
    assert settings["eos_token"] == IM_END
    assert [token["content"] for token in settings["added_tokens_decoder"].values()] == ["<|endoftext|>", *SPECIAL]
    assert json.loads((tmp_path / "config.json").read_text())["eos_token_id"] == 2
    assert json.loads((tmp_path / "generation_config.json").read_text())["eos_token_id"] == 2
