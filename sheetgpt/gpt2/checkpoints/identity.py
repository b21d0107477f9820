"""What makes a checkpoint the same wherever it lies: config and weights. No name and no path is part of it."""

import hashlib

import numpy as np

from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.checkpoints.mapped import release


def fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 over the config and every weight's name, shape and float32 bytes."""
    digest = hashlib.sha256(repr(checkpoint.config).encode())
    for name in sorted(checkpoint.params):
        tensor = np.ascontiguousarray(checkpoint.params[name], np.float32)
        digest.update(f"{name}{tensor.shape}".encode())
        digest.update(tensor.data)
        release(checkpoint.params[name])
    return digest.hexdigest()
