"""How long the evaluator takes a token, beside Hugging Face's `transformers` on the CPU, both with as many threads.

Random weights in the bundled model's and in GPT-2 small's shapes; every measurement in a process of its own, the two
programs taking turns. Prompt: one pass that fills the cache, logits of the last token only. Generation: one token at a
time on the cache; ours includes the choice (top_k 40), theirs the largest logit. The fastest of several repetitions
counts, and the least CPU time (of all threads), which says more on a busy machine.

    python -m pip install -e '.[oracle]'
    python scripts/benches/bench_evaluator.py [--shape bundled] [--threads 2] [--json FILE]
"""

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sheetgpt.gpt2.checkpoints.checkpoint import BUNDLED, DEFAULT, read_config
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation.continuation import Cache, advance
from sheetgpt.gpt2.generation.sampling import Sampling, choose

SHAPES = {
    "bundled": read_config(BUNDLED / DEFAULT / "config.json"),
    "GPT-2 small": GPT2Config(n_vocab=50257, n_positions=1024, n_embd=768, n_layer=12, n_head=12, n_inner=3072),
}
PROMPT, NEW, REPEAT = 64, 32, 5
PROGRAMS = ("sheetgpt", "transformers")
DTYPES = ("float32", "float64")
PARTS = ("prompt", "generated")

Step = Callable[[list[int], bool], int]  # (ids, whether they begin a text) -> the next token's id


def measure(shapes: tuple[str, ...] = tuple(SHAPES), threads: int = 2) -> list[dict[str, Any]]:
    """A row a shape, dtype and program: milliseconds a token, wall clock and CPU, and the process's peak memory.

    Rows of `transformers` are missing where it isn't installed.
    """
    programs = PROGRAMS if transformers_is_here() else PROGRAMS[:1]
    limits = {key: str(threads) for key in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    rows = []
    for shape in shapes:
        for dtype in DTYPES:
            for program in programs:
                command = [sys.executable, __file__, "--one", program, shape, dtype]
                done = subprocess.run(command, env={**os.environ, **limits}, stdout=subprocess.PIPE, check=True)
                rows.append({"shape": shape, "dtype": dtype, "program": program} | json.loads(done.stdout))
    return rows


def transformers_is_here() -> bool:
    return all(find_spec(name) for name in ("torch", "transformers"))


def measure_one(program: str, shape: str, dtype: str) -> dict[str, float]:
    """The fastest repetition, in this process."""
    step = (ours if program == "sheetgpt" else theirs)(SHAPES[shape], dtype)
    prompt = np.random.default_rng(1).integers(0, SHAPES[shape].n_vocab, PROMPT).tolist()
    token = 0

    def read() -> None:
        nonlocal token
        token = step(prompt, True)

    def write() -> None:
        nonlocal token
        for _ in range(NEW):
            token = step([token], False)

    taken = [(timed(read), timed(write)) for _ in range(REPEAT)]
    result: dict[str, Any] = {}
    for part, n, times in zip(PARTS, (PROMPT, NEW), zip(*taken, strict=True), strict=True):
        wall, cpu = map(min, zip(*times, strict=True))
        result |= {f"ms_per_{part}_token": wall / n * 1e3, f"cpu_ms_per_{part}_token": cpu / n * 1e3}
    result["peak_mb"] = peak_mb()
    return result


def peak_mb() -> float:
    """This process's own: where there is /proc, not what the process that started it had taken."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+)", status.read_text(encoding="utf-8")) if status.exists() else None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of all threads together."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def ours(config: GPT2Config, dtype: str) -> Step:
    generator = np.random.default_rng(1)
    params = {}
    for name, size in config.parameter_shapes().items():
        params[name] = generator.standard_normal(size, np.float32).astype(dtype, copy=False)
        params[name] *= 0.02
        params[name] += name.endswith(".g")
    cache = Cache(config, PROMPT + NEW, np.dtype(dtype))

    def step(ids: list[int], first: bool) -> int:
        cache.length = 0 if first else cache.length
        return choose(advance(params, config, ids, cache), Sampling(), 0.5).id

    return step


def theirs(config: GPT2Config, dtype: str) -> Step:
    import torch
    from transformers import GPT2Config as TheirConfig
    from transformers import GPT2LMHeadModel

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_default_dtype(getattr(torch, dtype))
    settings = {key: getattr(config, key) for key in ("n_positions", "n_embd", "n_layer", "n_head", "n_inner")}
    special = {"bos_token_id": 0, "eos_token_id": 0}
    model = GPT2LMHeadModel(TheirConfig(vocab_size=config.n_vocab, **settings, **special)).eval()
    past = None

    def step(ids: list[int], first: bool) -> int:
        nonlocal past
        with torch.inference_mode():
            cache = None if first else past
            out = model(torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        past = out.past_key_values
        return int(out.logits[0, -1].argmax())

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, help="only this one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the table to this file, too")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure_one(*args.one)))
        return
    rows = measure((args.shape,) if args.shape else tuple(SHAPES), args.threads)
    print(f"{platform.machine()}, Python {platform.python_version()}, {args.threads} threads")
    for what, figure in lines(rows):
        print(f"{what:42}{figure}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def lines(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """A line a row of `measure`, ours with its ratio to theirs; one more where there is nothing to compare with."""
    table = []
    for row in rows:
        theirs = next((r for r in rows if r["program"] != "sheetgpt" and same(r, row)), row)
        parts = []
        for part in PARTS:
            wall, cpu = f"ms_per_{part}_token", f"cpu_ms_per_{part}_token"
            ratio = "" if theirs is row else f", {row[wall] / theirs[wall]:.2f} of theirs"
            parts.append(f"{row[wall]:.3f} ms ({row[cpu]:.3f} CPU) a {part} token{ratio}")
        what = f"{row['program']}, {row['shape']}, {row['dtype']}"
        table.append((what, f"{'; '.join(parts)}; {row['peak_mb']:,.0f} MB"))
    if all(row["program"] == "sheetgpt" for row in rows):
        table.append(("transformers", "not installed, so not compared: pip install -e '.[oracle]'"))
    return table


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return (a["shape"], a["dtype"]) == (b["shape"], b["dtype"])


if __name__ == "__main__":
    main()
