"""Heads on many stored clips, beside plain scikit-learn and a plain triplet loop.

    python benchmarks/heads.py [--clips 100000] [--classes 100] [--write]

The vectors are drawn: class means, a shared mean and strong common directions, as encoders have them. A fifth is held
out. Prints seconds and accuracy and writes ``benchmarks/results/heads.json``; ``--write`` puts the table into
docs/performance.md. Takes some minutes, most of them in what it is compared with.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from pages import PERFORMANCE, put, table

from pipeline.core.vectors import unit
from pipeline.heads import Head, heads

Predict = Callable[[np.ndarray], np.ndarray]


def drawn(clips: int, dim: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    common = 1.5 * random.normal(size=dim)
    means = 0.33 * random.normal(size=(classes, dim))
    directions = np.linspace(1.5, 0.06, 64)[:, None] * random.normal(size=(64, dim))
    y = random.integers(0, classes, size=clips)
    X = np.empty((clips, dim), np.float32)
    for start in range(0, clips, 10_000):
        rows = y[start : start + 10_000]
        noise = 2.2 * random.normal(size=(len(rows), dim))
        X[start : start + len(rows)] = common + means[rows] + random.normal(size=(len(rows), 64)) @ directions + noise
    return X, y


def head(kind: str, **parameters: Any) -> Callable[[np.ndarray, np.ndarray], Predict]:
    def train(X: np.ndarray, y: np.ndarray) -> Predict:
        fitted: Head = heads.get(kind)(**parameters).fit(X, y)
        return fitted.predict

    return train


def scikit_learn(estimator: Any) -> Callable[[np.ndarray, np.ndarray], Predict]:
    def train(X: np.ndarray, y: np.ndarray) -> Predict:
        fitted = estimator.fit(unit(X), y)
        return lambda rows: fitted.predict(unit(rows))

    return train


def torch_sgd(X: np.ndarray, y: np.ndarray) -> Predict:
    """Logistic regression by Adam over shuffled batches, ten epochs."""
    import torch

    torch.manual_seed(0)
    rows, codes = torch.from_numpy(unit(X)), torch.from_numpy(y)
    layer = torch.nn.Linear(X.shape[1], int(y.max()) + 1)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(10):
        for batch in torch.randperm(len(rows)).split(1024):
            loss = torch.nn.functional.cross_entropy(layer(rows[batch]), codes[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def predict(held_out: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return layer(torch.from_numpy(unit(held_out))).argmax(dim=1).numpy()

    return predict


def triplet_loop(X: np.ndarray, y: np.ndarray) -> Predict:
    """The same network and number of steps, each batch's triplets found by loops over clips."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    rows = unit(X)
    rows = torch.from_numpy((rows - rows.mean(0)) / rows.std())
    network = nn.Sequential(nn.Linear(X.shape[1], 512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, 128))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    criterion = nn.TripletMarginLoss(margin=0.1)
    random = np.random.default_rng(0)
    of_class = [np.flatnonzero(y == code) for code in range(int(y.max()) + 1)]
    for _ in range(_LOOP_STEPS):
        chosen = np.concatenate([random.choice(of_class[code], 4) for code in random.choice(len(of_class), 32)])
        space = nn.functional.normalize(network(rows[chosen]))
        codes = y[chosen]
        triplets = []
        distances = torch.cdist(space, space).detach().numpy()
        for anchor in range(len(chosen)):
            for positive in range(len(chosen)):
                if anchor == positive or codes[anchor] != codes[positive]:
                    continue
                for negative in range(len(chosen)):
                    closer = distances[anchor, negative] < distances[anchor, positive]
                    if codes[negative] != codes[anchor] and closer:
                        triplets.append((anchor, positive, negative))
        if triplets:
            a, p, n = np.array(triplets).T
            loss = criterion(space[a], space[p], space[n])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        means = nn.functional.normalize(
            torch.stack([nn.functional.normalize(network.eval()(rows[names])).mean(0) for names in of_class])
        )
    centre, scale = unit(X).mean(0), unit(X).std()

    def predict(held_out: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return (network(torch.from_numpy((unit(held_out) - centre) / scale)) @ means.T).argmax(dim=1).numpy()

    return predict


# A loop over all steps would take an hour: so many are run, and the time is scaled up.
_LOOP_STEPS = 100


def main() -> None:
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # a solver that is cut short says so; the table shows it
    X, y = drawn(arguments.clips, arguments.dim, arguments.classes)
    cut = len(X) * 4 // 5
    # scikit-learn's default tolerance, 1e-4, is above the gradient that such vectors start with: it would stop there.
    logistic = {"C": 100.0, "class_weight": "balanced", "tol": 1e-6}
    ways: dict[str, tuple[Any, int, float]] = {  # training, repeats, what the seconds count for
        "linear": (head("linear"), arguments.repeats, 1),
        "scikit-learn LogisticRegression, lbfgs": (scikit_learn(LogisticRegression(max_iter=1000, **logistic)), 1, 1),
        "scikit-learn LogisticRegression, saga, 10 epochs": (
            scikit_learn(LogisticRegression(solver="saga", max_iter=10, **logistic)),
            1,
            1,
        ),
        "scikit-learn RidgeClassifier (closed form)": (scikit_learn(RidgeClassifier(alpha=1.0)), 1, 1),
        "torch, Adam, 10 epochs": (torch_sgd, arguments.repeats, 1),
        "knn": (head("knn"), arguments.repeats, 1),
        "scikit-learn KNeighborsClassifier": (
            scikit_learn(KNeighborsClassifier(5, algorithm="brute", weights="distance")),
            1,
            1,
        ),
        "mlp, triplet": (head("mlp", loss="triplet"), arguments.repeats, 1),
        "mlp, supcon": (head("mlp", loss="supcon"), 1, 1),
        "a plain triplet loop, as many steps": (triplet_loop, 1, 1500 / _LOOP_STEPS),
    }
    rows, facts = [], {}
    for name, (train, repeats, factor) in ways.items():
        fits, scorings = [], []
        for _ in range(repeats):
            started = time.perf_counter()
            predict = train(X[:cut], y[:cut])
            fits.append(factor * (time.perf_counter() - started))
            started = time.perf_counter()
            accuracy = float((predict(X[cut:]) == y[cut:]).mean())
            scorings.append(time.perf_counter() - started)
        spread = f"{min(fits):.1f} to {max(fits):.1f}" if repeats > 1 else "once"
        facts[name] = {"fit_seconds": fits, "score_seconds": scorings, "accuracy": accuracy}
        shown = "" if factor > 1 else f"{accuracy:.3f}"
        rows.append([name, f"{statistics.median(fits):.1f}", spread, f"{statistics.median(scorings):.1f}", shown])
        print(*rows[-1], sep=" | ", flush=True)
    written = table(["head", "training, s", "spread", f"scoring {len(X) - cut:,}, s", "accuracy"], rows)
    target = Path(__file__).parent / "results" / "heads.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"shape": X.shape, "classes": arguments.classes, "ways": facts}, indent=1) + "\n")
    print(f"\n{written}")
    if arguments.write:
        put(PERFORMANCE, "heads", written, script="heads")


if __name__ == "__main__":
    main()
