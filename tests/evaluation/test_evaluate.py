"""A head's figures are honest and equal naive ones; what it writes can be looked at and read by other programs."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from conftest import clusters
from small_banks import fill, label, row_of, video

from pipeline import Bank, as_scikit_learn, compare_heads, evaluate, k_shot_curves, load_encoder, predict, train_head
from pipeline.bank.labels import Labels
from pipeline.classification.calibrate import blended, text_weight, validate
from pipeline.classification.cross_validation import held_out_scores
from pipeline.classification.dataset import LabelledClips
from pipeline.commands import main
from pipeline.core.errors import EncoderError, HeadError, LabelError, MissingExtra, SourceError, UsageError
from pipeline.core.types import LabelRow, Span
from pipeline.core.vectors import softmax
from pipeline.encoders import load_for
from pipeline.extraction.import_features import import_features
from pipeline.heads import export_onnx, heads, load_trained, save_trained
from pipeline.report.evaluation import write_evaluation, write_k_shot


def taught(folder: Path, *, spread: float = 1.0, each: int = 20, classes: int = 5, **options: object) -> np.ndarray:
    X, y = clusters(classes=classes, each=each, spread=spread)
    label(folder, fill(folder, X), y)
    train_head(bank=folder, **options)
    return X


@pytest.fixture
def lite_bank(tmp_path: Path) -> Path:
    """Drawn vectors under the recipe of the built-in encoder, which reads text."""
    encoder = load_encoder("lite")
    recipe = encoder.recipe(decoder="pyav")
    X, y = clusters(classes=2, each=6, dim=recipe.dim)
    clips = [row_of(video(number), Span(0.0, 2.0), f"/v{number}.mp4") for number in range(12)]
    Bank(tmp_path, create=True).add(recipe, clips, np.abs(X), [])
    label(tmp_path, clips, np.where(y == "class 0", "playing_tennis", "riding_a_bike"))
    return tmp_path


class TestTexts:
    def test_held_out_clips_choose_what_texts_count(self, lite_bank: Path) -> None:
        report = train_head(bank=lite_bank, texts=True, templates=["a video of {}"])
        judged = load_trained(lite_bank / "heads", "default")
        assert judged.prior.weight == report.cv["text_weight"]
        assert judged.card.templates == ("a video of {}",)
        found = predict(bank=lite_bank, never_abstain=True)
        assert {one.label for one in found} == {"playing_tennis", "riding_a_bike"}
        curves = k_shot_curves(bank=lite_bank, shots=(0, 1, 2), draws=2).curves
        assert {curve.name: curve.shots for curve in curves} == {"linear": (1, 2), "with texts": (0, 1, 2)}

    @pytest.mark.parametrize("accuracy", [0.45, 0.6, 0.9])
    def test_one_clip_a_class_makes_nothing_worse_than_texts_alone(self, accuracy: float) -> None:
        classes, each, alone, together = 8, 12, [], []
        for draw in range(20):
            random = np.random.default_rng(draw)
            X, y = clusters(classes=classes, each=each, spread=3.0, seed=draw)
            codes = np.unique(y, return_inverse=True)[1]
            logits = random.normal(size=(len(y), classes))
            said = np.where(random.random(len(y)) < accuracy, codes, (codes + random.integers(1, classes, len(y))) % 8)
            logits[np.arange(len(y)), said] = 3.0
            texts = softmax(logits)
            taught = np.array([np.flatnonzero(codes == code)[0] for code in range(classes)])
            names = y.astype(str)
            own = names[taught]
            examples = LabelledClips(X[taught], own, own, tuple(own), np.zeros(classes, np.bool_), False, X[taught])
            model = heads.get("linear")()
            weight = text_weight(held_out_scores(model, examples), codes[taught], texts[taught])
            rest = np.setdiff1d(np.arange(len(y)), taught)
            scores = model.fit(X[taught], names[taught]).predict_proba(X[rest])
            alone.append((texts[rest].argmax(axis=1) == codes[rest]).mean())
            together.append((blended(scores, texts[rest], weight).argmax(axis=1) == codes[rest]).mean())
        assert np.mean(together) >= np.mean(alone) - 0.02

    def test_texts_that_know_nothing_have_no_say(self) -> None:
        X, y = clusters(classes=3, each=20)
        groups = np.array([str(number) for number in range(60)])
        nobody = np.zeros(60, np.bool_)
        examples = LabelledClips(X, y, groups, tuple(groups), nobody, False, X)
        useless = np.full((60, 3), 1 / 3)
        codes = np.unique(y, return_inverse=True)[1]
        right = np.eye(3)[codes] * 0.97 + 0.01
        model = heads.get("linear")()
        plain = validate(model, examples)
        assert validate(model, examples, text_shares=useless).figures["top1"] == plain.figures["top1"]
        hard = dataclasses.replace(examples, X=np.random.default_rng(0).normal(size=X.shape).astype(np.float32))
        assert validate(model, hard, text_shares=right).text_weight > 0.8
        one = examples.take(np.isin(np.arange(60), [0, 20, 40]))  # nothing can be held out
        assert validate(model, one, text_shares=right[[0, 20, 40]]).text_weight > 0.95
        assert validate(model, one, text_shares=useless[[0, 20, 40]]).text_weight < 0.01

    def test_a_class_of_one_group_does_not_spoil_the_calibration_of_the_others(self) -> None:
        X, y = clusters(classes=4, each=20, spread=1.0)
        groups = np.array([str(number) if name != "class 3" else "alone" for number, name in enumerate(y)])
        examples = LabelledClips(X, y, groups, tuple(map(str, range(80))), np.zeros(80, np.bool_), True, X)
        known = examples.take(y != "class 3")
        model = heads.get("linear")()
        alone = validate(model, known).calibration.temperature
        with_it = validate(model, examples, text_shares=np.full((80, 4), 0.25)).calibration.temperature
        assert with_it <= 1.5 * alone  # clips of which the fold knew nothing would flatten all the others


class TestEvaluate:
    def test_figures_are_those_of_training_and_more(self, tmp_path: Path) -> None:
        X, y = clusters(classes=5, each=20, spread=1.5)
        label(tmp_path, fill(tmp_path, X), y)
        cv = train_head(bank=tmp_path).cv
        done = evaluate(bank=tmp_path)
        for name in ("protocol", "top1", "top5", "balanced_accuracy", "macro_f1", "ece", "ece_uncalibrated"):
            assert done.figures[name] == cv[name]
        assert len(done.truth) == done.figures["clips"] == 100
        assert done.figures["repeats"] == 2  # so few clips depend on how they were dealt into folds
        predicted = done.scores.argmax(axis=1)
        assert done.figures["top1"] == pytest.approx((predicted == done.truth).mean(), abs=0.03)
        facts = done.figures["per_class"]["class 2"]
        own, said = done.truth == 2, predicted == 2
        assert facts["recall"] == pytest.approx((own & said).sum() / own.sum(), abs=0.1)
        assert facts["recall_interval"][0] < facts["recall"] < facts["recall_interval"][1]
        assert facts["precision"] == pytest.approx((own & said).sum() / said.sum(), abs=0.1)
        assert done.figures["accuracy_at_coverage_0.5"] >= done.figures["accuracy_at_coverage_0.8"]
        assert [clip.clip_id for clip in done.clips] == sorted(clip.clip_id for clip in done.clips)
        names = {row.video_id: row.label for row in Labels(tmp_path).rows()}
        assert [names[clip.video_id] for clip in done.clips] == [done.classes[code] for code in done.truth]

    def test_retrieval_equals_a_naive_loop(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=8, spread=2.0)
        label(tmp_path, fill(tmp_path, X), y)
        train_head(bank=tmp_path)
        rows = X / np.linalg.norm(X, axis=1, keepdims=True)
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, -np.inf)
        order = np.argsort(-cosines, axis=1)
        figures = evaluate(bank=tmp_path).figures
        assert figures["retrieval_recall_at_1"] == pytest.approx(np.mean(y[order[:, 0]] == y))
        assert figures["retrieval_recall_at_5"] == pytest.approx(
            np.mean([(y[order[number, :5]] == y[number]).any() for number in range(len(y))])
        )

    def test_videos_that_a_head_never_saw_are_put_to_the_head_as_it_is(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=20)
        rows = fill(tmp_path, X)
        label(tmp_path, rows[::2], y[::2])
        train_head(bank=tmp_path)
        table = tmp_path / "new.csv"
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label"])
            for row, name in zip(rows[1::2], y[1::2], strict=True):
                video = tmp_path / Path(row.video).name
                video.write_bytes(row.video_id.encode())
                writer.writerow([video, name])
        import hashlib

        # The files' content names their videos; labels of a table are matched by content.
        moved = {hashlib.sha256(row.video_id.encode()).hexdigest(): row for row in rows[1::2]}
        renamed = [
            dataclasses.replace(row, video_id=name, clip_id=row.clip_id.replace(row.video_id[:16], name[:16]))
            for name, row in moved.items()
        ]
        Bank(tmp_path).add(Bank(tmp_path).recipe(None), renamed, X[1::2], [])
        done = evaluate(bank=tmp_path, labels=table)
        assert done.figures["protocol"] == "stored head on videos it has not seen"
        assert done.figures["clips"] == 30
        assert done.figures["top1"] > 0.9
        judged = load_trained(tmp_path / "heads", "default")
        by_clip = {clip.clip_id: scores for clip, scores in zip(done.clips, done.scores, strict=True)}
        assert by_clip[renamed[4].clip_id] == pytest.approx(judged.probabilities(X[1::2][4:5])[0], abs=1e-6)

    def test_a_class_of_which_no_clip_was_tested_has_no_recall_to_speak_of(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=20)
        rows = fill(tmp_path, X)
        label(tmp_path, rows[::2], y[::2])
        train_head(bank=tmp_path)
        Labels(tmp_path).remove(lambda _: False)
        tested = [number for number in range(1, 60, 2) if y[number] != "class 2"]
        label(tmp_path, [rows[number] for number in tested], y[tested])
        done = evaluate(bank=tmp_path)
        assert done.figures["protocol"] == "stored head on videos it has not seen"
        facts = done.figures["per_class"]["class 2"]
        assert (facts["clips"], facts["recall_interval"]) == (0, [0.0, 1.0])
        write_evaluation(tmp_path / "out", done)

    @pytest.mark.parametrize(("protocol", "said"), [("cv", "5 folds by video"), ("holdout", "one of 5 parts")])
    def test_protocols_can_be_chosen(self, tmp_path: Path, protocol: str, said: str) -> None:
        taught(tmp_path)
        done = evaluate(bank=tmp_path, protocol=protocol)
        assert done.figures["protocol"].startswith(said)

    def test_unknown_classes_are_told_from_known_ones(self, tmp_path: Path) -> None:
        taught(tmp_path, spread=0.5)
        found = evaluate(bank=tmp_path).figures["unknown_auroc"]
        assert found["unknown_classes"] == 1
        assert found["least"] <= found["mean"] <= found["largest"]
        assert found["mean"] > 0.55  # between clusters there is little room for a stranger

    def test_a_warning_says_that_unknown_classes_are_hardly_told(self, tmp_path: Path) -> None:
        taught(tmp_path, spread=0.5)
        done = evaluate(bank=tmp_path)
        for area, warned in ((0.64, True), (0.65, False), (0.9, False)):
            unknown = {**done.figures["unknown_auroc"], "mean": area}
            found = dataclasses.replace(done, figures={**done.figures, "unknown_auroc": unknown}).warnings
            assert any("unknown classes hardly works" in one and f"is {area:.2f}" in one for one in found) == warned
        none = dataclasses.replace(done, figures={**done.figures, "unknown_auroc": None})
        assert none.warnings == ()

    def test_without_anything_to_hold_out_there_are_no_figures(self, tmp_path: Path) -> None:
        X, y = clusters(classes=2, each=1)
        label(tmp_path, fill(tmp_path, X), y)
        train_head(bank=tmp_path)
        with pytest.raises(LabelError, match="nothing to hold out"):
            evaluate(bank=tmp_path)

    def test_two_clips_a_class_are_enough_for_figures(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=2)
        label(tmp_path, fill(tmp_path, X), y)
        train_head(bank=tmp_path)
        assert evaluate(bank=tmp_path).figures["unknown_auroc"] is None

    def test_other_clips_of_a_video_that_was_trained_on_are_not_new(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=20)
        rows = fill(tmp_path, X, clips_each=2)
        for row, name in zip(rows[::2], y[::2], strict=True):
            person = f"person {int(row.video_id[:16]) % 4}"
            Labels(tmp_path).add([LabelRow(row.video_id, row.video, name, row.start_seconds, row.stop_seconds, person)])
        train_head(bank=tmp_path)
        labels = Labels(tmp_path)
        labels.remove(lambda _: False)
        label(tmp_path, rows[1::2], y[1::2])
        assert "not seen" not in evaluate(bank=tmp_path).figures["protocol"]

    def test_what_no_fold_could_know_is_an_error_in_every_figure(self, tmp_path: Path) -> None:
        X, y = clusters(classes=2, each=3)
        keep = (y == "class 0") | (np.arange(6) == 5)
        label(tmp_path, fill(tmp_path, X[keep]), y[keep])
        train_head(bank=tmp_path)
        done = evaluate(bank=tmp_path)
        assert done.figures["accuracy_at_coverage_0.8"] <= done.figures["top1"] + 0.25
        assert done.figures["aurc"] > 0
        write_evaluation(tmp_path / "out", done)

    def test_a_head_with_texts_is_measured_with_them(self, lite_bank: Path) -> None:
        report = train_head(bank=lite_bank, texts=True)
        figures = evaluate(bank=lite_bank).figures
        assert {name: figures[name] for name in ("top1", "ece", "ece_uncalibrated")} == {
            name: report.cv[name] for name in ("top1", "ece", "ece_uncalibrated")
        }
        judged = load_trained(lite_bank / "heads", "default")
        texts_alone = dataclasses.replace(judged, prior=dataclasses.replace(judged.prior, weight=1.0))
        save_trained(lite_bank / "heads", texts_alone)
        rows = Bank(lite_bank).clips(judged.card.recipe.id)
        fresh = [row_of(video(number), Span(0.0, 2.0), f"/v{number}.mp4") for number in range(20, 24)]
        Bank(lite_bank).add(judged.card.recipe, fresh, rows.embeddings()[:4] * 2 + 1, [])
        Labels(lite_bank).remove(lambda _: False)
        label(lite_bank, fresh, np.array(["playing_tennis", "riding_a_bike"] * 2))
        done = evaluate(bank=lite_bank)
        assert done.figures["protocol"] == "stored head on videos it has not seen"
        encoder = load_encoder("lite")
        vectors = Bank(lite_bank).clips(judged.card.recipe.id)
        asked = vectors.embeddings([vectors.ids.index(clip.clip_id) for clip in done.clips])
        assert done.uncalibrated == pytest.approx(judged.prior.shares(encoder.text_space(asked)))

    def test_a_folder_holds_figures_plots_and_a_page_of_its_own(self, tmp_path: Path) -> None:
        taught(tmp_path, spread=2.0)
        out = tmp_path / "out"
        write_evaluation(out, evaluate(bank=tmp_path))
        figures = json.loads((out / "metrics.json").read_text())
        assert {"top1", "map", "aurc", "per_class", "unknown_auroc"} <= set(figures)
        for name in ("confusion", "recall", "precision_recall", "calibration", "risk_coverage", "classes"):
            assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        page = (out / "report.html").read_text()
        assert page.count("data:image/png;base64,") == 6
        assert "Worst clips" in page
        assert "http" not in page.replace("http://www.w3.org", "")

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        taught(tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(SourceError, match="cannot write into .*file"):
            write_evaluation(tmp_path / "file", evaluate(bank=tmp_path))


class TestFewClips:
    def test_accuracy_grows_with_clips(self, tmp_path: Path) -> None:
        taught(tmp_path, spread=2.0)
        done = k_shot_curves(bank=tmp_path, shots=(1, 2, 8), draws=6)
        (curve,) = done.curves
        assert (curve.name, curve.shots) == ("linear", (1, 2, 8))
        assert curve.means[0] < curve.means[1] < curve.means[2]
        assert all(low <= mean <= high for low, mean, high in zip(curve.lows, curve.means, curve.highs, strict=True))
        write_k_shot(tmp_path / "out", done)
        assert (tmp_path / "out" / "k_shot.png").exists()
        assert json.loads((tmp_path / "out" / "metrics.json").read_text())["draws"] == 6

    def test_nonsense_is_refused(self, tmp_path: Path) -> None:
        taught(tmp_path)
        for shots in ((), "2", (1, -1)):
            with pytest.raises(UsageError, match="shots and draws have to be counts"):
                k_shot_curves(bank=tmp_path, shots=shots, draws=3)


def test_all_heads_are_compared_on_the_same_clips(tmp_path: Path) -> None:
    taught(tmp_path, spread=1.5, each=10, classes=3)
    found = compare_heads(bank=tmp_path)
    kinds = {(one.head, one.loss) for one in found}
    losses = ("triplet", "supcon", "multi-similarity", "arcface", "cross-entropy")
    # No frames were kept, so the temporal head has nothing to read.
    assert kinds == {*(("mlp", loss) for loss in losses), ("linear", None), ("knn", None), ("prototype", None)}
    assert [one.top1 for one in found] == sorted((one.top1 for one in found), reverse=True)
    assert all(one.top1_interval[0] <= one.top1 <= one.top1_interval[1] for one in found)
    assert {one.clips for one in found} == {30}
    linear = next(one for one in found if one.head == "linear")
    assert linear.top1 == train_head(bank=tmp_path, head="linear").cv["top1"]


class TestImport:
    def write(self, folder: Path, rows: list[dict[str, object]], X: np.ndarray) -> tuple[Path, Path]:
        with (folder / "t.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        np.save(folder / "X.npy", X)
        return folder / "X.npy", folder / "t.csv"

    def rows(self, y: np.ndarray) -> list[dict[str, object]]:
        return [{"path": f"v{n}.avi", "label": name, "camera": n % 2} for n, name in enumerate(y)]

    def test_vectors_made_elsewhere_train_a_head(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=20)
        files = self.write(tmp_path, self.rows(y), X.astype(np.float16))
        report = import_features(*files, name="vgg16", bank=tmp_path / "bank")
        assert (report.clips, report.dim, report.labels) == (60, 8, 60)
        again = import_features(*files, name="vgg16", bank=tmp_path / "bank")
        assert (again.clips, again.recipe_id) == (0, report.recipe_id)
        assert train_head(bank=tmp_path / "bank").cv["top1"] > 0.9
        clip = next(iter(Bank(tmp_path / "bank").clips(report.recipe_id).rows()))
        assert clip.metadata == {"camera": "0"}
        stored = Bank(tmp_path / "bank").embeddings(report.recipe_id)
        assert np.array_equal(stored, X.astype(np.float16).astype(np.float32))

    def test_class_zero_is_a_class_and_changed_vectors_are_refused(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=4)
        codes = np.unique(y, return_inverse=True)[1]
        import pyarrow as pa
        import pyarrow.parquet as pq

        paths = [f"v{number}.avi" for number in range(12)]
        pq.write_table(pa.table({"path": paths, "label": pa.array(codes)}), tmp_path / "t.parquet")
        np.save(tmp_path / "X.npy", X)
        report = import_features(tmp_path / "X.npy", tmp_path / "t.parquet", name="a", bank=tmp_path / "bank")
        assert report.labels == 12
        X[3] += 1
        np.save(tmp_path / "X.npy", X)
        with pytest.raises(SourceError, match="row 4 is not the vector that is stored"):
            import_features(tmp_path / "X.npy", tmp_path / "t.parquet", name="a", bank=tmp_path / "bank")

    def test_two_names_never_meet_and_nothing_here_makes_more(self, tmp_path: Path) -> None:
        X, y = clusters(classes=2, each=3)
        files = self.write(tmp_path, self.rows(y), X)
        one, other = (import_features(*files, name=name, bank=tmp_path / "bank") for name in ("a", "b"))
        assert one.recipe_id != other.recipe_id
        with pytest.raises(EncoderError, match="imported as 'a'"):
            load_for(Bank(tmp_path / "bank").recipe(one.recipe_id))

    def test_what_does_not_fit_is_refused_and_nothing_is_stored(self, tmp_path: Path) -> None:
        X, y = clusters(classes=2, each=3)
        files = self.write(tmp_path, self.rows(y), X[:4])
        with pytest.raises(SourceError, match=r"t\.csv has 6 rows and .*X\.npy 4 vectors"):
            import_features(*files, name="a", bank=tmp_path / "bank")
        X[2, 1] = np.nan
        self.write(tmp_path, self.rows(y), X)
        with pytest.raises(SourceError, match="1 vectors are not finite, the first in row 2"):
            import_features(*files, name="a", bank=tmp_path / "bank")
        X, y = clusters(classes=2, each=3)
        self.write(tmp_path, [{"path": "same.avi", "label": name} for name in y], X)
        with pytest.raises(SourceError, match="rows 1 and 2 speak of the same stretch of same.avi"):
            import_features(*files, name="a", bank=tmp_path / "bank")
        np.savez(tmp_path / "two.npz", a=X, b=X)
        with pytest.raises(SourceError, match="choose one by its name"):
            import_features(tmp_path / "two.npz", files[1], name="a", bank=tmp_path / "bank")
        assert not (tmp_path / "bank").exists()


EXPORTED = [
    ("linear", {}),
    ("prototype", {}),
    ("knn", {"k": 3}),
    ("mlp", {"num_epochs": 3, "hidden_dim": 16, "embedding_dim": 8}),
]


class TestExport:
    @pytest.mark.parametrize(("kind", "parameters"), EXPORTED)
    def test_onnx_gives_the_same_calibrated_probabilities(self, tmp_path: Path, kind: str, parameters: dict) -> None:
        X = taught(tmp_path, spread=1.5, head=kind, **parameters)
        judged = load_trained(tmp_path / "heads", "default")
        export_onnx(judged, tmp_path / "head.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "head.onnx", providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"vectors": X})
        assert judged.card.calibration.method == "temperature"
        assert found == pytest.approx(judged.probabilities(X), abs=2e-4)
        facts = session.get_modelmeta().custom_metadata_map
        assert json.loads(facts["classes"]) == list(judged.card.classes)
        assert facts["recipe_id"] == judged.card.recipe.id

    def test_what_cannot_be_exported_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        taught(tmp_path, head="knn", vote="each-class")
        judged = load_trained(tmp_path / "heads", "default")
        with pytest.raises(HeadError, match="no graph is written for its kind, knn"):
            export_onnx(judged, tmp_path / "head.onnx")
        train_head(bank=tmp_path, calibrate="isotonic")
        with pytest.raises(HeadError, match="calibrate='temperature'"):
            export_onnx(load_trained(tmp_path / "heads", "default"), tmp_path / "head.onnx")
        monkeypatch.setitem(sys.modules, "onnx", None)
        with pytest.raises(MissingExtra, match=r"clipdex\[onnx\]"):
            export_onnx(judged, tmp_path / "head.onnx")

    @pytest.mark.parametrize("classes", [2, 4])
    @pytest.mark.parametrize(("kind", "parameters"), EXPORTED[:3])
    def test_plain_scikit_learn_gives_the_same_probabilities(self, kind: str, parameters: dict, classes: int) -> None:
        X, y = clusters(classes=classes, spread=1.5)
        head = heads.get(kind)(**parameters).fit(X, y)
        plain = as_scikit_learn(head)
        queries = clusters(classes=classes, spread=1.5, seed=4)[0]
        assert plain.predict_proba(queries) == pytest.approx(head.predict_proba(queries), abs=1e-4)
        assert all(type(step).__module__.startswith("sklearn.") for _, step in plain.steps)

    def test_a_network_is_no_scikit_learn_object(self) -> None:
        X, y = clusters()
        with pytest.raises(HeadError, match="export it as ONNX"):
            as_scikit_learn(heads.get("mlp")(num_epochs=1).fit(X, y))


def test_a_head_that_many_examples_taught_keeps_a_sample_of_every_class(tmp_path: Path) -> None:
    from pipeline.heads import Sample

    random = np.random.default_rng(0)
    codes = np.concatenate([np.zeros(20_000, np.int64), np.arange(1, 40), np.full(3_000, 40)])
    X = random.normal(size=(len(codes), 4)).astype(np.float32)
    sample = Sample.of(X, codes)
    counts = np.bincount(sample.codes)
    assert len(sample.codes) == 4_096
    assert (counts[1:40] == 1).all()
    assert abs(int(counts[0]) - int(counts[40])) <= 1
    more = sample.with_class(41, X[:500])
    assert np.bincount(more.codes)[41] == 4_096 // 42
    assert np.array_equal(sample.without(0).codes, sample.codes[sample.codes > 0] - 1)
    assert Sample.of(X[:100], codes[:100]) is None


def test_the_commands_print_what_they_promise(tmp_path: Path) -> None:
    taught(tmp_path, each=10, classes=3, spread=1.0)
    bank = ["--bank", str(tmp_path)]

    def run(*arguments: str) -> list[dict]:
        result = CliRunner().invoke(main, [*arguments, *bank], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    (figures,) = run("evaluate", "--out", str(tmp_path / "out"))
    assert (tmp_path / "out" / "report.html").exists()
    assert figures["head"] == "default"
    (shots,) = run("evaluate", "--protocol", "k-shot", "--shots", "1,2", "--draws", "2", "--out", str(tmp_path / "few"))
    assert shots["curves"][0]["shots"] == [1, 2]
    assert {"linear", "knn", "mlp", "prototype"} <= {row["head"] for row in run("compare-heads")}
    assert run("rename-class", "class 0", "zero")[0]["labels_changed"] == 10
    assert run("undo")[0]["change"] == "undo rename-class class 0"
    assert run("remove-class", "class 1")[0]["classes"] == ["class 0", "class 2"]
    assert run("undo")[0]["classes"] == ["class 0", "class 1", "class 2"]
    assert run("head", "export", "default", str(tmp_path / "h.onnx"))[0]["file"].endswith("h.onnx")
    found = run("predict", "--never-abstain")
    assert {"label", "score", "top", "known", "abstained"} <= set(found[0])
    segments = run("predict", "--segments", "--never-abstain", "--export", str(tmp_path / "s.csv"))
    assert {"label", "start_seconds", "stop_seconds", "score", "peak", "video"} <= set(segments[0])
    assert (tmp_path / "s.csv").read_text().startswith("video,video_id,label")
    run("predict", "--never-abstain", "--export", str(tmp_path / "p.csv"))
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 1 + len(found)
    wrong = CliRunner().invoke(main, ["predict", "--merge-gap", "1", *bank])
    assert wrong.exit_code == 2
    assert "--merge-gap works only with --segments" in wrong.output
    wrong = CliRunner().invoke(main, ["evaluate", "--protocol", "k-shot", "--shots", "a", *bank])
    assert wrong.exit_code == 2


def test_a_label_of_another_video_changes_nothing(tmp_path: Path) -> None:
    taught(tmp_path)
    before = evaluate(bank=tmp_path).figures
    Labels(tmp_path).add([LabelRow("elsewhere", "/far.mp4", "class 0")])
    assert evaluate(bank=tmp_path).figures == before
