"""Any picture to 256 x 256 pixels (FACTS 3.1)."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.data.imagenet.making import picture, pixels, saved
from tinyalex.data.imagenet import pictures
from tinyalex.data.imagenet.pictures import LeftOut, decode, encode, square

BOX, BICUBIC = Image.Resampling.BOX, Image.Resampling.BICUBIC


def made(data, **settings):
    """The pixels, int (256, 256, 3), and the kinds."""
    result = square(data, **settings)
    assert result.image.mode == "RGB" and result.image.size == (256, 256)
    return np.asarray(result.image).astype(int), result.kinds


def left_out(data):
    with pytest.raises(LeftOut) as caught:
        square(data)
    return caught.value.kind


@pytest.mark.parametrize(
    ("width", "height", "scaled", "cut"),
    [
        (512, 512, (256, 256), (0, 0)),
        (500, 375, (341, 256), (42, 0)),  # 341.33 is rounded down; (341 - 256) // 2 = 42
        (375, 500, (256, 341), (0, 42)),
        (640, 427, (384, 256), (64, 0)),  # 383.7 is rounded up
        (333, 257, (332, 256), (38, 0)),
        (256, 1024, (256, 1024), (0, 384)),
        (258, 256, (258, 256), (1, 0)),
        (257, 256, (257, 256), (0, 0)),
        (768, 513, (383, 256), (63, 0)),
    ],
)
def test_shorter_side_becomes_256_by_box_and_the_center_is_cut(width, height, scaled, cut):
    data = saved(Image.fromarray(pixels(width, height)))
    with Image.open(io.BytesIO(data)) as image:
        whole = image if image.size == scaled else image.resize(scaled, BOX)
        expected = np.asarray(whole.crop((*cut, cut[0] + 256, cut[1] + 256))).astype(int)
    found, kinds = made(data)
    assert np.array_equal(found, expected) and kinds == []


@pytest.mark.parametrize(
    ("width", "height", "scaled", "cut"), [(128, 100, (328, 256), (36, 0)), (255, 255, (256, 256), (0, 0)), (50, 75, (256, 384), (0, 64))]
)
def test_smaller_pictures_are_enlarged_by_bicubic(width, height, scaled, cut):
    data = saved(Image.fromarray(pixels(width, height)))
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.resize(scaled, BICUBIC).crop((*cut, cut[0] + 256, cut[1] + 256))).astype(int)
    assert np.array_equal(made(data)[0], expected)


def test_half_of_a_pixel_is_rounded_up_as_the_authors_do():
    assert pictures._scale(385, 512, 256) == 193  # 192.5
    assert pictures._scale(383, 512, 256) == 192 and pictures._scale(512, 512, 256) == 256


def test_box_is_the_mean_of_the_pixels_where_the_ratio_is_whole():
    """There Pillow's BOX is OpenCV's INTER_AREA, which the authors used."""
    image = pixels(1026, 768, seed=3)
    blocks = image[:, 129:897].reshape(256, 3, 256, 3, 3)  # 1,026 columns become 342, and 43 of them are cut off on the left
    expected = np.floor(blocks.mean(axis=(1, 3)) + 0.5)
    assert np.abs(made(saved(Image.fromarray(image)))[0] - expected).max() <= 1  # Pillow rounds after each of the two axes


def test_warp_squeezes_the_whole_picture():
    for width, height in ((500, 375), (300, 700), (40, 30), (256, 256), (512, 100)):
        image = Image.fromarray(pixels(width, height))
        across = BICUBIC if width < 256 else BOX
        down = BICUBIC if height < 256 else BOX
        expected = image if image.size == (256, 256) else image.resize((256, height), across).resize((256, 256), down)
        if across == down:
            expected = image if image.size == (256, 256) else image.resize((256, 256), across)
        assert np.array_equal(made(saved(image), warp=True)[0], np.asarray(expected).astype(int))


def gradient16():
    """uint16 (300, 300), from black to white."""
    return np.linspace(0, 65535, 300).round().astype(np.uint16)[None].repeat(300, 0)


def test_greyscale_has_three_equal_planes():
    found, kinds = made(picture(300, 300, mode="L"))
    assert kinds == ["greyscale"] and (found[:, :, 0] == found[:, :, 1]).all() and (found[:, :, 1] == found[:, :, 2]).all()


def test_bits():
    found, kinds = made(saved(Image.fromarray(pixels(300, 300)).convert("1")))
    assert kinds == ["greyscale"] and found.std() > 10


def test_cmyk():
    image = Image.fromarray(pixels(300, 300))
    found, kinds = made(saved(image.convert("CMYK"), "JPEG", quality=95))
    assert kinds == ["CMYK"]
    assert np.abs(found - made(saved(image))[0]).mean() < 3


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bits_keep_their_range(form):
    """Pillow's own conversion cuts off at 255, so that nearly the whole picture would be white."""
    found, kinds = made(saved(Image.fromarray(gradient16()), form))
    assert kinds == ["16-bit", "greyscale"]
    assert found[0, 0, 0] <= 20 and found[0, -1, 0] >= 235 and 110 < found.mean() < 145


