"""Is everything as it should be, here and in the bank, and what is to be done if not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from ..bank.bank import Bank, BankLike
from ..bank.damaged import damaged_parts
from ..bank.head_changes import settle
from ..bank.parquet import CannotRead, folders_in
from ..core.errors import BankError, ClipdexError, HeadError
from ..core.recipe import Recipe
from ..core.results import Report, Results
from ..core.storage import storage_of
from ..decoders import colour_problem, decoders
from ..encoders import DRIFT_LIMIT, check_canary, encoders, libraries, load_for
from ..heads import entries_in, head_files, heads, read_entry, read_head_file
from ..retrieval.index_store import damaged_indexes

# Videos that a check spells out.
_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Check(Report):
    """One check; ``detail`` says what was found, and what to do if it is not ``ok``."""

    check: str
    ok: bool
    detail: str


class Checks(Results[Check]):
    """All checks of an installation and a bank."""

    @property
    def ok(self) -> bool:
        """Whether none of them failed."""
        return all(one.ok for one in self)


def doctor(*, bank: BankLike | None = None, repair: bool = False) -> Checks:
    """Checks of this installation and of a bank, each with what to do.

    Args:
        repair: move damaged parts into the bank's folder ``damaged``; the next extraction redoes their videos.
    """
    checks = [*_release_checks(), *(check for name in decoders.names() for check in _decoder_checks(name))]
    checks += [_check("other packages", problem) for problem in (*encoders.problems(), *heads.problems())]
    folder = bank.folder if isinstance(bank, Bank) else None if bank is None else Path(bank)
    if folder is None or not _is_there(folder):
        return Checks([*checks, _check("bank", None, f"there is none at {folder}")])
    return Checks([*checks, *_bank_checks(folder, repair=repair)])


def _is_there(folder: Path) -> bool:
    storage = storage_of(folder)
    return storage.exists(folder) or bool(storage.objects(folder, "*") or storage.folders(folder))


def _bank_checks(folder: Path, *, repair: bool) -> list[Check]:
    """Whether a bank's own files are what was written: ``bank.json``, clips, outcomes, stored features and labels."""
    checks = []
    try:
        bad = damaged_parts(folder)
    except CannotRead as error:  # nothing is moved on the ground of what may be a passing fault
        return [_check("bank parts", str(error))]
    for part, problem in bad:
        moved = _set_aside(folder, part) if repair else ""
        checks.append(Check("bank part", False, problem + moved))
    if not bad:
        checks.append(_check("bank parts", None, "all of them read back as they were written"))
    checks += _head_checks(folder / "heads")
    try:
        store = Bank(folder)
    except BankError as error:
        return [*checks, _check("bank", str(error))]
    checks += _redo_checks(store, [part for part, _ in bad])
    checks += _index_checks(folder)
    if not bad or repair:
        checks += _recipe_checks(store)
    return checks


def _set_aside(folder: Path, part: Path) -> str:
    """Move a damaged part, and say where to; nothing that was set aside before is overwritten."""
    target = folder / "damaged" / part.relative_to(folder)
    storage, number = storage_of(folder), 1
    while storage.exists(target):
        target = target.with_name(f"{part.name}.{number}")
        number += 1
    try:
        storage.move(part, target)
    except (OSError, BankError) as error:
        return f". It cannot be moved to {target}: {getattr(error, 'strerror', None) or error}"
    return f". It was moved to {target}"


def _head_checks(folder: Path) -> list[Check]:
    """Every head and every entry of their histories, read to the last byte, after interrupted changes were finished."""
    checks = []
    try:
        settle(folder.parent)
    except ClipdexError as error:
        checks.append(_check("changes of heads", str(error)))
    readers: list[tuple[Path, Callable[[Path], object]]] = [
        *((path, read_head_file) for path in head_files(folder)),
        *((path, read_entry) for path in entries_in(folder)),
    ]
    for path, read in readers:
        try:
            read(path)
        except HeadError as error:
            checks.append(_check(f"head {path.relative_to(folder)}", str(error)))
    return checks or [_check("heads", None, f"all {len(readers)} heads and former heads match their checksums")]


