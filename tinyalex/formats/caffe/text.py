"""The text form of Caffe's messages (prototxt), read and written.

protobuf's own reader of this form is not used: it forgets the line of each field, and a net that the engine cannot do must be refused
with the line in which it says so. A field that Caffe does not know is refused, as Caffe does, because it may be a misspelled one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from tinyalex.errors import DataError, did_you_mean, show
from tinyalex.files.limited import read_limited
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.schema import BY_NAME, ENUMS, Field

LONGEST = 2**22  # bytes of a text; the largest of the known nets has twenty times fewer
DEEPEST = 24  # messages in messages
MOST = 100_000  # values and messages of a text; the largest of the known nets has four times fewer
TOKEN = re.compile(
    r"(?P<space>[ \t\r\f\v]+|#[^\n]*)|(?P<line>\n)|(?P<text>\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>-?(?:\.[0-9]|[0-9])[A-Za-z0-9_.]*(?:(?<=[eE])[+-][0-9]+f?)?)|(?P<sign>[-{}<>:;,\[\]])"
)
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
PLAIN = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
YES, NO = ("true", "True", "t", "1"), ("false", "False", "f", "0")
LARGEST = 2**63  # of a whole number


class Reader:
    """Turns a text into messages. source: the file, for errors."""

    def __init__(self, text: str, source: str) -> None:
        self.source, self.line, self.count = source, 1, 0
        self.tokens = self._tokens(text)
        self.kind, self.word, self.at = "", "", 1
        self.move()

    def fail(self, quantity: str, rule: str, got: str, remedy: str | None = None, line: int | None = None) -> NoReturn:
        """Raise the error that names the line."""
        raise DataError(f"{self.source}: line {self.at if line is None else line}: {quantity} must be {rule}, got {got}", remedy)

    def _tokens(self, text: str) -> Iterator[tuple[str, str, int]]:
        position, line = 0, 1
        while position < len(text):
            match = TOKEN.match(text, position)
            if match is None:
                self.fail("a token", "a name, a number, a text in quotes or a bracket", show(text[position : position + 20]), line=line)
            kind, position = str(match.lastgroup), match.end()
            if kind == "line":
                line += 1
            elif kind != "space":
                yield kind, match.group(), line
        yield "end", "the end of the file", line

    def move(self) -> str:
        """Go to the next token. Returns the word of the present one."""
        word = self.word
        self.kind, self.word, self.at = next(self.tokens, ("end", "the end of the file", self.at))
        return word

    def message(self, kind: str, depth: int = 0, line: int = 1, close: str = "") -> Message:
        """The fields up to the bracket `close`, or up to the end of the file."""
        found = Message(kind, line)
        if depth > DEEPEST:
            self.fail("the depth of messages", f"at most {DEEPEST}", "more")
        while self.word != close or self.kind == "text":
            if self.kind == "end":
                if not close:
                    return found
                self.fail(f"the message that begins in line {line}", f"closed by {close!r}", "the end of the file")
            self._field(found, depth)
        self.move()
        return found

    def _field(self, found: Message, depth: int) -> None:
        fields = BY_NAME.get(found.kind)
        if self.kind != "word":
            self.fail("the name of a field", "a word", show(self.word))
        line = self.at
        name = self.move()
        field = Field(name, 0, "any", True) if fields is None else fields.get(name)
        if field is None:
            known = fields or {}
            remedy = did_you_mean(name, known) or "delete the line if it does not change what the layer computes"
            self.fail("a field", f"one of those that Caffe has in {_of(found.kind)}", show(name), remedy, line)
        if name in found.values and not field.repeated and field.kind not in ("floats", "doubles", "any"):
            self.fail(f"the field {name}", "given once", "it again", line=line)
        if self.word == ":" and self.kind == "sign":
            self.move()
        elif self.word not in ("{", "<"):
            self.fail(f"what follows {name}", "a colon or a bracket", show(self.word))
        listed = self.word == "[" and self.kind == "sign"
        if listed:
            self.move()
            while self.word != "]":
                found.add(name, self._value(field, depth, line), line)
                if self.word == ",":
                    self.move()
                elif self.word != "]":
                    self.fail(f"the list of {name}", "closed by ']'", show(self.word))
            self.move()
        else:
            found.add(name, self._value(field, depth, line), line)
        if self.word in (",", ";") and self.kind == "sign":
            self.move()

    def _value(self, field: Field, depth: int, line: int) -> Any:
        self.count += 1
        if self.count > MOST:
            self.fail("the number of values", f"at most {MOST:,}", "more")
        if self.kind == "sign" and self.word in ("{", "<"):
            if field.kind not in BY_NAME and field.kind != "any":
                self.fail(f"the value of {field.name}", f"of the kind {field.kind}", show(self.word))
            close = "}" if self.move() == "{" else ">"
            return self.message(field.kind, depth + 1, line, close)
        negative = self.kind == "sign" and self.word == "-"
        if negative:
            self.move()
        if self.kind not in ("word", "number", "text"):
            self.fail(f"the value of {field.name}", "a value", show(self.word))
        kind, word = self.kind, self.move()
        if kind == "text":
            pieces = [word]
            while self.kind == "text":
                pieces.append(self.move())
            word = "".join(_unquoted(piece) for piece in pieces)
        found = self._checked(field, kind, word, line)
        return -found if negative and isinstance(found, (int, float)) else found

    def _checked(self, field: Field, kind: str, word: str, line: int) -> Any:
        """The word as a value of the field's kind."""
        wanted = field.kind
        if wanted == "any" or (wanted == "text" and kind == "text"):
            return word
        if wanted == "bool" and kind != "text" and word in (*YES, *NO):
            return word in YES
        if wanted in ENUMS and kind != "text":
            names = {str(number): name for name, number in ENUMS[wanted].items()}
            if word in ENUMS[wanted] or word in names:
                return names.get(word, word)
            near = did_you_mean(word, ENUMS[wanted])
            self.fail(f"the value of {field.name}", f"one of {', '.join(ENUMS[wanted])}", show(word), near, line)
        if wanted in ("int", "float", "floats", "doubles") and kind != "text":
            number = _number(word, whole=wanted == "int")
            if number is not None:
                return number
        rules = {"int": "a whole number", "bool": "true or false", "text": "a text in quotes"}
        rule = rules.get(wanted, "a message in brackets" if wanted in BY_NAME else "a number")
        self.fail(f"the value of {field.name}", rule, show(word), line=line)


