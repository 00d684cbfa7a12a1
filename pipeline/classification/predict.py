"""Stored clips -> labels, by a head or, without any training, by texts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import numpy.typing as npt

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.head_changes import heads_in
from ..core.arguments import as_list, options_of
from ..core.errors import UsageError
from ..core.results import One, Prediction, Results
from ..core.types import ClipRow
from ..core.vectors import softmax
from ..encoders import encoder_class_for, far_text_notes, load_for, text_cosines
from ..extraction.encode_loop import Progress
from ..extraction.extract import extract_for
from ..extraction.run import Extraction
from ..heads import HeadCard, TrainedHead, load_trained
from ..sources.sampling import ClipPlan
from .clip_vectors import Blocks, chosen_clips, frames_of
from .figures import chance_note
from .left_out import left_out
from .predict_options import DetectKeywords, DetectOptions, PredictKeywords, PredictOptions
from .segments import Segment, SegmentLimits, Windows, detected
from .train import DEFAULT_NAME


@dataclasses.dataclass(frozen=True)
class ClipScores:
    """What a head or texts say of clips.

    Attributes:
        scores: probabilities, (n, classes).
        known: (n,), see ``TrainedHead.known``.
        abstains: for each clip why no class is given, or None.
        thresholds: see ``HeadCard``.
        extraction: of the sources, if any were given; some may have failed.
        notes: what to know about the answers, as sentences.
    """

    clips: Sequence[ClipRow]
    classes: Sequence[str]
    scores: npt.NDArray[np.float64]
    known: npt.NDArray[np.float64] | None
    abstains: Sequence[Literal["unknown", "unsure"] | None]
    thresholds: Mapping[str, float | None]
    extraction: Extraction | None
    notes: Sequence[str] = ()


class FromSources(Results[One]):
    """Results for the clips of sources, or of the whole bank.

    Attributes:
        extraction: of the sources, or None.
    """

    def __init__(
        self, results: Iterable[One], extraction: Extraction | None = None, *, notes: Sequence[str] = ()
    ) -> None:
        super().__init__(results, warnings=(*(() if extraction is None else extraction.warnings), *notes))
        self.extraction = extraction

    @property
    def failed(self) -> bool:
        """Whether a source could not be stored whole."""
        return self.extraction is not None and self.extraction.failed


class Predictions(FromSources[Prediction]):
    """Predictions, clip by clip.

    Example:
        >>> found = predict(never_abstain=True)
        >>> len(found), found.failed
        (12, False)
    """

    columns = ("label", "score", "known", "abstained", "video", "start_seconds", "stop_seconds", "clip_id")


class Segments(FromSources[Segment]):
    """Segments, video by video.

    Example:
        >>> detect(never_abstain=True).to_rows()[0]["label"] in ("kick", "wave")
        True
    """


def predict(
    sources: str | Path | Sequence[str | Path] = (),
    *,
    bank: BankLike = "bank",
    top: int = 5,
    on_progress: Callable[[Progress], None] | None = None,
    options: PredictOptions | None = None,
    **keywords: Unpack[PredictKeywords],
) -> Predictions:
    """Label clips: those of ``sources``, extracted where they are new, or all of the bank.

    Args:
        top: how many classes to list for each clip.
        options: what predicts; by default as ``PredictOptions`` says.
        keywords: single options, in place of those.

    Raises:
        UsageError: both a head and prompts.
        HeadError: no such head, or one that was trained on vectors of another recipe.

    Example:
        >>> predictions = predict("videos/kick/0.mp4", bank="bank")
    """
    if top < 1:
        raise UsageError(f"top must be at least 1, not {top}")
    chosen = options_of(PredictOptions, options, keywords)
    found = score_clips(sources, chosen, bank=bank, on_progress=on_progress)
    predictions = [_prediction(found, number, top) for number in range(len(found.clips))]
    return Predictions(predictions, found.extraction, notes=found.notes)


def detect(
    sources: str | Path | Sequence[str | Path] = (),
    *,
    bank: BankLike = "bank",
    on_progress: Callable[[Progress], None] | None = None,
    options: DetectOptions | None = None,
    **keywords: Unpack[DetectKeywords],
) -> Segments:
    """What happens when: segments of the videos of ``sources``, or of all of the bank.

    Args:
        options: what predicts, and how windows become segments; by default as ``DetectOptions`` says.
        keywords: single options, in place of those.

    Raises:
        UsageError, HeadError: see ``predict``.

    Example:
        >>> found = detect("videos/kick/0.mp4", bank="bank")
    """
    chosen = options_of(DetectOptions, options, keywords)
    if (chosen.window_seconds is not None or chosen.stride_seconds is not None) and not sources:
        raise UsageError("a window or stride is for cutting videos: name those, or leave it out for the stored clips")
    store = open_bank(bank)
    cut = _windows(chosen, store) if sources else None
    scored = score_clips(sources, chosen, bank=store, cut=cut, on_progress=on_progress)
    by_video: dict[tuple[str, str], list[int]] = {}
    for number, clip in enumerate(scored.clips):
        by_video.setdefault((clip.video, clip.video_id), []).append(number)
    answered = np.array([why != "unknown" for why in scored.abstains], dtype=np.bool_)
    thresholds = {} if chosen.never_abstain else scored.thresholds
    limits = SegmentLimits(chosen.min_score, thresholds, chosen.merge_gap_seconds, chosen.min_seconds)
    found = [
        detected(
            Windows(video, video_id, [scored.clips[number].span for number in numbers]),
            scored.scores[numbers],
            answered[numbers],
            scored.classes,
            limits,
        )
        for (video, video_id), numbers in by_video.items()
    ]
    notes = [*scored.notes, *left_out(found, scored.classes, limits, num_windows=len(scored.clips))]
    return Segments((one for each in found for one in each.segments), scored.extraction, notes=notes)


def score_clips(
    sources: str | Path | Sequence[str | Path],
    options: PredictOptions,
    *,
    bank: BankLike = "bank",
    cut: ClipPlan | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> ClipScores:
    """Scores of the clips of ``sources``, extracted where they are new, or of all of the bank.

    Args:
        cut: of new videos; by default as the clips are cut that the head learned from.
    """
    store = open_bank(bank)
    prompts = as_list(options.prompts)
    trained = None if prompts else load_trained(heads_in(store.folder), options.head_name or DEFAULT_NAME)
    chosen = trained.card.recipe if trained is not None and options.recipe is None else store.recipe(options.recipe)
    if trained is not None:
        trained.card.check_recipe(chosen)
    done = None
    if sources:
        cut = cut or (None if trained is None else _cut_like(trained.card, store))
        store = store.questions()
        done = extract_for(
            chosen, sources, store=store, cut=cut, device=options.device, runner=options.runner, on_progress=on_progress
        )
    clips, blocks = chosen_clips(store, chosen, None if done is None else done.rows)
    if trained is not None:
        return _by_head(trained, store, clips, blocks, options=options, extraction=done)
    scores, notes = np.empty((0, len(prompts))), []
    if clips:
        encoder = load_for(chosen, device=options.device)
        found = []
        for ids, vectors in blocks:
            patches = store.patches(chosen, ids) if options.rerank else None
            cosines = text_cosines(encoder, vectors, prompts, templates=options.templates, patches=patches)
            found.append(softmax(encoder.text_scale * cosines))  # (n, prompts)
        scores, notes = np.concatenate(found), far_text_notes(encoder, prompts)
    return ClipScores(clips, prompts, scores, None, [None] * len(clips), {}, done, notes)


def _by_head(
    trained: TrainedHead,
    store: Bank,
    clips: Sequence[ClipRow],
    blocks: Blocks,
    *,
    options: PredictOptions,
    extraction: Extraction | None,
) -> ClipScores:
    """What a head predicts."""
    card = trained.card
    if not clips:
        return ClipScores([], card.classes, np.empty((0, len(card.classes))), None, [], card.thresholds, extraction)
    encoder = None if trained.prior is None else load_for(card.recipe, device=options.device)
    probabilities, looks = [], []
    for ids, vectors in blocks:
        reads = frames_of(store, card.recipe, ids) if trained.head.reads == "frames" else vectors
        in_text_space = None if encoder is None else encoder.text_space(vectors)
        probabilities.append(trained.probabilities(reads, in_text_space=in_text_space))
        looks += [] if (look := trained.known(vectors)) is None else [look]
    scores, known = np.concatenate(probabilities), np.concatenate(looks) if looks else None
    abstains = trained.abstentions(scores, known, accept_known=options.accept_known)
    if options.never_abstain:
        abstains = [None] * len(clips)
    accepted = 0.0 if options.never_abstain else options.accept_known
    notes = [*trained.notes(accept_known=accepted), *chance_note(card.cv, num_classes=len(card.classes))]
    return ClipScores(clips, card.classes, scores, known, abstains, card.thresholds, extraction, notes)


def _windows(options: DetectOptions, store: Bank) -> ClipPlan:
    """How long videos are cut to see when something happens."""
    window_seconds = options.window_seconds
    if window_seconds is None and not options.prompts:
        card = load_trained(heads_in(store.folder), options.head_name or DEFAULT_NAME).card
        lengths = [clip.span.seconds for clip in _learned(card, store)]
        window_seconds = float(np.median(lengths)) if lengths else None
    if window_seconds is None:
        window_seconds = encoder_class_for(store.recipe(options.recipe)).card.span_seconds
    return ClipPlan("windows", window_seconds, options.stride_seconds or window_seconds / 2)


def _cut_like(card: HeadCard, store: Bank) -> ClipPlan | None:
    """New videos are cut the way most of the clips were that the head learned from."""
    plans = Counter(clip.plan for clip in _learned(card, store))
    cuts = (ClipPlan.from_name(plan) for plan, _ in plans.most_common())
    return next((cut for cut in cuts if cut is not None), None)


def _learned(card: HeadCard, store: Bank) -> Iterator[ClipRow]:
    """The stored clips that a head learned from."""
    names = {name for name, _, _ in card.examples}
    return (clip for clip in store.clips(card.recipe.id).rows() if clip.clip_id in names)


def _prediction(found: ClipScores, number: int, top: int) -> Prediction:
    clip, scores = found.clips[number], found.scores[number]
    best = np.argsort(-scores, kind="stable")[:top]
    ranked = tuple((found.classes[place], float(scores[place])) for place in best)
    return Prediction(
        video=clip.video,
        video_id=clip.video_id,
        start_seconds=clip.start_seconds,
        stop_seconds=clip.stop_seconds,
        clip_id=clip.clip_id,
        label=None if found.abstains[number] else ranked[0][0],
        score=ranked[0][1],
        top=ranked,
        known=None if found.known is None else float(found.known[number]),
        abstained=found.abstains[number],
    )