def _redo_checks(store: Bank, damaged: list[Path]) -> list[Check]:
    """Which videos have lost clips to damage: by recipe, by path."""
    checks = []
    for recipe_id in [path.name for path in folders_in(store.folder / "clips")]:
        try:
            redo = sorted({row.video for row in store.to_redo(recipe_id, damaged=damaged)})
        except BankError as error:
            return [_check("videos to redo", f"unknown: {error}")]
        if redo:
            named = ", ".join(redo[:_NAMED]) + (f" and {len(redo) - _NAMED} more" if len(redo) > _NAMED else "")
            problem = f"{len(redo)} videos of recipe {recipe_id} lack clips; extract them again: {named}"
            checks.append(_check("videos to redo", problem))
    return checks


def _recipe_checks(store: Bank) -> list[Check]:
    try:
        recipes = store.recipes().values()
    except BankError as error:
        return [_check("recipes", str(error))]
    return [_recipe_check(recipe) for recipe in recipes]


def _index_checks(folder: Path) -> list[Check]:
    """Whether every stored index reads back as it was written."""
    wrong = [
        _check("index", f"{path} is damaged: {reason}. A search rebuilds it, or: clipdex index build")
        for path, reason in damaged_indexes(folder)
    ]
    return wrong or [_check("indexes", None, "all of them read back as they were written")]


def _check(name: str, problem: str | None, detail: str = "") -> Check:
    return Check(name, problem is None, problem or detail)


def _release_checks() -> list[Check]:
    """Whether the libraries are releases that Clipdex works with; some that it does not lose weights silently."""
    try:
        needed = [Requirement(line) for line in metadata.requires("clipdex") or []]
    except metadata.PackageNotFoundError:
        return [_check("releases", None, "not checked: Clipdex runs from its folder and is not installed")]
    wrong = []
    for one in needed:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            wrong.append(_check(f"release of {one.name}", f"{one.name} is not installed: pip install '{one}'"))
            continue
        if not one.specifier.contains(found, prereleases=True):
            problem = f"{one.name} {found} is here, and {one.specifier} is needed: pip install '{one}'"
            wrong.append(_check(f"release of {one.name}", problem))
    return wrong or [_check("releases", None, ", ".join(f"{name} {is_}" for name, is_ in libraries().items()))]


def _decoder_checks(name: str) -> list[Check]:
    missing = decoders.get(name).missing()
    checks = [_check(f"decoder {name}", missing)]
    if missing is None:
        try:
            checks.append(
                _check(f"pixels {name}", colour_problem(name), "red, green and blue come out as they went in")
            )
        except ClipdexError as error:
            checks.append(_check(f"pixels {name}", str(error)))
    return checks


def _recipe_check(recipe: Recipe) -> Check:
    """Whether the encoder that made the vectors is available with the same weights and the same canary vector."""
    name = f"recipe {recipe.id} ({recipe.encoder})"
    if recipe.imported:
        return _check(name, None, f"imported as {recipe.checkpoint!r}: there is no encoder to check")
    try:
        now = load_for(recipe, device="cpu").recipe(decoder=recipe.decoder)
        drifted = check_canary(now, recipe)
    except ClipdexError as error:
        return _check(name, str(error))
    except Exception as error:  # a recipe that somebody else wrote can make a library raise anything
        return _check(name, f"its encoder cannot be loaded ({type(error).__name__}: {error}); extract the videos again")
    canary = now.canary
    if drifted is None or canary is None:
        return _check(name, None, "the same weights and settings are at hand; stored before canaries were stored")
    return _check(
        name,
        None,
        f"the same weights and settings are at hand; the canary drifted by {drifted:.2g} (limit {DRIFT_LIMIT:g}), "
        f"pixels {canary.pixel_min:.3f} to {canary.pixel_max:.3f}, mean {canary.pixel_mean:.3f}",
    )
