"""Work that takes longer than an answer: extracting, training, evaluating. One job at a time, in a thread."""

from __future__ import annotations

import dataclasses
import logging
import queue
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..core.errors import ClipdexError
from .workspace import Unknown

_log = logging.getLogger(__name__)

_MOST_JOBS = 100
_MOST_FAILURES = 100

# How long a job that is cancelled as the studio ends may take to its next report.
_LAST_SECONDS = 10.0

# Of a result, what the list of all jobs has as well: pages request it twice a second.
_IN_LIST = ("inputs", "warnings")

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
        failures: the first inputs that failed, with the reason.
        more_failures: how many failed beside those.
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
    more_failures: int = 0
    _cancelled: threading.Event = dataclasses.field(default_factory=threading.Event, repr=False)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in one way or another."""
        return self.state not in ("waiting", "running")

    def begin(self) -> bool:
        """Go from waiting to running; false if it was cancelled before."""
        with self._lock:
            if self.state == "waiting":
                self.state = "running"
            return self.state == "running"

    def fail(self, failure: str) -> None:
        """Report an input that failed."""
        if len(self.failures) < _MOST_FAILURES:
            self.failures.append(failure)
        else:
            self.more_failures += 1

    def advance(self, done: float, total: int) -> None:
        """Report how far the work is.

        Raises:
            JobCancelled: it is not wanted any more.
        """
        self.done, self.total = done, total
        if self._cancelled.is_set():
            raise JobCancelled

    def cancel(self) -> None:
        """End the job at once if it waits, else when it next reports; what is finished by then is stored."""
        self._cancelled.set()
        with self._lock:
            if self.state == "waiting":
                self.state = "cancelled"

    def to_row(self, *, in_list: bool = False) -> dict[str, Any]:
        """The fields as JSON.

        Args:
            in_list: of the result only what is short.
        """
        names = ("id", "what", "state", "done", "total", "seconds", "error", "result", "failures", "more_failures")
        row = {name: getattr(self, name) for name in names}
        if in_list:
            result = self.result if isinstance(self.result, Mapping) else {}
            row["result"] = {name: result[name] for name in _IN_LIST if name in result} or None
        return row


class Jobs:
    """Runs jobs one after the other: each uses all cores."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Job, Callable[[Job], Any]] | None] = queue.SimpleQueue()
        # The studio does not wait for it longer than ``close`` does.
        self._worker = threading.Thread(target=self._work, name="studio-job", daemon=True)
        self._worker.start()

    def start(self, what: str, work: Callable[[Job], Any], *, most_ended: int = _MOST_JOBS) -> Job:
        """Put a job at the end of the queue; what ``work`` returns is its result.

        Args:
            most_ended: how many that do the same and have ended are remembered.
        """
        job = Job(secrets.token_hex(8), what)
        with self._lock:
            ended = [one for one in self._jobs.values() if one.is_over]
            same = [one for one in ended if one.what == what]
            forgotten = {one.id for one in same[: max(0, len(same) - most_ended)]}
            too_many = len(self._jobs) - len(forgotten) + 1 - _MOST_JOBS
            forgotten.update([one.id for one in ended if one.id not in forgotten][: max(0, too_many)])
            for job_id in forgotten:
                del self._jobs[job_id]
            self._jobs[job.id] = job
        self._queue.put((job, work))
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
        """Cancel what runs or waits, and wait for its end, but not for longer than 10 s: a job that does not report
        until then ends with the process.
        """
        for job in self.all():
            job.cancel()
        self._queue.put(None)
        self._worker.join(_LAST_SECONDS)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            job, work = item
            if job.begin():
                self._run(job, work)
            del item, job, work  # which hold the studio

    def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        started = time.monotonic()
        try:
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
