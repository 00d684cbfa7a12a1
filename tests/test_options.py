"""A verb's options are written three times: as a dataclass, as keywords for type checkers, and on the command line."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import re
import typing
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from conftest import clusters
from PIL import Image
from small_banks import fill, label

import pipeline
from pipeline import Searcher, commands, detect, extract, predict, search, train_head, watch
from pipeline.classification.labelling import list_labels
from pipeline.classification.predict_options import DetectKeywords, DetectOptions, PredictKeywords, PredictOptions
from pipeline.classification.train_options import HeadParameters, TrainKeywords, TrainOptions
from pipeline.commands import extract as extract_command
from pipeline.commands import label as label_command
from pipeline.commands import predict as predict_command
from pipeline.commands import search as search_command
from pipeline.commands._flags import _OPTIONS, as_options
from pipeline.core.errors import UsageError
from pipeline.core.limits import Limits
from pipeline.evaluation.evaluate_search import evaluate_search
from pipeline.extraction.extract_options import ExtractKeywords, ExtractOptions
from pipeline.heads import heads
from pipeline.retrieval.search_options import RankingKeywords, RankingOptions, SearchKeywords, SearchOptions

PACKAGE = Path(pipeline.__file__).parent

PAIRS = {
    ExtractOptions: ExtractKeywords,
    TrainOptions: TrainKeywords,
    PredictOptions: PredictKeywords,
    DetectOptions: DetectKeywords,
    RankingOptions: RankingKeywords,
    SearchOptions: SearchKeywords,
}

# By command: arguments that it needs, its options, fields that it has no option for, and defaults that it spells out.
COMMANDS: dict[str, tuple[list[str], type, set[str], dict[str, object]]] = {
    "extract": (["a.mp4"], ExtractOptions, {"limits"}, {}),
    "train-head": ([], TrainOptions, set(), {}),
    "predict": ([], DetectOptions, set(), {}),
    "search": (["a dog"], SearchOptions, {"without"}, {}),
    "evaluate-search": ([], RankingOptions, {"each_clip"}, {}),
}


def arrives(name: str, arguments: list[str]) -> dict[str, object]:
    """What click gives a command, by name."""
    command: click.Command = importlib.import_module(f"pipeline.commands.{name.replace('-', '_')}").command
    with click.Context(commands.main) as main:
        return command.make_context(name, list(arguments), parent=main).params


@pytest.mark.parametrize("options", PAIRS, ids=lambda one: one.__name__)
def test_keywords_have_the_names_and_types_of_the_dataclass(options: type) -> None:
    own = dict.fromkeys(HeadParameters.__annotations__) if options is TrainOptions else {}
    names = {"Image": Image.Image}  # a forward reference of the values of a query: PIL is not loaded for it
    keywords = typing.get_type_hints(PAIRS[options], localns=names)
    assert {name: kind for name, kind in keywords.items() if name not in own} == typing.get_type_hints(
        options, localns=names
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_an_option_with_the_same_default_for_each_field(name: str) -> None:
    arguments, options, absent, spelled_out = COMMANDS[name]
    given = arrives(name, arguments)
    for field, default in dataclasses.asdict(options()).items():
        if field in absent:
            assert field not in given
            continue
        value = given[field]
        if value is not None:  # None leaves it to the function
            wanted = spelled_out.get(field, default)
            assert (tuple(value) if isinstance(value, list) else value) == wanted, field


def test_the_parameters_of_heads_are_those_of_their_classes() -> None:
    parameters = {name for kind in heads.names() for name in inspect.signature(heads.get(kind)).parameters}
    assert set(HeadParameters.__annotations__) == parameters - {"loss", "seed"}  # which train_head has itself
    typed = set(arrives("train-head", [])) - {field.name for field in dataclasses.fields(TrainOptions)}
    assert typed - {"bank", "terminal"} <= parameters


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        (lambda bank: extract("a.mp4", bank=bank, num_frame=8), "num_frames"),
        (lambda bank: next(watch("a", bank=bank, devise="cpu")), "device"),
        (lambda bank: search("a", bank=bank, per_vdeo=5), "per_video"),
        (lambda bank: Searcher(bank).search("a", more_likes=["b"]), "more_like"),
        (lambda bank: evaluate_search(bank=bank, rerankk=True), "rerank"),
        (lambda bank: predict(bank=bank, never_abstane=True), "never_abstain"),
        (lambda bank: detect(bank=bank, min_scores=1), "min_score"),
        (lambda bank: train_head(bank=bank, max_itr=5), "max_iter"),
        (lambda bank: train_head(bank=bank, template="a {}"), "templates"),
    ],
)
def test_a_wrong_keyword_is_refused_with_the_nearest_name(
    tmp_path: Path, call: Callable[[Path], object], nearest: str
) -> None:
    X, y = clusters(classes=2, each=4)
    label(tmp_path, fill(tmp_path, X), y)
    with pytest.raises(UsageError, match=f"did you mean '{nearest}'") as error:
        call(tmp_path)
    assert isinstance(error.value, TypeError)  # as Python itself reports it


def test_ready_options_and_keywords_over_them_make_one_call(tmp_path: Path) -> None:
    X, y = clusters(classes=3, each=6)
    label(tmp_path, fill(tmp_path, X), y)
    options = TrainOptions(head="knn", name="mine", parameters={"k": 3})
    first, second = train_head(bank=tmp_path, options=options), train_head(bank=tmp_path, options=options, k=1)
    assert [(one.head, one.kind, one.parameters["k"]) for one in (first, second)] == [
        ("mine", "knn", k) for k in (3, 1)
    ]
    one = predict(bank=tmp_path, options=PredictOptions(head_name="mine", never_abstain=True))
    assert one == predict(bank=tmp_path, head_name="mine", never_abstain=True)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_command_line_names_its_options(path: Path) -> None:
    if PACKAGE / "commands" in path.parents or path.name == "player.py":  # other programs have options too
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise):
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            words = "".join(text for text in texts if isinstance(text, str))
            for option in re.finditer(r"(?<![\w-])--[a-z]", words):
                assert "clipdex " in words[: option.start()], words  # a whole command to copy is for everybody


def test_on_the_command_line_messages_name_options() -> None:
    assert as_options("extract again with keep='patches-half'") == "extract again with --keep patches-half"
    assert as_options("it took 3 s; Limits(time_seconds=...) sets another limit") == (
        "it took 3 s; --time-limit sets another limit"
    )
    assert as_options("num_processes must be at least 1") == "--processes must be at least 1"
    path = "num_frames/batch_size.mp4"
    assert as_options(f"{path} is not a video; lower num_workers.") == f"{path} is not a video; lower --workers."
    assert as_options("no clip has a column 'num_frames'") == "no clip has a column 'num_frames'"
    about = "keep='a'.mp4"
    assert as_options(f"{about}: leave out keep='frames'", path=about) == f"{about}: leave out --keep frames"
    commands = (extract_command.command, search_command.command, predict_command.command, label_command.add)
    parameters = [parameter for one in commands for parameter in one.params]
    for option in ("--time-limit", "--memory-limit", *_OPTIONS.values()):
        assert any(option in parameter.opts for parameter in parameters), option


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        (lambda bank: search("x", bank=bank, options=ExtractOptions()), "SearchOptions, not ExtractOptions"),
        (lambda bank: extract("v", bank=bank, options=SearchOptions()), "ExtractOptions, not SearchOptions"),
        (lambda bank: predict(bank=bank, options=DetectOptions(min_score=0.9)), "PredictOptions, not DetectOptions"),
        (lambda bank: search("x", bank=bank, options={"k": 3}), "SearchOptions, not dict"),
        (lambda bank: search(texts="  ", bank=bank), "there is no query"),
        (lambda bank: extract("v", bank=bank, clips="whole", window_seconds=0.0), "whole videos have no window"),
        (lambda bank: Limits(min_seconds=-1), "limits must be positive"),  # noqa: ARG005
        (lambda bank: detect(bank=bank, min_seconds=float("nan")), "seconds cannot be negative"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, call: Callable[[Path], object], kinds: str) -> None:
    fill(tmp_path, clusters(classes=2, each=2)[0])
    with pytest.raises(UsageError, match=kinds):
        call(tmp_path)


def test_results_are_lists_with_rows_for_scripts(tmp_path: Path) -> None:
    X, y = clusters(classes=3, each=8)
    label(tmp_path, fill(tmp_path, X), y)
    train_head(bank=tmp_path)
    predictions = predict(bank=tmp_path)
    assert (predictions.extraction, predictions.warnings, len(predictions)) == (None, (), 24)
    hits = search(more_like=predictions[0].clip_id, bank=tmp_path, k=3)
    for results in (predictions, hits, detect(bank=tmp_path), list_labels(bank=tmp_path)):
        assert len(results.to_rows()) == len(results) > 0
        assert all(json.loads(json.dumps(row)) == row for row in results.to_rows())
    assert hits.to_rows()[0]["rank"] == 1
    row = train_head(bank=tmp_path).to_row()
    assert json.dumps(row)
    assert "warnings" not in row
