"""Embedding dropout: dropout of whole words."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from thinnet._random import apply_mask, threshold
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class EmbeddingDropout(nn.Embedding, DropoutLayer):
    r"""Embedding that zeroes words with probability p: all occurrences of a word in the batch, or none.

    $$y_{\cdot} = \frac{M_{w(\cdot)}\, E_{w(\cdot)}}{1 - p}, \qquad M_w \sim \mathrm{Bernoulli}(1 - p)$$

    for the word w at each position and the table E. It takes the place of an embedding,
    `model.embedding = tn.EmbeddingDropout(model.embedding, 0.1)`, and is one: the same parameter under the same name,
    so that state dicts, tied weights and optimizers stay as they are, and the same settings, `padding_idx` and
    `max_norm` among them. p is rounded as in `Dropout`.

    Args:
        embedding: the embedding whose words are dropped; its weight is shared, not copied.
        p: probability of a word to be dropped, in [0, 1].
        generator: source of the mask's bits, on the weight's device; None is torch's default one.

    Raises:
        TypeError: if `embedding` is not exactly a `torch.nn.Embedding`, or p is not a number.
        ValueError: if p is outside [0, 1].

    Shape:
        Input: whole numbers of any shape. Output: (*input, embedding_dim).

    Example:
        >>> import torch, thinnet as tn
        >>> embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[1.0], [2.0]]))
        >>> first, second, third = tn.EmbeddingDropout(embedding, 0.5)(torch.tensor([1, 0, 1])).flatten().tolist()
        >>> first == third, first in (0, 4), second in (0, 2)
        (True, True, True)

    References:
        Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016. Merity,
        Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", 2018.
    """

    def __init__(self, embedding: nn.Embedding, p: float = 0.1, *, generator: Generator | None = None) -> None:
        # a subclass may look words up in its own way, which would be lost
        if type(embedding) is not nn.Embedding:
            raise TypeError(
                f"EmbeddingDropout: `embedding` must be a torch.nn.Embedding itself, got {type(embedding).__name__}; "
                "what another class does besides looking up would be lost."
            )
        threshold(p)
        super().__init__(
            embedding.num_embeddings,
            embedding.embedding_dim,
            embedding.padding_idx,
            embedding.max_norm,
            embedding.norm_type,
            embedding.scale_grad_by_freq,
            embedding.sparse,
            _weight=embedding.weight,
        )
        self.weight = embedding.weight
        self.p = p
        self.generator = generator
        self.train(embedding.training)

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """M_w E_w / (1 − p) for the words w in x."""
        # a bit for each word there is costs less than finding out which occur
        kept = noise.keep_shared((self.num_embeddings,), self.p, x.device)
        return apply_mask(super().forward(x), kept[x].unsqueeze(-1), threshold(self.p))

    def forward(self, x: Tensor) -> Tensor:
        """Look the words up; in training some are dropped."""
        if not self.training or not self.drops():
            return super().forward(x)
        return self.perturb(x, Noise(self.generator))

    def extra_repr(self) -> str:
        """The embedding's settings and p."""
        return f"{super().extra_repr()}, p={self.p}"
