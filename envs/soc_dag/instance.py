"""Reading instances: every supported format, told apart by content and extension."""

from __future__ import annotations

import os
from pathlib import Path

from envs.core.errors import UsageError
from envs.core.fields import read_text
from envs.soc_dag.formats.dax import read_dax
from envs.soc_dag.formats.json_text import load_json
from envs.soc_dag.formats.saga import is_saga, read_saga
from envs.soc_dag.formats.soc_text import looks_like_soc_text, read_soc_text
from envs.soc_dag.formats.stg import looks_like_stg, read_stg
from envs.soc_dag.formats.synthesis import Synthesis
from envs.soc_dag.formats.wfcommons import is_wfcommons, read_wfcommons
from envs.soc_dag.formats.yaml_format import read_yaml
from envs.soc_dag.types import SocInstance


def read_instance(path: str | os.PathLike[str], synthesis: Synthesis | None = None) -> SocInstance:
    """Reads an instance.

    =====================  ==================================================================
    our own YAML           ``.yaml``, ``.yml``
    DS3 / SoCRATES text    a folder, or a chip or job file with ``add_new_...`` lines
    WfCommons              ``.json`` with ``workflow``
    SAGA, DAGBench         ``.json`` with ``task_graph``
    Pegasus DAX            ``.xml``, ``.dax``
    STG                    ``.stg``, or a text whose first line is one whole number
    =====================  ==================================================================

    Args:
        path: The file, or the folder of DS3 or SoCRATES text files.
        synthesis: What WfCommons, DAX and STG files leave open (processors, heterogeneity, links, seed); not used for
            the other formats.

    Raises:
        UsageError: The file cannot be read, is malformed or of no known format.
    """
    path = Path(path)
    if path.is_dir():
        return read_soc_text(path)
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return read_yaml(path)
    if suffix in (".xml", ".dax"):
        return read_dax(path, synthesis)
    if suffix == ".stg":
        return read_stg(path, synthesis)
    if suffix == ".json":
        data = load_json(path)
        if is_wfcommons(data):
            return read_wfcommons(path, synthesis, data)
        if is_saga(data):
            return read_saga(path, data)
        raise UsageError(f"{path}: has neither a field workflow (WfCommons) nor task_graph (SAGA, DAGBench)")
    text = read_text(path)
    if looks_like_soc_text(text):
        return read_soc_text(path)
    if looks_like_stg(text):
        return read_stg(path, synthesis)
    raise UsageError(f"{path}: is of no known format; expected YAML, DS3 text, WfCommons or SAGA JSON, DAX XML or STG")
