"""Sets of photographs: made ready from ImageNet's files or one's own folders, opened as shards, or used in place.

| file | what it holds |
|---|---|
| originals.py, tars.py, devkit.py, matlab.py | what SRC is, and which pictures it has |
| listing.py | the list of all pictures on the disk: classes, split, order |
| pictures.py | any picture file to 256 x 256 pixels |
| statistics.py | mean image and colors, in exact sums |
| preparation.py, packing.py, pool.py, finishing.py, report.py | shards, made by several processes |
| shards.py, folders.py | the sources that training reads |
"""

from tinyalex.data.imagenet.folders import FolderSource, open_folder
from tinyalex.data.imagenet.preparation import Prepared, prepare
from tinyalex.data.imagenet.shards import ShardSource, check_shards, open_shards

__all__ = ["FolderSource", "Prepared", "ShardSource", "check_shards", "open_folder", "open_shards", "prepare"]
