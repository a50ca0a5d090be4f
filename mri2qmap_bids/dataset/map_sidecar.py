"""The sidecar of a run's T1 map, which has what T1, T2 and M0 share."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mri2qmap_bids.dataset.derivatives import relative_path


def read_map_sidecar(output_dir: Path, entities: Mapping[str, str]) -> dict[str, Any]:
    """Its keys and values; none if it is missing, unreadable or no JSON object.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    entities
        BIDS entities of the run.
    """
    path = output_dir / relative_path(entities, "T1map", ".json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
