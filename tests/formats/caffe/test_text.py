import pytest

from tests.contract import refuses
from tests.formats.caffe.samples import NEW, OLD, parsed, written
from tinyalex.errors import DataError
from tinyalex.formats.caffe.text import DEEPEST, LONGEST, read_text, write_text


def shown(message):
    return {
        name: [shown(value) if hasattr(value, "values") else value for value, _ in values] for name, values in message.values.items()
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('name: "a" "b"  # and a comment', {"name": ["ab"]}),
        (r'name: "\"\\\n\t\x41\101"', {"name": ['"\\\n\tAA']}),
        ("name: 'it\\'s'", {"name": ["it's"]}),
        ("input_dim: 1 input_dim: 0x10, input_dim: -3;", {"input_dim": [1, 16, -3]}),
        ("input_dim: [1, 3, 227]", {"input_dim": [1, 3, 227]}),
        ("input_dim: []", {}),
        ("force_backward: true debug_info: 0", {"force_backward": [True], "debug_info": [False]}),
        ("state { phase: TRAIN level: 2 }", {"state": [{"phase": ["TRAIN"], "level": [2]}]}),
        ("input_dim: [010, -010, 0x1F, -0x1F, 0, -7]", {"input_dim": [8, -8, 31, -31, 0, -7]}),
        ("state < phase: 0 >", {"state": [{"phase": ["TRAIN"]}]}),
        ("state: { }", {"state": [{}]}),
        ("layer { relu_param { negative_slope: .5 } }", {"layer": [{"relu_param": [{"negative_slope": [0.5]}]}]}),
        ("layer { relu_param { negative_slope: 1e-3f engine: CUDNN } }",
         {"layer": [{"relu_param": [{"negative_slope": [1e-3], "engine": ["CUDNN"]}]}]}),
        ("layer { accuracy_param { top_k: 5 more { deep: [1, 2] } } }",
         {"layer": [{"accuracy_param": [{"top_k": ["5"], "more": [{"deep": ["1", "2"]}]}]}]}),
    ],
)  # fmt: skip
def test_values(text, values):
    assert shown(parsed(text)) == values


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=repr)
@pytest.mark.parametrize("inside", ["\f", "\v", "\r", "\x1c", "\x85", "\u2028"], ids=ascii)
def test_lines_are_those_that_an_editor_counts(inside, end):
    """A form feed and other separators end no line of a comment, a text or a space."""
    space = inside if inside in "\f\v\r" else " "
    with refuses(DataError, "line 4: a field must be one of those that Caffe has in a net, got 'quux'"):
        parsed(end.join([f"# a comment{inside}that goes on", f'name: "a{inside}b"', space, "quux: 3"]))


def test_each_value_knows_its_line():
    message = parsed('name: "x"\n\nlayer {\n  name:\n   "conv"\n  convolution_param {\n    dilation: 2\n  }\n}\n')
    (layer,) = message.all("layer")
    assert layer.line == 3 and layer.line_of("name") == 4
    assert layer.one("convolution_param").line == 6 and layer.one("convolution_param").line_of("dilation") == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: 3", "line 1: the value of name must be a text in quotes, got '3'"),
        ('\ninput_dim: "3"', "line 2: the value of input_dim must be a whole number, got '3'"),
        ("input_dim: 1.5", "the value of input_dim must be a whole number, got '1.5'"),
        ("input_dim: 1_000", "the value of input_dim must be a whole number, got '1_000'"),
        ("input_dim: 99999999999999999999", "the value of input_dim must be a whole number"),
        ("input_dim: -99999999999999999999", "the value of input_dim must be a whole number"),
        ("input_dim: 08", "the value of input_dim must be a whole number, got '08'"),
        ("force_backward: maybe", "the value of force_backward must be true or false, got 'maybe'"),
        ("state { phase: TRIAN }", "the value of phase must be one of TRAIN, TEST, got 'TRIAN'; did you mean TRAIN?"),
        ("layer { convolution_param { kernal_size: 3 } }",
         "a field must be one of those that Caffe has in its Convolution parameters, got 'kernal_size'; did you mean kernel_size?"),
        ("layer { quux: 3 }", "a field must be one of those that Caffe has in a layer, got 'quux'; delete the line"),
        ('name: "a"\nname: "b"', "line 2: the field name must be given once, got it again"),
        ("layer {\n name: 'a'", "line 2: the message that begins in line 1 must be closed by '}', got the end of the file"),
        ("layer: 3", "the value of layer must be a message in brackets, got '3'"),
        ("name { }", "the value of name must be of the kind text, got '{'"),
        ("name 'a'", "what follows name must be a colon or a bracket, got \"'a'\""),
        ("name: }", "the value of name must be a value, got '}'"),
        ("input_dim: [1 2]", "the list of input_dim must be closed by ']', got '2'"),
        ("input_dim: [1", "the list of input_dim must be closed by ']'"),
        ("}", "the name of a field must be a word, got '}'"),
        ("name: \"a\nb\"", "a token must be a name, a number, a text in quotes or a bracket"),
        ("@", "a token must be a name, a number, a text in quotes or a bracket, got '@'"),
        ("layer { accuracy_param " + "{ a " * 100_000, f"the depth of messages must be at most {DEEPEST}, got more"),
    ],
)  # fmt: skip
def test_what_is_no_prototxt(text, said):
    with refuses(DataError, said):
        parsed(text)


def test_files(tmp_path):
    with refuses(DataError, "the file must be readable, got No such file"):
        read_text(tmp_path / "none", "Net")
    with refuses(DataError, "the file must be text in UTF-8, got byte 255 at 2; give a caffemodel as the weights"):
        (tmp_path / "a").write_bytes(b"na\xff")
        read_text(tmp_path / "a", "Net")
    with refuses(DataError, "the file must have at most 4,194,304 bytes, got more"):
        (tmp_path / "b").write_bytes(b" " * (LONGEST + 1))
        read_text(tmp_path / "b", "Net")
    assert read_text(written(tmp_path, "\ufeffname: 'bom'"), "Net").one("name") == "bom"


@pytest.mark.parametrize("text", [NEW, OLD])
def test_what_is_written_is_read_again(text):
    message = parsed(text)
    assert shown(parsed(write_text(message))) == shown(message)
    assert shown(parsed(write_text(parsed('name: "a\\"\\\\\\nb"')))) == {"name": ['a"\\\nb']}
