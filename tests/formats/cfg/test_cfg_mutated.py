"""cuda-convnet's files with errors of every kind: each is read or refused in one sentence."""

from tests.contract import rng
from tests.formats.cfg.cfg_files import LOCAL, authors, authors_params, cifar_params, conv_local, three_stages
from tinyalex.errors import TinyalexError
from tinyalex.formats.cfg import read_cfg, read_rates


def test_mutated_files_are_read_or_refused(tmp_path, fuzz_count):
    seeds = [(authors(), authors_params()), (conv_local(True), cifar_params(LOCAL, (0,) * 5)), (three_stages(), None)]
    draw, done = rng(7), 0
    numbers = ["-1", "0", "99999999999999999999", "1e400", "nan", "a,b", ",,,", "2147483648", "", "[", "\x00", "1;2"]
    for _ in range(fuzz_count):
        texts = list(seeds[0] if draw.integers(20) == 0 else seeds[draw.integers(1, len(seeds))])
        for i, text in enumerate(texts):
            lines = (text or "").splitlines()
            for _ in range(draw.integers(1, 4) if lines else 0):
                at = int(draw.integers(len(lines)))
                other = int(draw.integers(len(lines)))
                kind = draw.integers(5)
                if kind == 0:
                    key = lines[at].partition("=")[0]
                    lines[at] = f"{key}={numbers[draw.integers(len(numbers))]}"
                elif kind == 1:
                    lines[at], lines[other] = lines[other], lines[at]
                elif kind == 2 and len(lines) > 1:
                    del lines[at]
                elif kind == 3:
                    lines[at:at] = lines[other : other + 9]
                else:
                    lines[at] = lines[at].partition("=")[0] + "=" + lines[other].partition("=")[2]
                if not lines:
                    lines = ["x"]
                at = 0
            if text is not None:
                texts[i] = "\n".join(lines)
        (tmp_path / "a.cfg").write_text(texts[0])
        if texts[1] is not None:
            (tmp_path / "b.cfg").write_text(texts[1])
        try:
            read_cfg(tmp_path / "a.cfg", tmp_path / "b.cfg" if texts[1] is not None else None)
            if texts[1] is not None:
                read_rates(tmp_path / "a.cfg", tmp_path / "b.cfg")
            done += 1
        except TinyalexError as error:
            assert len(str(error)) < 1000
    assert 0 < done < fuzz_count
