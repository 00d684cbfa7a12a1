"""The convolutional families of PyTorchVideo (Fan et al. 2021), and its MViT: an optional extra.

Weights are files as their authors publish them (``SLOWFAST_8x8_R50.pyth``), here or fetched from their server;
a file of one's own training keeps the published name in front (``X3D_M-wildlife.pyth``), which says what it is.
A clip's vector is what the classifier reads, averaged over the places where it reads. PyTorchVideo's last
release is of 2022: it works with today's torch, and imports torchvision for one class that is not used.
"""

from __future__ import annotations

import dataclasses
import re
import threading
import urllib.error
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ...core.errors import EncoderError
from ...core.recipe import PreprocessSettings
from .._base import Encoder
from .._card import Facts, Output
from .._checkpoint import Checkpoint, check_num_frames, sha256_of, why_not_loaded

if TYPE_CHECKING:
    from torch import Tensor

_SERVER = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics"
_SUFFIX = ".pyth"


@dataclasses.dataclass(frozen=True)
class Variant:
    """A published file: the builder in ``pytorchvideo.models.hub``, and what it was tested with."""

    builder: str
    num_frames: int
    image_size: int
    resize: int
    dim: int = 2048


class PyTorchVideo(Encoder):
    """A network of PyTorchVideo. Subclasses list the published files.

    Attributes:
        variants: by the file's name without its suffix.
    """

    variants: ClassVar[Mapping[str, Variant]]
    needs = ("pytorchvideo", "torchvision")
    poolings = {"mean": "classifier's input, mean over time and space"}

    def __init__(self, facts: Facts, *, device: str, network: Any) -> None:
        super().__init__(facts, device=device)
        self._network = network
        self._seen = threading.local()  # clips run side by side (see ``_runtime/per_core``)
        self._head().proj.register_forward_pre_hook(lambda _, inputs: vars(self._seen).update(read=inputs[0]))
        # Of several paths the first, taken out at once: the block that pools them changes the list.
        self._map_block().register_forward_pre_hook(
            lambda _, inputs: vars(self._seen).update(map=inputs[0][0] if isinstance(inputs[0], list) else inputs[0])
        )

    @classmethod
    def reads_file(cls, name: str) -> bool:
        """See ``Encoder.reads_file``."""
        return cls._variant(name) is not None

    @classmethod
    def _variant(cls, name: str) -> Variant | None:
        file = Path(name).name
        for stem, variant in cls.variants.items():
            if re.fullmatch(rf"{stem}([-._].*)?{_SUFFIX}", file):
                return variant
        return None

    @classmethod
    def find(cls, name: str) -> Checkpoint:
        """See ``Encoder.find``: a path, or a published name, which is fetched once from its authors' server."""
        import torch

        path = Path(name)
        if path.is_file():
            return Checkpoint(str(path.resolve()), path.resolve(), None)
        cached = cls._cached_file(name)
        if path.name != name or path.stem not in cls.variants:
            raise EncoderError(f"there is no weights file {name}; published ones are {', '.join(cls.variants)}")
        if not cached.is_file():
            cached.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(f"{_SERVER}/{name}", str(cached), progress=False)
            except (urllib.error.URLError, OSError) as error:
                raise EncoderError(
                    f"cannot get {name} from {_SERVER} ({error}). Fetch it where there is a network, and give "
                    f"the file: encoder='path/to/{name}'"
                ) from error
        return Checkpoint(name, cached, None)

    @classmethod
    def cached(cls) -> bool:
        """See ``Encoder.cached``."""
        return cls.missing() is None and cls._cached_file(cls.card.default_checkpoint).is_file()

    @staticmethod
    def _cached_file(name: str) -> Path:
        import torch

        return Path(torch.hub.get_dir(), "checkpoints", name)

    @classmethod
    def load(cls, checkpoint: Checkpoint, *, device: str, num_frames: int | None, pooling: str | None) -> Self:
        """See ``Encoder.load``."""
        variant = cls._variant(checkpoint.folder.name)
        if variant is None:  # the registry asks reads_file first
            raise EncoderError(f"{checkpoint.name} is no file of {', '.join(cls.variants)}")
        check_num_frames(num_frames, variant.num_frames, checkpoint)
        network = _build(variant.builder)
        _load_weights(network, checkpoint.folder)
        facts = Facts(
            checkpoint=checkpoint.name,
            revision=None,
            weights_sha256=sha256_of([checkpoint.folder]),
            num_frames=variant.num_frames,
            image_size=variant.image_size,
            dim=variant.dim,
            preprocessing=PreprocessSettings(
                resize=variant.resize,
                crop=(variant.image_size, variant.image_size),
                interpolation="bilinear",
                scale=1 / 255,
                mean=(0.45,) * 3,
                std=(0.225,) * 3,
            ),
            pooling=cls._pooled(pooling, next(iter(cls.poolings))),
        )
        return cls(facts, device=device, network=network.eval().requires_grad_(False).to(device))

    def _head(self) -> Any:
        return self._network.blocks[-1]

    def _map_block(self) -> Any:
        """The block that takes in the last map that still has time."""
        return self._network.blocks[-1]

    def _inputs(self, pixels: Tensor) -> Any:
        """(n, 3, t, h, w) to what the network takes."""
        return pixels

    def _features(self, inputs: Any) -> tuple[Any, Any]:
        """What the classifier reads, and the map that ``_map_block`` takes in."""
        self._network(inputs)
        seen = vars(self._seen)
        return seen.pop("read"), seen.pop("map")

    def _forward(self, pixels: Tensor) -> Output:
        # (n, t', h', w', dim), (n, c, t', h', w')
        read, last = self._features(self._inputs(pixels.transpose(1, 2)))
        return Output(read.mean(dim=(1, 2, 3)), self._steps(last))

    def _steps(self, last: Tensor) -> Tensor:
        """The last map that still has time, (n, c, t', h', w'), to (n, t', c)."""
        return last.mean(dim=(3, 4)).transpose(1, 2)


def _build(builder: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its libraries of 2022 use what torch has deprecated since
        from pytorchvideo.models import hub

        return getattr(hub, builder)(pretrained=False)


def _fit_classes(network: Any, weights: Mapping[str, Tensor]) -> None:
    """Give the classifier as many classes as the file has: one's own training has its own. It makes no vector."""
    import torch

    name = next(name for name in reversed([name for name, _ in network.named_modules()]) if name.endswith(".proj"))
    there, wanted = network.get_submodule(name), weights[f"{name}.weight"]
    if isinstance(there, torch.nn.Linear) and len(wanted) != there.out_features:
        network.set_submodule(name, torch.nn.Linear(there.in_features, len(wanted)))


def _load_weights(network: Any, path: Path) -> None:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        weights = content.get("model_state", content)
        _fit_classes(network, weights)
        network.load_state_dict(weights, strict=True)
    except Exception as error:  # a stranger's file can make the reader raise anything
        raise EncoderError(
            f"{path} does not hold exactly the weights that its name promises ("
            f"{why_not_loaded(error, path)}). Its vectors would be wrong, so none are made"
        ) from error