def read_text(path: Path, kind: str) -> Message:
    """The message of this kind in a text file.

    Raises
    ------
    DataError: it cannot be read, is not of this form, or has a field that Caffe does not know; the message names the line.
    """
    data = read_limited(path, LONGEST, "give the weights in a file of their own")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"byte {data[error.start]} at {error.start:,}"
        raise DataError(f"{path}: the file must be text in UTF-8, got {got}; give a caffemodel as the weights") from None
    return Reader(text, str(path)).message(kind)


def write_text(message: Message) -> str:
    """The text of a message, one field a line. Blobs are left out."""
    return "".join(_lines(message, ""))


def _lines(message: Message, indent: str) -> Iterator[str]:
    fields = BY_NAME[message.kind]
    for name, values in message.values.items():
        for value, _ in values:
            if isinstance(value, Message):
                if value.kind != "Blob":
                    yield f"{indent}{name} {{\n"
                    yield from _lines(value, indent + "  ")
                    yield f"{indent}}}\n"
            else:
                yield f"{indent}{name}: {_word(value, fields[name])}\n"


def _word(value: Any, field: Field) -> str:
    if field.kind == "text":
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
        return f'"{escaped}"'
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind == "float":
        return f"{int(value)}" if float(value).is_integer() and abs(value) < 1e6 else repr(float(value))
    return str(value)


def _number(word: str, whole: bool) -> float | None:
    """The number that a word stands for; None if it stands for none."""
    if "_" in word:
        return None
    try:
        if whole:
            digits = word.removeprefix("-")
            octal = len(digits) > 1 and digits[0] == "0"  # as protobuf reads it
            number = int(digits, 16 if digits[:2] in ("0x", "0X") else 8 if octal else 10)
            return (-number if digits != word else number) if number < LARGEST else None
        return float(word if word.isalpha() else word.rstrip("fF"))
    except ValueError:
        return None


def _unquoted(piece: str) -> str:
    def escaped(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        return chr(int(code, 8) & 255) if code[0] in "01234567" else PLAIN.get(code, code)

    return ESCAPE.sub(escaped, piece[1:-1])


def _of(kind: str) -> str:
    return {"Net": "a net", "Solver": "a solver", "Layer": "a layer", "OldLayer": "a layer"}.get(kind, f"its {kind} parameters")
