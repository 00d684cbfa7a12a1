"""The clips of a batch side by side on a processor's cores.

Where all cores share the products of one clip, they wait for each other at the end of each, the longer where decoders
want the cores too. Each on a clip of its own, two cores encode 1.05 (lite) to 1.4 times as much (TimeSformer), and the
vectors are the same.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .._card import Output

if TYPE_CHECKING:
    from torch import Tensor

_STARTING = threading.Lock()


def on_each_core(run: Callable[[Tensor], Output], clips: Sequence[Tensor]) -> Output:
    """What ``run`` makes of each clip, put together in their order.

    Args:
        run: called in several threads at once, each of which may use its share of torch's threads.
        clips: at least one, prepared, each (1, t, 3, h, w).
    """
    import torch

    with _STARTING:  # a thread that asks for the first time takes over what is set at that moment
        num_workers = min(len(clips), torch.get_num_threads())
    if num_workers < 2:
        return together([run(clip) for clip in clips])
    with core_workers(num_workers) as workers:
        return together(list(workers.map(run, clips)))


@contextlib.contextmanager
def core_workers(num_workers: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads, each with its share of torch's."""
    import torch

    all_started = threading.Barrier(num_workers + 1)
    # What one thread sets is also what threads yet to be born begin with: until that is put back, nobody else starts.
    with _STARTING:
        cores = torch.get_num_threads()

        def confine() -> None:
            torch.set_num_threads(max(1, cores // num_workers))
            torch.get_num_threads()  # the first to ask takes over what was set last by anybody, for good
            all_started.wait()

        workers = ThreadPoolExecutor(num_workers, thread_name_prefix="core", initializer=confine)
        try:
            for _ in range(num_workers):
                workers.submit(int)  # a thread is born for each task that finds none idle
            all_started.wait()
        except BaseException:
            all_started.abort()
            workers.shutdown(cancel_futures=True)
            raise
        finally:
            torch.set_num_threads(cores)
    with workers:
        yield workers


def together(outputs: Sequence[Output]) -> Output:
    """Outputs of several clips or batches as one."""
    import torch

    if len(outputs) == 1:
        return outputs[0]
    patches = [output.patches for output in outputs if output.patches is not None]
    return Output(
        torch.cat([output.vectors for output in outputs]),
        torch.cat([output.frames for output in outputs]),
        torch.cat(patches) if patches else None,
    )
