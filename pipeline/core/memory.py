"""How much memory this process may still take."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_STATUS, _MEMINFO = Path("/proc/self/status"), Path("/proc/meminfo")
_CGROUPS, _OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_bytes() -> int:
    """The least of the machine's free memory, what the control groups of this process leave it (a container's limit is
    one), and what its own limits do (``RLIMIT_DATA``, ``RLIMIT_AS``). Pages that only cache files count as free.
    """
    return max(0, min([_free_bytes(), *_left_by_cgroups(), *_left_by_limits()]))


def _free_bytes() -> int:
    """Of the machine; half of all where the system does not say."""
    with contextlib.suppress(OSError, KeyError):
        return _kilobytes(_MEMINFO, "MemAvailable:")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _left_by_limits() -> list[int]:
    """What this process may take beside what it has, under each limit that is set."""
    try:
        import resource
    except ImportError:  # not on this system
        return []
    left = []
    for limit, held in ((resource.RLIMIT_DATA, "VmData:"), (resource.RLIMIT_AS, "VmSize:")):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY:
            with contextlib.suppress(OSError, KeyError):
                left.append(most - _kilobytes(_STATUS, held))
    return left


def _kilobytes(path: Path, name: str) -> int:
    """The bytes behind a name, which the file gives in kilobytes.

    Raises:
        OSError: there is no such file.
        KeyError: it does not have the name.
    """
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise KeyError(name)


def _left_by_cgroups() -> list[int]:
    """What each control group around this process leaves it, in version 2 and 1 of their files."""
    left = []
    with contextlib.suppress(OSError, ValueError):
        own = next(line[3:] for line in _OWN_CGROUP.read_text().splitlines() if line.startswith("0::"))
        group = _CGROUPS / own.strip("/")
        for folder in [group, *group.parents]:
            if not folder.is_relative_to(_CGROUPS):
                break
            left += _left(folder / "memory.max", folder / "memory.current", folder / "memory.stat")
    older = _CGROUPS / "memory"
    left += _left(older / "memory.limit_in_bytes", older / "memory.usage_in_bytes", older / "memory.stat")
    return left


def _left(limit: Path, used: Path, details: Path) -> list[int]:
    """Limit less use, without the pages that cache files; nothing where there is no limit."""
    with contextlib.suppress(OSError, ValueError):
        facts = dict(line.split() for line in details.read_text().splitlines())
        cached = int(facts.get("inactive_file", 0)) + int(facts.get("active_file", 0))
        return [int(limit.read_text()) - int(used.read_text()) + cached]  # "max" is no number
    return []
