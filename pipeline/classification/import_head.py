"""A fine-tuned checkpoint's own classifier -> a head on the stored vectors.

The stored vector of such a checkpoint is what its classifier reads, so the classifier's logits for every stored
clip cost a product and no second forward pass over any video.
"""

from __future__ import annotations

from ..bank.bank import BankLike, open_bank
from ..bank.head_changes import changing
from ..core.errors import HeadError, RecipeMismatch
from ..core.types import Device
from ..encoders import encoder_class, encoders, load_encoder, load_for
from ..heads import HeadCard, forget, save_head
from .train import build_head


def import_head(
    checkpoint: str | None = None,
    *,
    bank: BankLike = "bank",
    name: str | None = None,
    recipe: str | None = None,
    device: Device = "auto",
) -> HeadCard:
    """Keep the classifier inside a checkpoint as a head of the bank.

    Args:
        checkpoint: by default the one that made the stored vectors; another one has to have the same weights.
        name: of the head; by default the encoder's.

    Raises:
        HeadError: the checkpoint has no linear classifier on the vectors that are stored.
        RecipeMismatch: another checkpoint than the one that made the vectors.

    Example:
        >>> done = extract("videos/", bank="tuned", encoder="checkpoint/")
        >>> import_head(bank="tuned", name="tuned").kind
        'linear'
    """
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    if checkpoint is None:
        encoder = load_for(chosen, device=device)
    else:
        same = encoder_class(checkpoint) is encoders.get(chosen.encoder)
        encoder = load_encoder(checkpoint, device=device, num_frames=chosen.num_frames if same else None)
        now = encoder.recipe(decoder=chosen.decoder)
        if now.id != chosen.id:
            raise RecipeMismatch(
                f"{checkpoint} is not what made the stored vectors ({'; '.join(now.differences(chosen))}); extract "
                "with it first, or leave it out to take the classifier of the checkpoint that did"
            )
    classifier = encoder.classifier
    if classifier is None:
        raise HeadError(
            f"{chosen.checkpoint} has no linear classifier on vectors pooled by {encoder.pooling!r}: only a "
            "fine-tuned checkpoint has one, and only its default pooling is what it reads. Train a head with train-head"
        )
    doubles = len(set(classifier.classes)) < len(classifier.classes)
    classes = tuple(
        f"{number} {label}" if doubles else label for number, label in enumerate(classifier.classes)
    )  # a name stands for one class
    head = build_head("linear", {"normalise": False}, seed=0)
    head.restore({"coef_": classifier.weight, "intercept_": classifier.bias}, classes=list(classes), dim=chosen.dim)
    card = HeadCard(
        name=name or chosen.encoder,
        kind="linear",
        parameters=head.get_params(deep=False),
        classes=classes,
        recipe=chosen,
        examples=(),
        cv=None,
        labels=chosen.checkpoint,
        seed=0,
    )
    with changing(store.folder, card.name) as folder:
        save_head(folder, head, card)
        forget(folder, card.name)
    return card
