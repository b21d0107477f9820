"""Thousands of damaged checkpoints and workbooks: each works, or is refused in one sentence, in 1 GB and 10 s.

    python scripts/soaks/soak_mutations.py [--mutations 3000] [--first 0] [--keep FOLDER]

Mutation n is made by `damage` with the seed n; two thirds are checkpoints, for `sheetgpt build`, and one third
workbooks, for `check`, `info`, `read` and `verify`. Each runs in a process of its own, forked, whose address space and
processor time are bounded. What it may do: end with status 0 or 1, or with 2 and one line; leave no half-written file;
and take no file of weights or tokenizer.json that the library for it refuses. Prints a count by outcome, and each
failure with its number, which `--first N --mutations 1` repeats. Linux only.
"""

import argparse
import contextlib
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import damage
import numpy as np
import safetensors
import tokenizers
from safetensors.numpy import save_file

import sheetgpt
from sheetgpt import cli
from sheetgpt.errors import SheetGPTError
from sheetgpt.text.tokenizer import byte_to_unicode

MEMORY, SECONDS = 1 << 30, 10
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
SIZES = {"vocab_size": 260, "n_positions": 16, "n_embd": 4, "n_layer": 2, "n_head": 2, "n_inner": 6}
ROOM = ["--context", "4", "--prompt-bytes", "12", "--merge-rounds", "3"]
FORMS = ("one file", "shards", "no tokenizer")


