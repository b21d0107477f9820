"""The tokenizer in formulas against the package `tokenizers`, on more texts than the tests have time for.

    python scripts/checks/check_tokenizer.py [--mirror 100000] [--live 300] [--vocabulary bundled|gpt2]

`--mirror`: texts through the sheet's algorithm in Python. `--live`: texts typed into a workbook in LibreOffice, with
the seconds that a recalculation takes: workbooks/stories.xlsx, or a small network with GPT-2's own vocabulary.
Exit status 1 when anything differs.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sheetgpt import load
from sheetgpt.engines import Step, libreoffice
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.text import bpe
from sheetgpt.text.tokenizer import Tokenizer
from sheetgpt.workbook.build import build

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "shared"))
from prompts import READ, wrong
from ready import hugging_face_tensors
from texts import gpt2_files, random_texts, typed

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.workbook.reopen import open_workbook


def mirror(tokenizer: Tokenizer, n: int) -> int:
    """How many of `n` texts the algorithm of the sheet reads otherwise than the reference."""
    tables, bad = bpe.Tables.of(tokenizer), 0
    for text in random_texts(n, 77):
        expected: list[int | None] = [*tokenizer.encode(text)] or [*tables.empty]
        if bpe.run(text, tables, 4000, 400).ids != expected:
            print("differs:", repr(text))
            bad += 1
    return bad


def live(workbook: Path, checkpoint: Checkpoint, n: int) -> int:
    """How many of `n` texts the workbook reads otherwise; prints what a recalculation takes."""
    layout, quiet = open_workbook(workbook).layout, {"new_tokens": 0, "score_prompt": 0}
    texts = random_texts(n, 78)
    steps = [Step(quiet, READ, hard=False), *(Step({"prompt": typed(text)}, READ, hard=False) for text in texts)]
    session = libreoffice.session(workbook, steps, timeout=3600)
    problems = [wrong(a, text, checkpoint, layout) for text, a in zip(texts, session.results[1:], strict=True)]
    for problem in filter(None, problems):
        print("differs:", problem)
    seconds = np.array(session.step_seconds[1:])
    print(f"a recalculation: median {np.median(seconds):.2f} s, longest {seconds.max():.2f} s")
    return sum(map(bool, problems))


def words(folder: Path) -> Checkpoint:
    """A network one wide that has GPT-2's vocabulary: nearly all that it does is to read text."""
    config = GPT2Config(n_vocab=50257, n_positions=64, n_embd=1, n_layer=1, n_head=1, n_inner=1)
    rng = np.random.default_rng(1)
    params = {name: rng.normal(size=shape).astype(np.float32) for name, shape in config.parameter_shapes().items()}
    save_file(hugging_face_tensors(params), folder / "model.safetensors", {"format": "pt"})
    sizes = {key: getattr(config, key) for key in ("n_positions", "n_embd", "n_layer", "n_head", "n_inner")}
    settings = {"model_type": "gpt2", "vocab_size": config.n_vocab, "layer_norm_epsilon": config.layer_norm_epsilon}
    (folder / "config.json").write_text(json.dumps(settings | sizes | {"activation_function": "gelu_new"}))
    for name, data in gpt2_files().items():
        (folder / name).write_bytes(data)
    return load(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=int, default=100_000)
    parser.add_argument("--live", type=int, default=300)
    parser.add_argument("--vocabulary", choices=["bundled", "gpt2"], nargs="*", default=["bundled", "gpt2"])
    args, bad = parser.parse_args(), 0
    with tempfile.TemporaryDirectory() as scratch:
        for vocabulary in args.vocabulary:
            if vocabulary == "bundled":
                checkpoint, workbook = load("stories"), Path("workbooks/stories.xlsx")
            else:
                checkpoint, workbook = words(Path(scratch)), Path(scratch) / "words.xlsx"
                if args.live:
                    build(checkpoint, workbook, prompt="Hello", context=4, new_tokens=0, score_prompt=False)
                    without = build(checkpoint, Path(scratch) / "ids.xlsx", ids=[0], context=4, prompt_bytes=0)
                    megabytes = (workbook.stat().st_size - without.stat().st_size) / 1e6
                    print(f"the tokenizer's sheets add {megabytes:.1f} MB")
            assert checkpoint.tokenizer
            begun = time.perf_counter()
            wrong_mirror = mirror(checkpoint.tokenizer, args.mirror)
            print(f"{vocabulary}: {args.mirror:,} texts in Python, {wrong_mirror} differ", end="")
            print(f" ({time.perf_counter() - begun:.0f} s)")
            wrong_live = live(workbook, checkpoint, args.live) if args.live else 0
            print(f"{vocabulary}: {args.live} texts in LibreOffice, {wrong_live} differ", flush=True)
            bad += wrong_mirror + wrong_live
    raise SystemExit(bad > 0)


if __name__ == "__main__":
    main()
