"""A stored head, as a program holds it."""

from __future__ import annotations

from ..bank.bank import BankLike, open_bank
from ..heads import TrainedHead, load_trained
from .train import DEFAULT_NAME


def load_head(bank: BankLike = "bank", name: str = DEFAULT_NAME) -> TrainedHead:
    """A head of a bank, ready for vectors of the same recipe: calibrated probabilities, and no class where it abstains.

    Raises:
        BankError: there is no bank.
        HeadError: there is no head of that name, or its file is damaged.

    Example:
        >>> head = load_head("bank")
        >>> vectors = Bank("bank").embeddings(head.card.recipe.id)
        >>> head.predict_proba(vectors).shape
        (12, 2)
    """
    return load_trained(open_bank(bank).heads_folder, name)
