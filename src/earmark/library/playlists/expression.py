"""Expressions for playlists, such as "jazz and not vocal, calm > .6": grammar and parser.

    commas  either (, either)*        a comma binds least, and means and
    either  both (or both)*
    both    one (and one)*
    one     not one | (commas) | tag | tag > number        also >= < <=
    tag     words, or "words in quotes": needed where one of them is and, or, not; quotes also mean
            the model's own tag where the settings have a word of the same name

A tag without a number is true from the least score of its group on (library.settings).
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from earmark import tags as vocabulary
from earmark.arrays import BoolArray, Float32Array
from earmark.errors import BadExpression, BadValue
from earmark.library.settings import TagRules
from earmark.tags import fold

_COMPARE: dict[str, Callable[[Float32Array, float], BoolArray]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}
KEYWORDS = ("and", "or", "not")
_DEEPEST = 50  # brackets and nots around a tag: more would exhaust Python's stack some day
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*")|(?P<compare>[<>]=?)|(?P<mark>[(),])
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?![\w.]))|(?P<word>[^\s(),<>"]+))""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Match:
    """How well songs match an expression.

    holds : bool (n_songs,), whether it is true of them
    degree : float32 (n_songs,), in [0, 1]: `and` takes the least of its parts, `or` the greatest
        (Zadeh 1965)
    """

    holds: BoolArray
    degree: Float32Array


Evaluate = Callable[[Float32Array], Match]  # float32 (n_songs, n_tags) -> Match


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str, *, tags: tuple[str, ...], settings: TagRules) -> Evaluate:
    """Parse an expression into a function of songs' scores.

    tags : of the model, in the order of the scores' columns

    Raises BadExpression, with the position, for syntax errors and unknown tags.
    """
    return _Parser(text, tags, settings).parse()


class _Parser:
    """Recursive descent; each method parses the line of the grammar with its name."""

    def __init__(self, text: str, tags: tuple[str, ...], settings: TagRules) -> None:
        self.text = text
        self.tags = tags
        self.settings = settings
        self.tokens = _tokens(text)
        self.next = 0
        self.depth = 0  # of the brackets and nots around the next token

    def parse(self) -> Evaluate:
        if len(self.tokens) == 1:
            raise BadExpression(self.text, 0, "the expression is empty; name a tag, such as jazz")
        expression = self.commas()
        token = self.peek()
        if token.kind != "end":
            stray = token.text == ")"
            reason = "this bracket was not opened" if stray else "and, or, or a comma is missing"
            raise BadExpression(self.text, token.at, reason)
        return expression

    def peek(self) -> _Token:
        return self.tokens[self.next]

    def take(self, *texts: str) -> bool:
        """Whether the next token is one of these; it is then taken."""
        token = self.peek()
        taken = token.kind in ("mark", "keyword") and token.text in texts
        self.next += taken
        return taken

    def commas(self) -> Evaluate:
        return self.joined(self.either, ",", _all)

    def either(self) -> Evaluate:
        return self.joined(self.both, "or", _any)

    def both(self) -> Evaluate:
        return self.joined(self.one, "and", _all)

    def joined(
        self,
        part: Callable[[], Evaluate],
        word: str,
        how: Callable[[Sequence[Evaluate]], Evaluate],
    ) -> Evaluate:
        parts = [part()]
        while self.take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else how(parts)

    def one(self) -> Evaluate:
        start = self.peek()
        if self.depth > _DEEPEST:
            reason = f"there are more than {_DEEPEST} brackets and nots around this; use fewer"
            raise BadExpression(self.text, start.at, reason)
        self.depth += 1
        result = self.inner(start)
        self.depth -= 1
        return result

    def inner(self, start: _Token) -> Evaluate:
        if self.take("not"):
            return _not(self.one())
        if self.take("("):
            inner = self.commas()
            if not self.take(")"):
                raise BadExpression(
                    self.text, start.at, "this bracket is not closed: add the other"
                )
            return inner
        columns = self.tag()
        if self.peek().kind != "compare":
            return self.counts(columns)
        compare = self.peek()
        self.next += 1
        number = self.peek()
        if number.kind != "number" or not 0 <= float(number.text) <= 1:
            raise BadExpression(
                self.text,
                number.at,
                f"{compare.text} must be followed by a score from 0 to 1, such as .6",
            )
        self.next += 1
        return _compared(columns, compare.text, float(number.text))

    def tag(self) -> list[int]:
        """The columns that a tag's words mean."""
        first = self.peek()
        if first.kind == "quoted":
            self.next += 1
            return self.columns(first.text[1:-1], first.at, quoted=True)
        words = []
        while self.peek().kind in ("word", "number"):
            words.append(self.peek().text)
            self.next += 1
        if not words:
            found = f"not {first.text!r}" if first.text else "not the end"
            raise BadExpression(self.text, first.at, f"a tag is expected here, {found}")
        return self.columns(" ".join(words), first.at, quoted=False)

    def columns(self, name: str, at: int, *, quoted: bool) -> list[int]:
        """The tags that a name means; unless it is quoted, a word of the settings goes first."""
        wanted = fold(name)
        folded = [fold(tag) for tag in self.tags]
        meant = {fold(tag) for tag in self.settings.words.get(wanted, ())}
        by_word = [i for i, tag in enumerate(folded) if tag in meant]
        if by_word and not quoted:
            return by_word
        if wanted in folded:
            return [folded.index(wanted)]
        named = [i for i, tag in enumerate(self.tags) if fold(self.settings.name(tag)) == wanted]
        if named or by_word:
            return named or by_word
        with contextlib.suppress(BadValue):
            return [vocabulary.index(self.tags, name)]  # by another of its names
        grouped = [i for i, tag in enumerate(self.tags) if vocabulary.group(tag) == wanted]
        if grouped:
            return grouped
        if meant:
            known = ", ".join(self.settings.words[wanted])
            reason = f"{name!r} means one of {known}; the model has none of these tags"
        else:
            words = sorted({*self.tags, *self.settings.words})
            close = difflib.get_close_matches(name, words, n=3, cutoff=0.5)
            hint = (
                f"did you mean {' or '.join(close)}?"
                if close
                else f"choose from {', '.join(words)}"
            )
            reason = f"unknown tag {name!r}; {hint}"
        raise BadExpression(self.text, at, reason)

    def counts(self, columns: list[int]) -> Evaluate:
        """Whether one of the tags counts, each from its own group's least score on."""
        least = np.array(
            [self.settings.rule(vocabulary.group(self.tags[i])).min for i in columns],
            dtype=np.float32,
        )

        def evaluate(scores: Float32Array) -> Match:
            mine = scores[:, columns]
            return Match(np.asarray((mine >= least).any(axis=1)), mine.max(axis=1))

        return evaluate


