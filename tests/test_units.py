"""Times and bytes in words."""

from tinyalex.units import bytes_in_words, time_in_words


def test_time_in_words():
    assert [time_in_words(seconds) for seconds in (0.4, 89, 90, 5399, 5400)] == ["0 s", "89 s", "2 min", "90 min", "1.5 h"]


def test_bytes_in_words():
    sizes = (0, 2**20 - 1, 2**20, 170_498_071, 1000 * 2**20 - 1, 1000 * 2**20, 3 * 2**30)
    words = ["0 B", "1,048,575 B", "1 MiB", "162.6 MiB", "1000 MiB", "0.98 GiB", "3.00 GiB"]
    assert [bytes_in_words(nbytes) for nbytes in sizes] == words