def tensors() -> dict[str, np.ndarray]:
    """Random weights under Hugging Face's names."""
    d, inner = SIZES["n_embd"], SIZES["n_inner"]
    shapes = {"wte.weight": (260, d), "wpe.weight": (16, d), "ln_f.weight": (d,), "ln_f.bias": (d,)}
    for i in range(SIZES["n_layer"]):
        shapes |= {f"h.{i}.{norm}.{kind}": (d,) for norm in ("ln_1", "ln_2") for kind in ("weight", "bias")}
        layers = {"attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d), "mlp.c_fc": (d, inner), "mlp.c_proj": (inner, d)}
        for layer, shape in layers.items():
            shapes |= {f"h.{i}.{layer}.weight": shape, f"h.{i}.{layer}.bias": shape[1:]}
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def make(folder: Path, form: str) -> None:
    """A sound checkpoint, as Hugging Face's libraries write it."""
    folder.mkdir()
    config = {"model_type": "gpt2", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, **SIZES}
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": 0, "activation_function": "gelu_new"}))
    weights = tensors()
    if form == "shards":
        files = {f"model-0000{i + 1}-of-00002.safetensors": [*weights][i::2] for i in range(2)}
        for file, names in files.items():
            save_file({name: weights[name] for name in names}, folder / file, {"format": "pt"})
        places = {name: file for file, names in files.items() for name in names}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    else:
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    if form == "no tokenizer":
        return
    letters = [byte_to_unicode()[byte] for byte in range(256)]
    vocab = {token: i for i, token in enumerate(["<|endoftext|>", *letters, "th", "the", "Ġthe"])}
    pairs = ["t h", "th e", "Ġ the"]
    special = {"id": 0, "content": "<|endoftext|>", "special": True, "lstrip": False, "rstrip": False}
    special |= {"single_word": False, "normalized": False}
    if form == "shards":
        (folder / "vocab.json").write_text(json.dumps(vocab))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(pairs) + "\n")
        (folder / "added_tokens.json").write_text(json.dumps({"<|endoftext|>": 0}))
        (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    else:
        model = {"type": "BPE", "vocab": vocab, "merges": pairs, "dropout": None}
        splitter = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        whole = {"version": "1.0", "added_tokens": [special], "pre_tokenizer": splitter, "model": model}
        (folder / "tokenizer.json").write_text(json.dumps(whole))
        decoder = {"0": {key: value for key, value in special.items() if key != "id"}}
        settings = {"added_tokens_decoder": decoder, "eos_token": "<|endoftext|>", "model_max_length": 10**30}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def refused_by_the_library(folder: Path, text: bool) -> str | None:
    """What safetensors says of the folder's weights, and tokenizers of its tokenizer.json, where they refuse them.

    A flag that a tokenizer.json leaves out counts as its usual value; the library asks for it.
    """
    for path in folder.glob("*.safetensors"):
        try:
            with safetensors.safe_open(path, "numpy"):
                pass
        except Exception as error:
            return f"{path.name}: {error}"
    for path in folder.glob("tokenizer.json") if text else ():
        try:
            tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:
            if "missing field" not in str(error):
                return f"{path.name}: {error}"
    return None


class Soak:
    def __init__(self, folder: Path) -> None:
        self.folder, self.sound = folder, folder / "sound"
        self.sound.mkdir()
        for form in FORMS:
            make(self.sound / form, form)
        room = {"context": 4, "new_tokens": 1}
        text = {"prompt": "the", "prompt_bytes": 12, "merge_rounds": 3}
        self.books = [self.sound / f"{name}.xlsx" for name in ("text", "ids", "int8")]
        sheetgpt.build(self.sound / "one file", self.books[0], **room, **text)  # type: ignore[arg-type]
        sheetgpt.build(self.sound / "no tokenizer", self.books[1], ids=[1, 2, 3], context=4)
        sheetgpt.build(self.sound / "one file", self.books[2], ids=[1, 2], context=4, prompt_bytes=0, weights="int8")
        self.warm()

    def warm(self) -> None:
        """What is loaded and remembered on first use is no child's own time."""
        commands = [["build", str(self.sound), "-o", "x.xlsx"], *(["check", str(book)] for book in self.books)]
        with silence():
            for words in commands:
                sys.argv = ["sheetgpt", *words]
                with contextlib.suppress(SystemExit):
                    cli.main()
        for book in self.books:
            assert sheetgpt.verify(book, engine="cached").passed
            reading(str(book))
        gc.freeze()

    def mutate(self, number: int, place: Path) -> tuple[str, list[str]]:
        """What was damaged, and the command to give it to."""
        rng = Random(number)
        if number % 3:
            form = rng.choice(FORMS)
            shutil.copytree(self.sound / form, place / "model")
            said = damage.checkpoint(place / "model", rng)
            given = ["--ids", "1,2,3"] if form == "no tokenizer" or rng.random() < 0.3 else ["--prompt", "the"]
            return f"{form}, {said}", [
                "build",
                str(place / "model"),
                "-o",
                str(place / "out.xlsx"),
                "-q",
                *ROOM,
                *given,
            ]
        book = rng.choice(self.books)
        shutil.copy(book, place / "book.xlsx")
        said, path = damage.workbook(place / "book.xlsx", rng), str(place / "book.xlsx")
        model = str(self.sound / ("no tokenizer" if book.stem == "ids" else "one file"))
        verify = ["verify", path, "--engine", "cached"]
        ways = [
            ["check", path],
            ["info", path],
            [*verify, "--model", model],
            [*verify, "--weights-from-workbook"],
            ["read", path],
        ]
        return f"{book.stem}, {said}", rng.choices(ways, [3, 1, 4, 1, 1])[0]

    def one(self, number: int) -> tuple[str, str]:
        """The outcome in a word, and what to say of it."""
        place = self.folder / str(number)
        place.mkdir()
        said, words = self.mutate(number, place)
        before = {path.name for path in place.iterdir()}
        status, output = forked(words, place)
        # a note that says where the model was found may stand before a refusal
        lines = [line for line in output.strip().splitlines() if not line.startswith("The checkpoint of ")]
        left = {path.name for path in place.iterdir()} - before - {"said"}
        built, text = words[0] == "build" and status == 0, "--prompt" in words
        refusal = refused_by_the_library(place / "model", text) if built else None
        if status not in (0, 1, 2):
            outcome = f"FAILED: ended by {status}"
        elif "Traceback" in output or "panicked" in output:
            outcome = "FAILED: traceback"
        elif status == 2 and (len(lines) != 1 or not lines[0].startswith("sheetgpt: ")):
            outcome = "FAILED: not one sentence"
        elif status == 2 and len(lines[0]) > 2000:
            outcome = "FAILED: a long sentence"
        elif left != ({"out.xlsx"} if words[0] == "build" and status == 0 else set()):
            outcome = f"FAILED: left {sorted(left)}"
        elif refusal:
            outcome = f"FAILED: taken, though the library refuses {refusal}"
        elif words[0] == "build" and status == 1:
            outcome = "FAILED: status 1"
        else:
            outcome = {0: "works", 1: "found wrong (status 1)", 2: "refused in one sentence"}[status]
        return f"{words[0]}: {outcome}", f"{said}; {' '.join(words[3:])} -> {' '.join(lines)[-600:]}"


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing that is printed is seen."""
    screens, nothing = (os.dup(1), os.dup(2)), os.open(os.devnull, os.O_WRONLY)
    for screen in (1, 2):
        os.dup2(nothing, screen)
    try:
        yield
    finally:
        for screen, before in zip((1, 2), screens, strict=True):
            os.dup2(before, screen)


def forked(words: list[str], place: Path) -> tuple[int | str, str]:
    """The command's status, or the signal that ended it; and what it printed."""
    pid = os.fork()
    if pid == 0:
        limited(words, place)
    status = os.waitpid(pid, 0)[1]
    said = (place / "said").read_text("utf-8", "replace") if (place / "said").exists() else ""
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name, said
    return os.WEXITSTATUS(status), said


def limited(words: list[str], place: Path) -> None:
    """In the child: bounds, then the command. Never returns."""
    said = os.open(place / "said", os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    signal.alarm(6 * SECONDS)  # of a busy machine's clock: something waits for good
    sys.argv = ["sheetgpt", *words]
    status = 99
    with contextlib.suppress(BaseException):
        try:
            if words[0] == "read":
                status = reading(words[1])
            else:
                cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def reading(path: str) -> int:
    """`sheetgpt.read`, which no command calls."""
    try:
        for tensor in ("h0.attn.probs.1", "wte", "logits", "token_ids"):
            sheetgpt.read(path, tensor)
    except SheetGPTError as error:
        print(f"sheetgpt: {error}")
        return 2
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutations", type=int, default=3_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the damaged inputs of failures")
    args = parser.parse_args()
    if ONE_THREAD.items() - os.environ.items():  # each thread takes address space, and libraries start them on import
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    counts: Counter[str] = Counter()
    started, slowest = time.monotonic(), (0.0, 0)
    with tempfile.TemporaryDirectory(prefix="sheetgpt-soak-") as folder:
        soak = Soak(Path(folder))
        for number in range(args.first, args.first + args.mutations):
            since = time.monotonic()
            outcome, words = soak.one(number)
            slowest = max(slowest, (time.monotonic() - since, number))
            counts[outcome.split(" b'")[0]] += 1
            if "FAILED" in outcome or args.mutations == 1:
                print(f"{number}: {outcome}: {words}", flush=True)
                if args.keep:
                    shutil.copytree(Path(folder) / str(number), args.keep / str(number), symlinks=True)
            shutil.rmtree(Path(folder) / str(number))
    for outcome, n in sorted(counts.items()):
        print(f"{n:6,} {outcome}")
    seconds = time.monotonic() - started
    print(f"{args.mutations:,} mutations in {seconds:,.0f} s; the slowest, {slowest[1]}, took {slowest[0]:.1f} s")
    sys.exit(any("FAILED" in outcome for outcome in counts))


if __name__ == "__main__":
    main()
