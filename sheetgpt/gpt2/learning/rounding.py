"""How well a gradient is known: an estimate of its rounding, from the size of what was added up to make it.

Two programs that add in another order, or whose EXP differs in its last bit, get gradients that differ by what rounding
leaves. Every number y of the forward and backward pass comes here with its `size`, so that a sound program's y lies
within ROUNDING * size(y). With own(y) = the sum of the absolute values of the terms that y itself is made of, and those
terms made of numbers x with sizes of their own,

    size(y)^2 = sum over x of (dy/dx)^2 size(x)^2 + own(y)^2.

Roundings are taken as independent, so their squares add up, as a sum's error grows like sqrt(n) and not like n (Higham
and Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41 (2019)). The bound that
never fails, with absolute values in place of squares, says 1e-7 after 1,000 steps where the noise is 3e-16. Where terms
cancel, y is small and its size is not: a key's bias has the gradient 0 in theory, and its size says how large the noise
is that each program has in its place. What isn't covered: a relu whose input is within rounding of 0.

Each method has the squared size of what the function of the same name in `model.py` or `backward.py` (`d_...`) returns.
"""

from collections.abc import Mapping

import numpy as np

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import backward
from sheetgpt.gpt2.learning.loss import Example
from sheetgpt.gpt2.model import Array, Trace

ROUNDING = 1e-14  # as in `sampling`: 45 last bits, some seven times what was seen against 80-bit numbers


def gradient_doubts(params: Mapping[str, Array], config: GPT2Config, trace: Trace, wanted: Example) -> Trace:
    """For each parameter, under its gradient's name `grad_...`, how far off each number of the gradient may be.

    `trace` has the forward pass, the loss and all gradients, as `learn.gradients` returns them.
    """
    squares = _Squares(params, config, trace, wanted)
    squares.forward()
    squares.backward()
    return {f"grad_{name}": ROUNDING * np.sqrt(squares.found[f"grad_{name}"]) for name in params}


def softmax(y: Array, x: Array) -> Array:
    """dy = y (dx - sum of y dx), down each column.  [n, T] -> [n, T]"""
    square: Array = y * y * (1 + x + (y * y * x).sum(axis=0))
    return square


def product(a: Array, a_square: Array, b: Array, b_square: Array) -> Array:
    """Of the matrix product a b."""
    square: Array = a * a @ b_square + a_square @ (b * b) + (abs(a) @ abs(b)) ** 2
    return square


class _Squares:
    """The squared sizes found so far, by the names of their tensors."""

    def __init__(self, params: Mapping[str, Array], config: GPT2Config, trace: Trace, wanted: Example) -> None:
        self.config, self.trace, self.wanted = config, trace, wanted
        self.params = {name: np.asarray(tensor, np.float64) for name, tensor in params.items()}
        self.found: Trace = {}

    def forward(self) -> None:
        found, trace, config = self.found, self.trace, self.config
        x = found["embed"] = trace["embed"] ** 2
        for i in range(config.n_layer):
            h = f"h{i}."
            self.norm(x, self.entering(i), h + "ln_1")
            x = x + self.attention(h) + trace[h + "resid_mid"] ** 2
            self.norm(x, trace[h + "resid_mid"], h + "ln_2")
            fc = found[h + "mlp.fc"] = self.linear(h + "ln_2", h + "mlp.c_fc")
            found[h + "mlp.act"] = self.slope(h) ** 2 * fc + trace[h + "mlp.fc"] ** 2
            x = x + self.linear(h + "mlp.act", h + "mlp.c_proj") + trace[h + "resid_post"] ** 2
        self.norm(x, self.entering(config.n_layer), "ln_f")
        head = self.params[config.head]
        found["probs"] = softmax(trace["probs"], product(head, 0 * head, trace["ln_f"], found["ln_f"]))

    def entering(self, i: int) -> Array:
        """The stream that enters block i, or the last norm."""
        return self.trace[f"h{i - 1}.resid_post" if i else "embed"]

    def slope(self, h: str) -> Array:
        """The activation's derivative."""
        x = self.trace[h + "mlp.fc"]
        return backward.ACTIVATION[self.config.activation_function](np.ones_like(x), x)

    def linear(self, x: str, name: str) -> Array:
        weight, bias = self.params[name + ".w"].T, self.params[name + ".b"][:, None]
        return product(weight, 0 * weight, self.trace[x], self.found[x]) + bias**2

    def norm(self, square: Array, x: Array, name: str) -> None:
        """Of (x - mean) rstd gain + bias; keeps those of the deviations x - mean, and of rstd relative to itself."""
        n, mean, rstd = len(x), self.trace[name + ".mean"], self.trace[name + ".rstd"]
        away, gain, bias = x - mean, self.params[name + ".g"][:, None], self.params[name + ".b"][:, None]
        known = self.found[name + ".away"] = square + square.sum(axis=0) / n**2 + abs(x).mean(axis=0) ** 2 + away**2
        rate = self.found[name + ".rstd"] = 1 + (rstd**2 / n) ** 2 * (away**2 * known).sum(axis=0)
        self.found[name] = (gain * rstd) ** 2 * (known + away**2 * rate) + bias**2

    def attention(self, h: str) -> Array:
        name, trace, found = h + "attn.", self.trace, self.found
        found[name + "qkv"] = self.linear(h + "ln_1", name + "c_attn")
        (q, k, v), (q_square, k_square, v_square) = self.heads(trace[name + "qkv"]), self.heads(found[name + "qkv"])
        z = found[name + "z"] = np.empty_like(trace[name + "z"])
        for j, z_square in enumerate(z.reshape(q.shape)):
            scores = product(k[j].T, k_square[j].T, q[j], q_square[j]) / self.config.head_size
            probs = trace[f"{name}probs.{j}"]
            square = found[f"{name}probs.{j}"] = softmax(probs, scores)
            z_square[:] = product(v[j], v_square[j], probs, square)
        return self.linear(name + "z", name + "c_proj")

    def heads(self, qkv: Array) -> Array:
        return qkv.reshape(3, self.config.n_head, self.config.head_size, -1)

    def backward(self) -> None:
        found, trace, config = self.found, self.trace, self.config
        d = found["probs"] * np.asarray(self.wanted.shares) ** 2 + trace["d_logits"] ** 2
        head = self.params[config.head]
        part = "grad_wte.unembed" if config.tied else "grad_lm_head"
        found[part] = product(trace["d_logits"], d, trace["ln_f"].T, found["ln_f"].T)
        d = self.d_norm(product(head.T, 0 * head.T, trace["d_logits"], d), self.entering(config.n_layer), "ln_f")
        for i in reversed(range(config.n_layer)):
            h = f"h{i}."
            act = self.d_linear(d, h + "mlp.c_proj", h + "mlp.act", h + "mlp.out")
            # No activation's slope changes by more than 1.2 where x changes by 1.
            fc = act * self.slope(h) ** 2 + trace[f"d_{h}mlp.act"] ** 2 * (1 + 1.5 * found[h + "mlp.fc"])
            m = self.d_linear(fc, h + "mlp.c_fc", h + "ln_2", h + "mlp.fc")
            d = d + self.d_norm(m, trace[h + "resid_mid"], h + "ln_2") + trace[f"d_{h}resid_mid"] ** 2
            d = d + self.d_norm(self.d_attention(d, h), self.entering(i), h + "ln_1")
            d = d + trace[f"d_h{i - 1}.resid_post" if i else "d_embed"] ** 2
        found["grad_wpe"], looked_up, own = (np.zeros((n, len(d))) for n in (config.n_positions, *[config.n_vocab] * 2))
        found["grad_wpe"][: d.shape[1]] = d.T
        np.add.at(looked_up, list(self.wanted.ids), d.T)
        np.add.at(own, list(self.wanted.ids), abs(trace["d_embed"]).T)
        found["grad_wte"] = looked_up + own**2
        if config.tied:
            found["grad_wte"] += found[part] + trace["grad_wte"] ** 2

    def d_linear(self, square: Array, name: str, x: str, y: str) -> Array:
        """Of a linear layer's gradients, `square` that of d_y."""
        weight, d = self.params[name + ".w"], self.trace[f"d_{y}"]
        self.found[f"grad_{name}.w"] = product(self.trace[x], self.found[x], d.T, square.T)
        self.found[f"grad_{name}.b"] = square.sum(axis=1) + abs(d).sum(axis=1) ** 2
        return product(weight, 0 * weight, d, square)

    def d_norm(self, square: Array, x: Array, name: str) -> Array:
        """Of a layer norm's gradients, `square` that of d_y; term by term as in `backward.layer_norm`."""
        trace, n, gain = self.trace, len(x), self.params[name + ".g"][:, None]
        away, rstd, d = x - trace[name + ".mean"], trace[name + ".rstd"], trace[f"d_{name}"]
        known, rate = self.found[name + ".away"], self.found[name + ".rstd"]
        terms = d * away * rstd
        own = abs(terms).sum(axis=1) ** 2
        self.found[f"grad_{name}.g"] = (rstd**2 * (square * away**2 + d**2 * known) + terms**2 * rate).sum(axis=1) + own
        self.found[f"grad_{name}.b"] = square.sum(axis=1) + abs(d).sum(axis=1) ** 2
        inner, inner_square = d * gain, square * gain**2 + (d * gain) ** 2
        d_mean = (
            rstd**2 * (inner_square.sum(axis=0) + abs(inner).sum(axis=0) ** 2) + trace[f"d_{name}.mean"] ** 2 * rate
        )
        d_rstd = (inner_square * away**2 + inner**2 * known).sum(axis=0) + abs(inner * away).sum(axis=0) ** 2
        through = d_rstd * away**2 + trace[f"d_{name}.rstd"] ** 2 * (known + 9 * rate * away**2)
        dx: Array = rstd**2 * (inner_square + inner**2 * rate) + (d_mean + rstd**6 * through) / n**2
        return dx

    def d_attention(self, square: Array, h: str) -> Array:
        """Of the gradients of an attention layer, `square` that of its output's."""
        name, trace, found, size = h + "attn.", self.trace, self.found, self.config.head_size
        z_square = self.d_linear(square, name + "c_proj", name + "z", name + "out")
        (q, k, v), (q_square, k_square, v_square) = self.heads(trace[name + "qkv"]), self.heads(found[name + "qkv"])
        qkv = np.empty_like(found[name + "qkv"])
        d_q, d_k, d_v = self.heads(qkv)
        d_z, z_square = trace[f"d_{name}z"].reshape(q.shape), z_square.reshape(q.shape)
        key_bias = abs(self.heads(trace[f"d_{name}qkv"])[1]).sum(axis=-1) ** 2
        for j in range(self.config.n_head):
            probs, probs_square = trace[f"{name}probs.{j}"], found[f"{name}probs.{j}"]
            d_probs, d_scores = (np.nan_to_num(trace[f"d_{name}{what}.{j}"]) for what in ("probs", "scores"))
            d_probs_square = product(v[j].T, v_square[j].T, d_z[j], z_square[j])
            mean, mean_own = (probs * d_probs).sum(axis=0), (probs * abs(d_probs)).sum(axis=0) ** 2
            means = (probs**2 * d_probs_square + probs_square * d_probs**2).sum(axis=0) + mean_own
            scores = probs_square * (d_probs - mean) ** 2 + probs**2 * (d_probs_square + means)
            d_v[j] = product(d_z[j], z_square[j], probs.T, probs_square.T)
            d_q[j] = product(k[j], k_square[j], d_scores, scores) / size
            d_k[j] = product(q[j], q_square[j], d_scores.T, scores.T) / size
            # d_scores add up to 0 down a column whatever went into them: only what they themselves round remains.
            own = (probs**2 * (d_probs**2 + mean**2)).sum(axis=0) + mean_own
            key_bias[j] += (q[j] ** 2 @ own + ((abs(q[j]) @ abs(d_scores).T) ** 2).sum(axis=-1)) / size
        d_x = self.d_linear(qkv, name + "c_attn", h + "ln_1", name + "qkv")
        found[f"grad_{name}c_attn.b"].reshape(3, *key_bias.shape)[1] = key_bias
        return d_x