def test_16_bits_of_three_colors():
    rows = np.zeros((300, 300, 3), ">u2")
    rows[..., 0], rows[..., 1] = 65535, 0x8000

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + line.tobytes() for line in rows)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 300, 300, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )
    found, kinds = made(data)
    assert kinds == ["16-bit"] and (found == [255, 128, 0]).all()


def test_palette_with_transparency_lies_on_white():
    image = Image.fromarray(pixels(300, 300)).quantize(8)
    plain, kinds = made(saved(image))
    assert kinds == ["palette"] and np.array_equal(plain, made(saved(image.convert("RGB")))[0])
    color = image.getpixel((150, 150))
    found, kinds = made(saved(image, transparency=color))
    assert kinds == ["palette with transparency"]
    assert (found[128, 128] == 255).all() and not (plain[128, 128] == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_on_white(mode):
    image = Image.fromarray(pixels(300, 300)).convert(mode)
    alpha = Image.fromarray(np.zeros((300, 300), np.uint8))
    alpha.paste(255, (0, 0, 150, 300))
    image.putalpha(alpha)
    found, kinds = made(saved(image))
    assert kinds == [{"RGBA": "with transparency", "LA": "greyscale with transparency"}[mode]]
    assert (found[:, 140:] == 255).all() and found[:, :110].std() > 10


def test_half_transparent_black_is_grey():
    found, _ = made(saved(Image.new("RGBA", (300, 300), (0, 0, 0, 128))))
    assert (np.abs(found - 127) <= 1).all()


@pytest.mark.parametrize("way", range(1, 9))
def test_turned_by_exif(way):
    """The picture that a viewer shows is made, for each of the eight orientations."""
    upright = Image.fromarray(pixels(300, 400, seed=5))
    stored = {
        1: upright, 2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 3: upright.rotate(180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM), 5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.rotate(90, expand=True), 7: upright.transpose(Image.Transpose.TRANSVERSE), 8: upright.rotate(-90, expand=True),
    }[way]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = way
    found, kinds = made(saved(stored, "PNG", exif=exif))
    assert kinds == (["turned by EXIF"] if way > 1 else [])
    assert np.array_equal(found, made(saved(upright))[0])


def test_exif_that_is_damaged_is_ignored():
    image = Image.fromarray(pixels(300, 300))
    data = saved(image, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert made(data)[1] == []


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (31, 200)])
def test_tiny_pictures_are_enlarged_and_named(width, height):
    found, kinds = made(saved(Image.new("RGB", (width, height), (10, 20, 30))))
    assert (found == [10, 20, 30]).all() and "tiny" in kinds


def test_very_long_pictures_do_not_become_longer(monkeypatch):
    sizes = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, size, *args: (sizes.append(size), resize(self, size, *args))[1])
    _, kinds = made(saved(Image.new("RGB", (20_000, 2), "red")))
    assert kinds == ["tiny", "more than 16 times as long as wide, cut first"]
    assert sizes == [(16 * 256, 256)]


