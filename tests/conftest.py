"""What every test shares."""

from __future__ import annotations

import os

# No test may wait for a hub: what is not on this machine is not there.
os.environ["HF_HUB_OFFLINE"] = "1"
