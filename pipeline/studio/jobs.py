"""Work that takes longer than an answer: extracting, training, evaluating. One job at a time, in a thread."""

from __future__ import annotations

import dataclasses
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from ..core.errors import ClipdexError
from .workspace import Unknown

_log = logging.getLogger(__name__)

_MOST_JOBS = 100

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class JobCancelled(Exception):
    """Somebody cancelled the job."""


@dataclasses.dataclass
class Job:
    """One piece of work.

    Attributes:
        what: what it does, for people.
        done, total: how far it is; ``total`` is 0 as long as that is unknown.
        result: what it gave, as JSON.
        failures: inputs that failed, with the reason.
    """

    id: str
    what: str
    state: State = "waiting"
    done: float = 0.0
    total: int = 0
    seconds: float = 0.0
    error: str | None = None
    result: Any = None
    failures: list[str] = dataclasses.field(default_factory=list)
    _cancelled: threading.Event = dataclasses.field(default_factory=threading.Event, repr=False)

    def advance(self, done: float, total: int) -> None:
        """Report how far the work is.

        Raises:
            JobCancelled: it is not wanted any more.
        """
        self.done, self.total = done, total
        if self._cancelled.is_set():
            raise JobCancelled

    def cancel(self) -> None:
        """End the job when it next reports; what is finished by then is stored."""
        self._cancelled.set()

    def to_row(self) -> dict[str, Any]:
        """The fields as JSON."""
        names = ("id", "what", "state", "done", "total", "seconds", "error", "result", "failures")
        return {name: getattr(self, name) for name in names}


class Jobs:
    """Runs jobs one after the other: each uses all cores."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "studio-job")

    def start(self, what: str, work: Callable[[Job], Any]) -> Job:
        """Put a job at the end of the queue; what ``work`` returns is its result."""
        job = Job(secrets.token_hex(8), what)
        with self._lock:
            self._jobs[job.id] = job
            for old in [one for one in self._jobs.values() if one.state not in ("waiting", "running")]:
                if len(self._jobs) > _MOST_JOBS:
                    del self._jobs[old.id]
        self._worker.submit(self._run, job, work)
        return job

    def get(self, job_id: str) -> Job:
        """The job of an id.

        Raises:
            Unknown: there is none.
        """
        with self._lock:
            if job_id not in self._jobs:
                raise Unknown(f"there is no job {job_id!r}")
            return self._jobs[job_id]

    def all(self) -> list[Job]:
        """All jobs, the latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def close(self) -> None:
        """Cancel what runs or waits, and wait for its end."""
        for job in self.all():
            job.cancel()
        self._worker.shutdown(cancel_futures=True)

    def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        started = time.monotonic()
        job.state = "running"
        try:
            job.advance(0.0, 0)
            result = work(job)
            job.result = result if isinstance(result, Mapping | list | None) else str(result)
            job.state = "done"
        except JobCancelled:
            job.state = "cancelled"
        except ClipdexError as error:
            job.error, job.state = str(error), "failed"
        except Exception as error:  # a fault of the program: the page says so, and the studio goes on
            _log.exception("the job %r failed", job.what)
            job.error, job.state = f"unexpected {type(error).__name__}: {error}", "failed"
        finally:
            job.seconds = time.monotonic() - started