def test_first_of_several_frames():
    frames = [Image.fromarray(pixels(300, 300, seed)).quantize(16) for seed in (1, 2)]
    found, kinds = made(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert "first of several frames" in kinds
    assert np.abs(found - made(saved(frames[0]))[0]).mean() < 1


def test_other_files_are_left_out_by_kind():
    jpeg = picture(300, 300)
    assert left_out(b"") == "empty file"
    assert left_out(b"this is a text") == "not a picture"
    assert left_out(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not a picture"  # Pillow would run a program for it
    assert left_out(jpeg[: len(jpeg) // 2]) == "truncated"
    assert left_out(jpeg[:-2000]) == "truncated"
    assert left_out(jpeg[:20]) in ("truncated", "not a picture")
    assert left_out(saved(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF")) == "not a picture"


@pytest.mark.parametrize("cut", [100, 1000])
def test_truncated_png_is_left_out(cut):
    assert left_out(saved(Image.fromarray(pixels(300, 300)))[:-cut]) == "truncated"


def test_damaged_bytes_are_left_out_or_converted_but_raise_nothing_else():
    data = picture(64, 64)
    for at in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        try:
            made(bytes(damaged))
        except LeftOut as out:
            assert out.kind in ("truncated", "damaged", "not a picture", "too large")


def bomb(side):
    """A PNG file of side x side black pixels, some kilobytes long."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    line = bytes(1 + -(-side // 8))
    lines = b"".join([*(packer.compress(line) for _ in range(side)), packer.flush()])
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", lines)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [7_000, 10_000, 20_000])
def test_bomb_is_left_out_before_it_is_decoded(side, monkeypatch):
    data = bomb(side)
    monkeypatch.setattr(Image.core, "fill", None)  # nothing of that size may be made
    assert left_out(data) == "too large"


def test_large_jpeg_is_decoded_smaller_and_named(monkeypatch):
    data = picture(2400, 1600, quality=90)
    whole = made(data)[0]
    for large, part in ((1_000_000, 2), (500_000, 4), (70_000, 8), (1_000, 8)):
        monkeypatch.setattr(pictures, "LARGE", large)
        monkeypatch.setattr(pictures, "MOST_BYTES", 2400 * 1600 * 4 // part**2)
        if part < 8:
            found, kinds = made(data)
            assert kinds == [f"large JPEG, decoded at 1/{part}"] and np.abs(found - whole).mean() < 2
        else:  # its shorter side would have 200 pixels, so it is not decoded smaller, and it is too large
            assert left_out(data) == "too large"


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda: picture(400, 300), 4 * 120_000),
        (lambda: picture(400, 300, mode="L"), 5 * 120_000),
        (lambda: picture(400, 300, progressive=True), 6 * 120_000),
        (lambda: picture(400, 300, mode="CMYK"), 8 * 120_000),
        (lambda: picture(400, 300, mode="RGBA", form="PNG"), 10 * 120_000),
    ],
    ids=["RGB", "L", "progressive", "CMYK", "RGBA"],
)
def test_memory_that_a_picture_needs_depends_on_its_kind(monkeypatch, make, most):
    monkeypatch.setattr(pictures, "MOST_BYTES", most)
    made(make())
    monkeypatch.setattr(pictures, "MOST_BYTES", most - 1)
    with pytest.raises(LeftOut) as caught:
        square(make())
    assert caught.value.detail == f"400 x 300 pixels need {most:,} bytes, more than {most - 1:,}"


def test_large_picture_is_decoded_by_one_process_at_a_time(monkeypatch):
    class Lock:
        held = 0

        def __enter__(self):
            Lock.held += 1

        def __exit__(self, *exc):
            pass

    square(picture(400, 300), alone=Lock())
    assert Lock.held == 0
    monkeypatch.setattr(pictures, "LARGE", 400 * 300 - 1)
    square(picture(400, 300), alone=Lock())
    assert Lock.held == 1
    square(picture(400, 300), alone=threading.RLock())


def test_jpeg_of_quality_95_and_back():
    image = square(picture(300, 280)).image
    data = encode(image)
    with Image.open(io.BytesIO(data)) as read:
        other = io.BytesIO()
        image.save(other, "JPEG", quality=95)
        assert read.quantization == Image.open(other).quantization and read.size == (256, 256)
    back = decode(data)
    assert back.shape == (3, 256, 256) and back.dtype == np.uint8 and back.flags.c_contiguous
    assert np.abs(back.transpose(1, 2, 0).astype(int) - np.asarray(image)).mean() < 1.5


def test_size_of_the_file_is_kept():
    result = square(picture(300, 200))
    assert (result.width, result.height) == (300, 200)