def _tokens(text: str) -> list[_Token]:
    tokens = []
    place = 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            at = place + len(text[place:]) - len(text[place:].lstrip())
            raise BadExpression(text, at, "this quote is not closed: add the other")
        kind, word = found.lastgroup, found[found.lastgroup]
        at = found.start(found.lastgroup)
        if kind == "word" and word.casefold() in KEYWORDS:
            kind, word = "keyword", word.casefold()
        tokens.append(_Token(kind, word, at))
        place = found.end()
    return [*tokens, _Token("end", "", len(text.rstrip()))]


def _compared(columns: list[int], compare: str, number: float) -> Evaluate:
    def evaluate(scores: Float32Array) -> Match:
        best = scores[:, columns].max(axis=1)
        degree = best if compare.startswith(">") else 1 - best
        return Match(_COMPARE[compare](best, number), degree)

    return evaluate


def _not(inner: Evaluate) -> Evaluate:
    def evaluate(scores: Float32Array) -> Match:
        match = inner(scores)
        return Match(~match.holds, 1 - match.degree)

    return evaluate


def _all(parts: Sequence[Evaluate]) -> Evaluate:
    def evaluate(scores: Float32Array) -> Match:
        matches = [part(scores) for part in parts]
        return Match(
            np.logical_and.reduce([match.holds for match in matches]),
            np.minimum.reduce([match.degree for match in matches]),
        )

    return evaluate


def _any(parts: Sequence[Evaluate]) -> Evaluate:
    def evaluate(scores: Float32Array) -> Match:
        matches = [part(scores) for part in parts]
        return Match(
            np.logical_or.reduce([match.holds for match in matches]),
            np.maximum.reduce([match.degree for match in matches]),
        )

    return evaluate
