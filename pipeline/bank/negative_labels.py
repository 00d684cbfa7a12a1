"""Labels that say what is *not* shown: ``not:walk`` on a stretch in which nobody walks.

They are stored like other labels, and are no classes. A clip for which one prevails over its class is not of that
class, so that heads do not train on it as such; ``suggest`` learns from them.
"""

from __future__ import annotations

_PREFIX = "not:"


def negative_of(class_name: str) -> str:
    """The label that says that a stretch is not of a class.

    Example:
        >>> negative_of("walk")
        'not:walk'
    """
    return _PREFIX + class_name


def is_negative(label: str) -> bool:
    """Whether a label says what is not shown."""
    return label.startswith(_PREFIX) and len(label) > len(_PREFIX)


def class_denied(label: str) -> str | None:
    """The class that a negative label denies; None for other labels."""
    return label.removeprefix(_PREFIX) if is_negative(label) else None


def renamed(label: str, class_name: str, new_name: str) -> str:
    """A label after a class got another name: the class and its negative label change, others stay."""
    changes = {class_name: new_name, negative_of(class_name): negative_of(new_name)}
    return changes.get(label, label)


def contradict(one: str, other: str) -> bool:
    """Whether two labels cannot both be right of the same stretch, if it has one class."""
    if is_negative(one) or is_negative(other):
        return one == negative_of(other) or other == negative_of(one)
    return one != other
