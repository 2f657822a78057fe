"""How much working memory the blocks of a layer take together, estimated as a CPU cuts a batch into blocks."""

from __future__ import annotations

from tinyalex.devices.cpu import CACHE, SHARES


def bytes_of_blocks(image: int, sums: int, n: int, workers: int | None) -> int:
    """Bytes of scratch for n images of which each needs `image` bytes, where each block returns `sums` bytes to be added.

    workers: the threads that work on blocks at the same time; None for a card, where one block of one image is counted.
    """
    if workers is None:
        return image + 2 * sums
    images = max(1, min(CACHE // image if image else n, -(-n // SHARES)))
    blocks = min(workers, -(-n // images))
    return blocks * (images * image + sums) + sums
