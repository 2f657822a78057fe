"""Markdown of a lesson as HTML: formulas as MathML, terms with their glossary, links to pages and to the engine's lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape, unescape

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from lessons.book.engine import Engine, Place
from lessons.book.glossary import Glossary
from lessons.extra import LessonError

ENVIRONMENTS = {"aligned": "align*", "split": "align*", "gathered": "matrix"}  # what latex2mathml lacks, and what it has for it
LEFT = re.compile(r"\\[A-Za-z]+|&(?!#?\w+;)|linebreak=")  # what stays in the MathML where a command or an environment is not known
# "log p" and not "logp": the space after a function's name, which the converter leaves out. Before a bracket there is none.
FUNCTION = re.compile(
    r'(<mi>(?:arctan|cos|cosh|det|exp|lg|ln|log|sin|sinh|tan|tanh)</mi>)(?!<mo stretchy="false">&#x00028;|</m(?:row|td)>)'
)
# A text counts as a space there, and without a letter beside it a browser puts no space between it and the equals sign.
EQUATION = re.compile(r"<mtext>([^<]*)</mtext>(?=<mo>&#x0003D;</mo>)")
BAR = re.compile(r"<mo[^>]*>&#x0007C;</mo>")  # of |x|: a browser takes it for a sign between two values, and puts spaces around it
INLINE = re.compile(r'<span class="math inline">(.*?)</span>', re.DOTALL)
LONG, BESIDE = 22, 45  # characters of a formula: a longer one is wider than a phone (in a line), or than the column beside the code
WORDS = re.compile(r"\\text\{[^{}$]*\}")
ENGINE = re.compile(r"(tinyalex/[\w/]+\.py)(?:\s*:{1,2}\s*([\w.]+))?(?:\(\))?")
LESSON = re.compile(r"\b([Ll]esson\s)(\d\d)\b")


def mathml(tex: str, display: bool, who: str) -> str:
    """A formula as MathML. Raises LessonError where the converter does not know a command."""
    source = WORDS.sub(lambda found: found[0].replace(" ", "\u00a0"), tex.strip())  # the converter drops spaces after a number
    for name, known in ENVIRONMENTS.items():
        for part in ("begin", "end"):
            source = source.replace(f"\\{part}{{{name}}}", f"\\{part}{{{known}}}")
    try:
        made = convert(source, display="block" if display else "inline")
    except Exception as error:  # the converter has a dozen kinds of its own
        raise LessonError(f"{who}: formula must be LaTeX that becomes MathML, got {type(error).__name__} in {tex.strip()[:60]!r}") from None
    if unknown := LEFT.search(made):
        raise LessonError(f"{who}: formula must hold known commands only, got {unknown[0]!r} in {tex.strip()[:60]!r}; write it otherwise")
    made = re.sub(r'columnalign="(\w+)"', r'style="text-align: \1"', made)  # browsers know the style, and not the attribute
    made = FUNCTION.sub(r'<mrow>\1<mspace width="0.17em" /></mrow>', made)
    made = EQUATION.sub(r"<mi>\1</mi>", made)
    made = BAR.sub('<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>', made)
    return made.replace("<math ", f'<math alttext="{escape(" ".join(tex.split()))}" ', 1)


@dataclass
class Block:
    """A piece of the text: its HTML, how many characters it shows, and places of the engine that it names."""

    html: str
    size: int
    heading: int = 0
    places: list[Place] = field(default_factory=list)

    @property
    def formula(self) -> bool:
        """Whether it is a formula of its own."""
        return self.html.startswith('<div class="math')

    @property
    def wide(self) -> bool:
        """Whether it is a formula of several columns, or a long one, which needs the whole width."""
        return self.formula and ("<mtable" in self.html or _length(self.html) > BESIDE)


class Text:
    """Turns the Markdown of one page into HTML.

    who: of messages. pages: the names of the lessons' pages by number. Each term is explained where it first stands.
    """

    def __init__(self, who: str, engine: Engine, glossary: Glossary, pages: dict[str, str], images: Callable[[str], str]) -> None:
        self.who, self.engine, self.glossary, self.pages, self.images = who, engine, glossary, pages, images
        self.explained: set[str] = set()
        self.parts: list[tuple[str, str]] = []  # id and words of each level-2 heading
        self.ids: set[str] = set()
        self.markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
        self.markdown.use(
            dollarmath_plugin, double_inline=True, renderer=lambda tex, options: mathml(tex, options["display_mode"], self.who)
        )

    def blocks(self, source: str) -> list[Block]:
        """The outermost blocks of a Markdown cell."""
        made: list[Block] = []
        for tokens in _outermost(self.markdown.parse(source)):
            places: list[Place] = []
            heading = int(tokens[0].tag[1]) if tokens[0].type == "heading_open" else 0
            if heading:
                self._heading(tokens, heading)
            names = [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]
            files = [found[1] for name in names if (found := ENGINE.fullmatch(name))]
            for token in tokens:
                if token.type == "inline":
                    token.children = list(self._children(token.children or [], bool(heading), files, places))
            html = str(self.markdown.renderer.render(tokens, self.markdown.options, {}))
            html = html.replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")
            html = html.replace('<div class="math block">', '<div class="math block wide" tabindex="0">')
            html = INLINE.sub(_scrolling, html)
            html = html.replace("<pre>", '<pre tabindex="0">')
            made.append(Block(html, len(re.sub(r"<[^>]+>", "", html)), heading, places))
        return made

    def inline(self, source: str) -> str:
        """Words of one line as HTML, without links to the glossary."""
        return str(self.markdown.renderInline(source))

    def _heading(self, tokens: list[Token], level: int) -> None:
        words = tokens[1].content
        number = re.match(r"\d+", words)
        name = f"part-{number[0]}" if number and level == 2 else slug(words)
        while name in self.ids:
            name += "-"
        self.ids.add(name)
        tokens[0].attrSet("id", name)
        if level == 2:
            self.parts.append((name, words))

    def _children(self, children: list[Token], plain: bool, files: list[str], places: list[Place]) -> Iterator[Token]:
        linked = 0
        for child in children:
            linked += child.nesting if child.type in ("link_open", "link_close") else 0
            if child.type == "link_open":
                child.attrSet("href", self._target(str(child.attrGet("href"))))
            elif child.type == "image":
                if not child.content.strip():
                    raise LessonError(f"{self.who}: picture must have an alt text, got none for {child.attrGet('src')}; write ![alt](file)")
                child.attrSet("src", self.images(str(child.attrGet("src"))))
            elif child.type == "code_inline" and not linked:
                yield self._code(child, files, places)
                continue
            elif child.type == "text" and not linked and not plain:
                yield _raw(self._words(child.content))
                continue
            yield child

    def _code(self, token: Token, files: list[str], places: list[Place]) -> Token:
        """A piece of code; the name of a file or of something that a file of the same paragraph defines becomes a link to its line."""
        named = ENGINE.fullmatch(token.content)
        if named:
            place = self.engine.place(named[1], named[2], self.who)
        else:
            found = [self.engine.find(file, token.content.removesuffix("()")) for file in files]
            place = next((one for one in found if one is not None), None)
        if place is None:
            return token
        if place.line > 1:
            places.append(place)
        return _raw(f'<a class="engine" href="{place.href}"><code>{escape(token.content)}</code></a>')

    def _words(self, text: str) -> str:
        """A text with the terms of the glossary and the numbers of lessons as links."""
        made, at = "", 0
        for start, end, term in self.glossary.found(text, self.explained):
            made += escape(text[at:start]) + self.glossary.link(term, text[start:end])
            at = end
        made += escape(text[at:])

        def link(found: re.Match[str]) -> str:
            page = self.pages.get(found[2])
            return f'{found[1]}<a href="{page}">{found[2]}</a>' if page else found[0]

        return LESSON.sub(link, made)

    def _target(self, href: str) -> str:
        """Where a link of a lesson leads in the book."""
        if re.match(r"https?:|#|mailto:", href):
            return href
        path, _, part = href.partition("#")
        name = path.rsplit("/", 1)[-1]
        if found := re.fullmatch(r"(\d\d)_\w+\.(?:py|ipynb|html)", name):
            if found[1] in self.pages:
                return self.pages[found[1]] + (f"#{part}" if part else "")
        elif found := re.search(r"tinyalex/[\w/]+\.py$", path):
            return self.engine.place(found[0], None, self.who).href
        elif self.engine.exists(path.lstrip("./")):
            return self.engine.place(path.lstrip("./"), None, self.who).href
        elif self.engine.exists(f"lessons/{path}"):
            return self.engine.place(f"lessons/{path}", None, self.who).href
        raise LessonError(f"{self.who}: link must lead to a lesson or to a file of the repository, got {href!r}; mend the link")


def slug(words: str) -> str:
    """Words as a name in an address."""
    return re.sub(r"[^\w]+", "-", words.lower()).strip("-") or "part"


def _length(mathml: str) -> int:
    """About how many characters wide a formula is; a space of it counts as two."""
    return len(unescape(re.sub(r"<[^>]+>|\s+", "", mathml))) + 2 * mathml.count("<mspace")


def _scrolling(found: re.Match[str]) -> str:
    """A formula in a line: a browser does not break it, so a long one scrolls where the window is narrow."""
    return found[0] if _length(found[1]) <= LONG else f'<span class="math inline wide" tabindex="0">{found[1]}</span>'


def _raw(html: str) -> Token:
    return Token("html_inline", "", 0, content=html)


def _outermost(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each outermost block."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []
