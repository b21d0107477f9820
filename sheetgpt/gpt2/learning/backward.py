"""GPT-2's backward pass in NumPy: the gradient of the loss with respect to every tensor of the trace and every weight.

Each function is the derivative of the one of the same name in `gpt2/model.py` (`cross_entropy`: in `loss.py`), in
the same orientation: a token is a column, activations are [features, T], weights [in, out]. `d` is always the gradient
of what the forward function returned; a function returns that of what went in, and keeps those of its weights. The
gradient of a tensor is named `d_` + the tensor, that of a parameter `grad_` + the parameter.

Causality runs the other way: what a position computed is used by itself and by later ones only, so the gradients in
column t come from the columns t, t + 1, ... and never from earlier ones.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning.loss import Example
from sheetgpt.gpt2.model import Array, Trace, erfc


def gelu_tanh(d: Array, x: Array) -> Array:
    """With u = sqrt(2/pi) (x + 0.044715 x^3):  d ((1 + tanh u)/2 + x/2 (1 - tanh^2 u) sqrt(2/pi) (1 + 0.134145 x^2))"""
    root, square = math.sqrt(2 / math.pi), x * x
    tanh = np.tanh(root * (x + 0.044715 * square * x))
    dx: Array = d * (0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * root * (1 + 3 * 0.044715 * square))
    return dx


def gelu_erf(d: Array, x: Array) -> Array:
    """d (P(x) + x p(x)): the normal distribution's cumulative probability, and its density times x."""
    cumulative = 0.5 * erfc(-x / math.sqrt(2)).astype(x.dtype)
    dx: Array = d * (cumulative + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))
    return dx


def relu(d: Array, x: Array) -> Array:
    """d where x > 0, else 0."""
    dx: Array = d * (x > 0)
    return dx


ACTIVATION: dict[str, Callable[[Array, Array], Array]] = {
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "gelu": gelu_erf,
    "relu": relu,
}


def backward(params: Mapping[str, Array], config: GPT2Config, trace: Trace, wanted: Example) -> Trace:
    """All gradients of the loss, in the order in which they come out.  {name: [features, T]} -> {d_name: same shape}

    `trace` is what `forward` and `cross_entropy` gave for `wanted`, in one dictionary. Of a tied `wte` there are three:
    `grad_wte.embed`, as the table that tokens are looked up in, `grad_wte.unembed`, as the one that logits are read
    from, and `grad_wte`, their sum. Where the forward pass has no cell (a score of a later key) the gradient is NaN.
    """

    def weight(name: str) -> Array:
        return np.asarray(params[name], trace["logits"].dtype)

    grads: Trace = {}
    d = grads["d_logits"] = cross_entropy(trace["probs"], wanted)
    d = grads["d_ln_f"] = unembed(d, trace["ln_f"], weight(config.head), config, grads)
    last = config.n_layer - 1
    d = layer_norm(d, trace[f"h{last}.resid_post"], "ln_f", weight, trace, grads)
    for i in reversed(range(config.n_layer)):
        grads[f"d_h{i}.resid_post"] = d
        d = block(d, trace[f"h{i - 1}.resid_post"] if i else trace["embed"], i, weight, config, trace, grads)
    embed(d, wanted, config, grads)
    return grads


def cross_entropy(probs: Array, wanted: Example) -> Array:
    """(p - y) * share: y is 1 at the target and 0 elsewhere.  [n_vocab, T] -> [n_vocab, T]"""
    d = probs.copy()
    d[list(wanted.targets), np.arange(d.shape[1])] -= 1
    d *= np.asarray(wanted.shares, probs.dtype)
    return d


def unembed(d: Array, x: Array, head: Array, config: GPT2Config, grads: Trace) -> Array:
    """W^T d; for the weights d x^T.  [n_vocab, T] -> [n_embd, T], [n_vocab, n_embd]"""
    grads["grad_wte.unembed" if config.tied else "grad_lm_head"] = d @ x.T
    return head.T @ d


def layer_norm(d: Array, x: Array, name: str, weight: Callable[[str], Array], trace: Trace, grads: Trace) -> Array:
    """Of y = (x - mean) rstd gain + bias, with D = d gain, down each token's column:  [n_embd, T] -> [n_embd, T]

    d_mean = -rstd sum(D);  d_rstd = sum(D (x - mean));  rstd changes with x by -rstd^3 (x - mean) / n, so
    dx = D rstd + (d_mean - d_rstd rstd^3 (x - mean)) / n.  (That the variance contains the mean adds nothing: the
    deviations' sum is 0.)  For the weights: gain sum over t of d (x - mean) rstd, bias sum over t of d.
    """
    mean, rstd, n = trace[name + ".mean"], trace[name + ".rstd"], len(x)
    away, inner = x - mean, d * weight(name + ".g")[:, None]
    grads[f"grad_{name}.g"] = (d * away * rstd).sum(axis=1)
    grads[f"grad_{name}.b"] = d.sum(axis=1)
    d_mean = grads[f"d_{name}.mean"] = -rstd * inner.sum(axis=0, keepdims=True)
    d_rstd = grads[f"d_{name}.rstd"] = (inner * away).sum(axis=0, keepdims=True)
    dx: Array = inner * rstd + (d_mean - d_rstd * rstd**3 * away) / n
    return dx


