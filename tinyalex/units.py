"""Times and bytes as a person says them: every line that the package prints takes them from here."""

from __future__ import annotations


def time_in_words(seconds: float) -> str:
    """Seconds as seconds, minutes or hours.

    Example
    -------
    >>> time_in_words(50), time_in_words(400), time_in_words(20000)
    ('50 s', '7 min', '5.6 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bytes_in_words(nbytes: int) -> str:
    """Bytes as B, as MiB of four digits, or as GiB.

    Example
    -------
    >>> bytes_in_words(1000), bytes_in_words(243_860_896), bytes_in_words(3 * 2**30)
    ('1,000 B', '232.6 MiB', '3.00 GiB')
    """
    if nbytes < 2**20:
        return f"{nbytes:,} B"
    return f"{nbytes / 2**20:.4g} MiB" if nbytes < 1000 * 2**20 else f"{nbytes / 2**30:.2f} GiB"
