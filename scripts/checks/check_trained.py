"""What `sheetgpt train --save` leaves is a checkpoint that `transformers` reads, with the workbook's own loss.

    python -m pip install -e '.[oracle]'
    python scripts/checks/check_trained.py [WORKBOOK] [--steps 1000]

Trains a copy of the WORKBOOK, or a new one of `build --train`, with the command, loads the folder with
`GPT2LMHeadModel` in float64 and with `AutoTokenizer`, and compares the loss of every word of the list with the
evaluator's on the same folder, to 1e-9, and with the loss on the workbook's own cells, to 1e-5, since a checkpoint
holds float32. Ends with status 1 where they differ.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import copyfile

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, GPT2LMHeadModel

from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.learning import loss
from sheetgpt.gpt2.model import Array, forward
from sheetgpt.workbook.training.lesson import build_lesson, open_lesson

SAME, AS_FLOAT32 = 1e-9, 1e-5


def compare(workbook: Path, folder: Path) -> tuple[float, float, int, float]:
    """The largest differences from the evaluator on the folder and on the cells, the number of words, the mean loss."""
    moment, saved = open_lesson(workbook), load(folder)
    model = GPT2LMHeadModel.from_pretrained(folder).double().eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    end, columns = model.config.bos_token_id, moment.layout.context

    def ours(params: dict[str, Array], word: list[int]) -> float:
        wanted = loss.example(word, end, columns)
        return float(loss.cross_entropy(forward(params, moment.config, wanted.ids)["logits"], wanted)["loss"])

    exact = {name: tensor.astype("float64") for name, tensor in saved.params.items()}
    from_folder, from_cells, total = 0.0, 0.0, 0.0
    for word in moment.words:
        ids = tokenizer.encode(word, add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([[end, *ids]])).logits[0]
        theirs = float(cross_entropy(logits, torch.tensor([*ids, end])))
        from_folder = max(from_folder, abs(theirs - ours(exact, ids)))
        from_cells = max(from_cells, abs(theirs - ours(moment.now.w, ids)))
        total += theirs
    return from_folder, from_cells, len(moment.words), total / len(moment.words)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workbook", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        copy, folder = Path(scratch) / "trained.xlsx", Path(scratch) / "trained"
        if args.workbook is None:
            build_lesson(None, copy)
        else:
            copyfile(args.workbook, copy)
        program = [sys.executable, "-c", "from sheetgpt.cli import main; main()"]
        subprocess.run([*program, "train", copy, "--steps", str(args.steps), "--save", folder, "--quiet"], check=True)
        from_folder, from_cells, n, mean = compare(copy, folder)
    print(f"{n} words after {args.steps} steps, mean loss in transformers {mean:.6f}. Largest difference of a word's")
    print(
        f"loss from the evaluator's on the same folder: {from_folder:.1e}; on the workbook's cells: {from_cells:.1e}."
    )
    return 0 if from_folder <= SAME and from_cells <= AS_FLOAT32 else 1


if __name__ == "__main__":
    sys.exit(main())
