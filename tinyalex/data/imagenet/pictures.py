"""Any picture file as 256 x 256 pixels of red, green and blue (paper section 2).

The shorter side becomes 256 pixels and the longer one keeps its proportion, rounded; then the central square is cut out, at
(length - 256) // 2. `warp=True` squeezes to 256 x 256 instead, as Caffe's converter does.

Pillow's BOX shrinks and BICUBIC enlarges. The authors' code used OpenCV's INTER_AREA and INTER_CUBIC. BOX is not INTER_AREA: it takes
whole old pixels only, where INTER_AREA weighs a pixel by the part of it that a new pixel covers. On photographs the two differ by 2
levels in the mean where the shorter side was 375 or 500 pixels, and by 0.5 where it was 2,000. Change SHRINK for another filter.

JPEG files are decoded in full. libjpeg can also decode at a half, a quarter or an eighth, which is faster, but the result then differs
by 1 to 2 levels in the mean. So that is done only where a picture would need too much memory, and the report names it.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from tinyalex.errors import ShapeError, show

SIDE = 256
SIDES = (32, 1024)
SHRINK, ENLARGE = Image.Resampling.BOX, Image.Resampling.BICUBIC
QUALITY = 95
LARGE = 13_000_000  # pixels; a picture with more is decoded by one process at a time, and a JPEG at a half or less
MOST_BYTES = 240_000_000  # that the decoding of a picture may need; one that needs more is left out
# Bytes that a pixel needs meanwhile: Pillow keeps 4 for a color, 1 for a grey, and a picture that is converted is there twice.
PIXEL_BYTES = {"RGB": 4, "L": 5, "1": 5, "P": 5}
CONVERTED_BYTES, TRANSPARENT_BYTES, PROGRESSIVE_BYTES = 8, 10, 6  # libjpeg keeps all coefficients of a progressive file
LONGEST = 16  # a picture whose sides have a larger ratio is cut to this ratio first: 1 x 20,000 would become 256 x 5,120,000
TINY = 32  # pixels of the shorter side, below which the report names the picture

# Pillow's other formats run programs (EPS), or do not know their pictures by the first bytes (TGA).
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM")
TRANSPARENT = ("LA", "PA", "RGBA")
GREY, PALETTE = "greyscale", "palette"
MODES = {"1": GREY, "L": GREY, "LA": GREY, "P": PALETTE, "PA": PALETTE, "CMYK": "CMYK", "RGB": "RGB", "RGBA": "RGB"}
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip

Pixels = npt.NDArray[np.uint8]


class LeftOut(Exception):  # noqa: N818 - it is no error: the preparation goes on
    """This file cannot become a picture.

    Attributes
    ----------
    kind: one of few words for all files of this kind, such as "truncated". detail: what is wrong with this one.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class Square(NamedTuple):
    """A picture of mode RGB, the width and height that its file had, and what had to be converted, in words."""

    image: Image.Image
    width: int
    height: int
    kinds: list[str]


def require_side(side: Any) -> int:
    """`side` if it is a multiple of 32 from 32 to 1024, else ShapeError: a side of the squares that pictures become."""
    least, most = SIDES
    if isinstance(side, bool) or not isinstance(side, int) or not least <= side <= most or side % 32:
        raise ShapeError(f"pictures: side must be a multiple of 32 from {least} to {most}, got {show(side)}")
    return side