def block(
    d: Array, x: Array, i: int, weight: Callable[[str], Array], config: GPT2Config, trace: Trace, grads: Trace
) -> Array:
    """The stream passes both branches by, so a branch's gradient is added to the stream's.  [n_embd, T] -> same"""
    h = f"h{i}."
    m = grads[f"d_{h}mlp.out"] = d
    m = grads[f"d_{h}mlp.act"] = linear(m, trace[h + "mlp.act"], h + "mlp.c_proj", weight, grads)
    m = grads[f"d_{h}mlp.fc"] = ACTIVATION[config.activation_function](m, trace[h + "mlp.fc"])
    m = grads[f"d_{h}ln_2"] = linear(m, trace[h + "ln_2"], h + "mlp.c_fc", weight, grads)
    d = grads[f"d_{h}resid_mid"] = d + layer_norm(m, trace[h + "resid_mid"], h + "ln_2", weight, trace, grads)
    a = grads[f"d_{h}attn.out"] = d
    a = grads[f"d_{h}ln_1"] = attention(a, h + "attn.", trace[h + "ln_1"], weight, config, trace, grads)
    return d + layer_norm(a, x, h + "ln_1", weight, trace, grads)


def linear(d: Array, x: Array, name: str, weight: Callable[[str], Array], grads: Trace) -> Array:
    """Of y = W^T x + b: W d; for the weights x d^T and the sum over t of d.  [out, T] -> [in, T], [in, out], [out]"""
    grads[f"grad_{name}.w"] = x @ d.T
    grads[f"grad_{name}.b"] = d.sum(axis=1)
    return weight(name + ".w") @ d


def attention(
    d: Array, name: str, x: Array, weight: Callable[[str], Array], config: GPT2Config, trace: Trace, grads: Trace
) -> Array:
    """Each head, s a key's position and t a query's, sums over the pairs s <= t:  [n_embd, T] -> [n_embd, T]

    d_probs[s, t] = v[s] . d_z[t];  d_scores as `softmax` has it;  d_v[s] = sum over t of probs[s, t] d_z[t];
    d_q[t] = sum over s of d_scores[s, t] k[s] / sqrt(head);  d_k[s] = sum over t of d_scores[s, t] q[t] / sqrt(head).
    `d_qkv` has them as `qkv` has q, k and v: one below the other, each with the heads one below the other.
    """
    d_z = grads[f"d_{name}z"] = linear(d, trace[name + "z"], name + "c_proj", weight, grads)
    n_tokens, size, root = x.shape[1], config.head_size, math.sqrt(config.head_size)
    q, k, v = trace[name + "qkv"].reshape(3, config.n_head, size, n_tokens)
    d_qkv = np.empty_like(trace[name + "qkv"])
    d_q, d_k, d_v = d_qkv.reshape(3, config.n_head, size, n_tokens)
    later = np.tril(np.ones((n_tokens, n_tokens), bool), -1)  # [key, query]: the key comes after the query
    for j in range(config.n_head):
        probs, d_head = trace[f"{name}probs.{j}"], d_z[j * size : (j + 1) * size]
        d_probs = v[j].T @ d_head
        d_scores = softmax(d_probs, probs)  # 0 where probs are 0: nothing comes from later keys
        d_v[j] = d_head @ probs.T
        d_q[j] = k[j] @ d_scores / root
        d_k[j] = q[j] @ d_scores.T / root
        grads[f"d_{name}probs.{j}"] = np.where(later, np.nan, d_probs)
        grads[f"d_{name}scores.{j}"] = np.where(later, np.nan, d_scores)
    grads[f"d_{name}qkv"] = d_qkv
    return linear(d_qkv, x, name + "c_attn", weight, grads)


def softmax(d: Array, y: Array) -> Array:
    """y (d - sum of y d), down each column.  [..., n, T] -> same"""
    dx: Array = y * (d - (y * d).sum(axis=-2, keepdims=True))
    return dx


def embed(d: Array, wanted: Example, config: GPT2Config, grads: Trace) -> None:
    """A token's row gets the columns that it was read in, a position's row its own.  [n_embd, T]"""
    grads["d_embed"] = grads["d_embed_tok"] = grads["d_embed_pos"] = d
    grads["grad_wpe"] = np.zeros((config.n_positions, len(d)), d.dtype)
    grads["grad_wpe"][: d.shape[1]] = d.T
    looked_up = np.zeros((config.n_vocab, len(d)), d.dtype)
    np.add.at(looked_up, list(wanted.ids), d.T)
    if config.tied:
        grads["grad_wte.embed"] = looked_up
        looked_up = looked_up + grads["grad_wte.unembed"]
    grads["grad_wte"] = looked_up
