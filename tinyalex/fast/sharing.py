"""An estimate of the working memory that the blocks of a layer need together."""

from __future__ import annotations

from tinyalex.devices.cpu import CACHE, SHARES


def bytes_of_blocks(image: int, sums: int, n: int, workers: int | None) -> int:
    """Bytes of scratch for n images, if the batch is cut into blocks as a `CpuDevice` does it.

    image: bytes that one image of a block needs. sums: bytes of the partial sums that each block returns.
    workers: how many threads compute blocks at the same time; None for a GPU, where one block of one image is counted.
    """
    if workers is None:
        return image + 2 * sums
    images = max(1, min(CACHE // image if image else n, -(-n // SHARES)))
    blocks = min(workers, -(-n // images))
    return blocks * (images * image + sums) + sums
