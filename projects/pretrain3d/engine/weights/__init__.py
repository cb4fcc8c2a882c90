"""Everything that loads weights goes through here: names and ``_metadata`` move together, and nothing fails silently.

``reading`` reads files without running what is pickled in them, ``mapping`` renames, ``layout`` knows spconv's two
kernel layouts, ``domain_fold`` takes domain prompts out, ``new_domains`` makes those of new data, ``transfer`` matches
and loads, ``report`` is the printed table, ``hook`` does it at the start of a training, ``convert`` does it offline.
``families``, ``minkowski`` and ``pointcept_ppt`` register mappings of released weights.
"""
from . import families, minkowski, pointcept_ppt
from .convert import convert_checkpoint
from .domain_fold import fold_state
from .errors import WeightsError
from .hook import WeightTransferHook
from .mapping import get_mapping, map_metadata, map_state, register_mapping
from .pointcept_ppt import ppt_mapping, released_text_bank
from .reading import read_file, read_state
from .report import Report
from .transfer import MIN_MATCHED, load_weights

__all__ = ['MIN_MATCHED', 'Report', 'WeightTransferHook', 'WeightsError', 'convert_checkpoint', 'families',
           'fold_state', 'get_mapping', 'load_weights', 'map_metadata', 'map_state', 'minkowski', 'pointcept_ppt',
           'ppt_mapping', 'read_file', 'read_state', 'register_mapping', 'released_text_bank']
