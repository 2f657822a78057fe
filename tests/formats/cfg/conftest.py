"""A reader of texts in the place of files."""

import pytest

from tinyalex.formats.cfg import read_cfg, read_rates


@pytest.fixture
def read(tmp_path):
    """Reads texts of a file of layers and of its parameters."""

    def of(text, params=None, size=None, with_rates=False):
        (tmp_path / "layers.cfg").write_text(text)
        if params is not None:
            (tmp_path / "params.cfg").write_text(params)
        own = tmp_path / "params.cfg" if params is not None else None
        return read_rates(tmp_path / "layers.cfg", own) if with_rates else read_cfg(tmp_path / "layers.cfg", own, size)

    return of