def square(data: bytes, *, warp: bool = False, side: int = SIDE, alone: AbstractContextManager[Any] | None = None) -> Square:
    """A picture file as an image of `side` x `side` pixels.

    Parameters
    ----------
    data: the bytes of the file. warp: squeeze the whole picture to a square instead of cutting.
    alone: is entered while a large picture is decoded; a lock that all processes share bounds their memory.

    Raises
    ------
    LeftOut: the file is empty, truncated, damaged, too large, or no picture.
    """
    with quiet():
        return convert(data, warp=warp, side=side, alone=alone or nullcontext())


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow's warnings of damaged EXIF data and of palettes are not shown. Threads share the setting: enter it once for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def convert(data: bytes, *, warp: bool, side: int, alone: AbstractContextManager[Any]) -> Square:
    """What `square` does, for a caller that is inside of `quiet`."""
    if not data:
        raise LeftOut("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as picture:
            return _square(picture, warp, side, alone)
    except LeftOut:
        raise
    except Image.DecompressionBombError:
        raise LeftOut("too large", "more pixels than Pillow opens") from None
    except UnidentifiedImageError:
        raise LeftOut("not a picture", f"begins with {data[:8]!r}") from None
    except Exception as error:  # a damaged file makes Pillow's decoders raise every kind of error
        cut = "truncated" in str(error).lower() or "premature" in str(error).lower() or isinstance(error, EOFError)
        raise LeftOut("truncated" if cut else "damaged", str(error) or type(error).__name__) from None


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _square(picture: Image.Image, warp: bool, side: int, alone: AbstractContextManager[Any]) -> Square:
    kinds: list[str] = []
    width, height = picture.size
    large = width * height > LARGE
    if large and picture.format in ("JPEG", "MPO"):
        part = next((k for k in (2, 4) if width * height <= LARGE * k * k), 8)
        if min(width, height) // part >= side:
            picture.draft(picture.mode, (width // part, height // part))
            kinds.append(f"large JPEG, decoded at 1/{part}")
    needed = _bytes_of(picture, width * height)
    if needed > MOST_BYTES:
        raise LeftOut("too large", f"{width:,} x {height:,} pixels need {needed:,} bytes, more than {MOST_BYTES:,}")
    with alone if large else nullcontext():
        if getattr(picture, "n_frames", 1) > 1:
            kinds.append("first of several frames")
        if _deep(picture):  # before its EXIF data is read, because for PNG that decodes the picture
            kinds.append("16-bit")
        way = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
        rgb = _rgb(picture, kinds)
        if way is not None:
            kinds.append("turned by EXIF")
            rgb = rgb.transpose(way)
        if min(rgb.size) < TINY:
            kinds.append("tiny")
        return Square(_resized(rgb, warp, side, kinds), width, height, kinds)


def _rgb(picture: Image.Image, kinds: list[str]) -> Image.Image:
    """The picture in mode RGB. A transparent one is laid on white."""
    mode = picture.mode
    picture.load()
    if mode.startswith("I"):
        kinds.append("greyscale")
        table = ((np.arange(65536) * 255 + 32767) // 65535).astype(np.uint8)
        return Image.fromarray(table[np.asarray(picture).clip(0, 65535)]).convert("RGB")
    if mode == "F":
        raise LeftOut("not a picture", "its pixels are fractions")
    name = MODES.get(mode, f"colors of mode {mode}")
    if mode in TRANSPARENT or "transparency" in picture.info:
        kinds.append(f"{name} with transparency".removeprefix("RGB").strip())
        layer = picture if mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", layer.size, "white")
        white.paste(layer, mask=layer.getchannel("A"))
        return white
    if mode == "RGB":
        return picture
    kinds.append(name)
    return picture.convert("RGB")


def _bytes_of(picture: Image.Image, whole: int) -> int:
    """The bytes that the decoding of a picture needs at most; `whole` is the number of pixels of its file."""
    if picture.info.get("progressive") or picture.info.get("progression"):
        return whole * PROGRESSIVE_BYTES
    clear = picture.mode in TRANSPARENT or "transparency" in picture.info
    pixel = TRANSPARENT_BYTES if clear else PIXEL_BYTES.get(picture.mode, CONVERTED_BYTES)
    return picture.size[0] * picture.size[1] * pixel


def _deep(picture: Image.Image) -> bool:
    """Whether the file has 16 bits for each color; of three colors Pillow takes the upper 8."""
    tiles = getattr(picture, "tile", None)
    raw = tiles[0][3] if tiles else ""  # how the file stores a pixel, such as "RGB;16B"
    return picture.mode.startswith("I") or ";16" in str(raw[0] if isinstance(raw, tuple) else raw)


def _resized(rgb: Image.Image, warp: bool, side: int, kinds: list[str]) -> Image.Image:
    """`side` x `side` pixels of an RGB image."""
    width, height = rgb.size
    if warp:
        if (width, height) == (side, side):
            return rgb.copy()
        return _scaled(rgb, side, side)
    short = min(width, height)
    if max(width, height) > LONGEST * short:
        kinds.append(f"more than {LONGEST} times as long as wide, cut first")
        width, height = min(width, LONGEST * short), min(height, LONGEST * short)
        rgb = _center(rgb, width, height)
    scaled = rgb if short == side else _scaled(rgb, _scale(width, short, side), _scale(height, short, side))
    return _center(scaled, side, side)


def _scale(length: int, short: int, side: int) -> int:
    """length * side / short, rounded, halves up: the authors' `round`."""
    return (2 * length * side + short) // (2 * short)


def _scaled(rgb: Image.Image, width: int, height: int) -> Image.Image:
    """Resized; an axis that becomes longer by BICUBIC, any other by BOX."""
    across, down = (ENLARGE if new > old else SHRINK for new, old in zip((width, height), rgb.size, strict=True))
    if across == down:
        return rgb.resize((width, height), across)
    return rgb.resize((width, rgb.size[1]), across).resize((width, height), down)


def _center(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (image.size[0] - width) // 2, (image.size[1] - height) // 2
    return image.crop((left, top, left + width, top + height))


def encode(image: Image.Image) -> bytes:
    """The image as a JPEG file of quality 95, as the authors' data had."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def decode(data: bytes) -> Pixels:
    """The pixels of a JPEG file of a shard, uint8 (3, H, W)."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.ascontiguousarray(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
