r"""Read an answer as a tree: integers, letters, `+ - * /`, `\frac`, roots, powers, functions, and lists of these.

Answers are read as math-verify reads them (`a/bc` is a/(bc), `\sin 2x` is sin(2x), capitals are small letters). Where
its reading is doubtful or depends on more than the text says, there is no tree, and it reads the answer itself.
`normal_forms.py` and `numeric.py` compare trees.

A tree is a tuple: ("number" | "decimal", Fraction), ("letter", name), ("pi",), ("negative", tree), ("call", name,
tree), ("add" | "multiply" | "divide" | "power", left, right), and (function, argument, ...).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Tree = tuple[Any, ...]

MAX_CHARS = 400
MAX_DEPTH = 30  # of groups inside groups
FUNCTIONS = (
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log", "exp",
)  # fmt: skip
GREEK = (
    "alpha", "beta", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi",
    "rho", "sigma", "tau", "phi", "varphi", "chi", "psi", "omega", "hbar", "ell",
)  # fmt: skip
ONE = ("number", Fraction(1))
INFINITY: Tree = ("infinity",)
_TOKEN = re.compile(r"\s*(\\[A-Za-z]+|\\[{}]|\\\\|\d+(?:\.\d+)?|[A-Za-z]|[-+*/^_!()\[\]{}|,=<>&])\s*")
_DOUBTFUL = (
    re.compile(r"\d,\d{3}(?!\d)|\.\d*\s*\."),  # thousands or a list
    re.compile(r"frac.*\}\s?\d", re.DOTALL),  # math-verify takes one digit for a denominator
    re.compile(r"(?<![A-Za-z\\])d\s*(?:[A-Za-z]|\\(?:theta|phi|tau))"),  # a differential
)
_WORD = re.compile("[A-Za-z]{3,}")
_COMMAND = re.compile(r"\\(?:begin|end)\s*\{[a-z]+\}|\\[A-Za-z]+")
_UNIT_LETTERS = re.compile(r"[\d}\s]\s*(?:[cdghlmost]|[a-z]{2,})$")  # math-verify takes these for a unit
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_STARTS = frozenset({"(", "[", "{", "|"})


class Unreadable(Exception):
    """The text is not read here."""


@dataclass(frozen=True)
class Listing:
    """Items in order with the brackets round them.

    A comma for a bare list, `\\cup` for a union of intervals and sets, `matrix` for rows and `row` for one of them,
    `chain` for the ends of `0 < x < 2`.
    """

    opening: str
    closing: str
    items: tuple[Reading, ...]


Reading = Tree | Listing


@dataclass(frozen=True)
class Expression:
    """What an answer says, and the letter and relation before it (`x = 5`, `x < 5`), both empty without one."""

    name: str
    relation: str
    value: Reading
    ending: str  # letters at the end that math-verify takes for a unit


def to_latex(text: str) -> str:
    """Rewrite plain notations as LaTeX: sqrt(2), 2*x**3, pi, infinity."""
    text = text.replace("\\$", "").replace("$", " ").replace("\n", " ")
    text = text.replace("π", "\\pi ").replace("∞", "\\infty ").replace("**", "^").replace("*", "\\cdot ")
    text = re.sub(r"\\gamma(?![A-Za-z])", r"\\kappa_{999}", text)  # not Euler's constant or the gamma function
    if not re.search(r"_|\\(?:sum|prod|math)", text):  # math-verify has two symbols i, which are never equal
        text = re.sub(r"(?<![\\A-Za-z])i(?![A-Za-z])", r"\\kappa_{998}", text)
    text = re.sub(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"(?<![\\A-Za-z])(?:infinity|infty|inf)(?![A-Za-z])", r"\\infty ", text)
    return re.sub(r"(?<![\\A-Za-z])(pi|sin|cos|tan|log|ln)(?![A-Za-z])", r"\\\1 ", text)


def read_expression(text: str) -> Expression | None:
    """Read a cleaned answer without its unit; None where only math-verify does."""
    if len(text) > MAX_CHARS:
        return None
    latex = to_latex(text).strip()
    if any(doubt.search(latex) for doubt in _DOUBTFUL) or _WORD.search(_COMMAND.sub(" ", latex)):
        return None
    ending = _UNIT_LETTERS.search(latex)
    try:
        return _Reader(_tokens(latex)).answer(ending[0] if ending else "")
    except Unreadable:
        return None


def plain_number(value: Fraction, exact: bool) -> Expression:
    """What a number says that is read elsewhere."""
    return Expression("", "", ("number" if exact else "decimal", value), "")


def _tokens(latex: str) -> list[str]:
    """Split into tokens; letters are small, as math-verify has them. Raises Unreadable."""
    found, position = [], 0
    while position < len(latex):
        token = _TOKEN.match(latex, position)
        if token is None or token[1] == "I":
            raise Unreadable
        name = token[1] if token[1][0] == "\\" else token[1].lower()
        position = token.end()
        if name != token[1] and latex.startswith("(", position):
            raise Unreadable  # the name of a function keeps its size
        found.append(name)
    return found


class _Reader:
    """Recursive descent over tokens. Every method raises Unreadable."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.lower = False  # whether a plus-minus sign is read as minus
        self.bars = 0  # open | of an absolute value
        self.imaginary = "_" in tokens and not any(token == "\\kappa" for token in tokens)

    @property
    def next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next
        self.position += 1
        return token

    def accept(self, *tokens: str) -> bool:
        found = self.next in tokens and self.next != ""
        self.position += found
        return found

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise Unreadable

    def answer(self, ending: str) -> Expression:
        name, relation = "", ""
        if sum(token in _RELATIONS for token in self.tokens) == 2:
            return self.chain(ending)
        if not _RELATIONS.isdisjoint(self.tokens):
            name = self.letter()
            if self.accept("("):
                name += f"({self.letter()})"
                self.expect(")")
            relation = self.take()
            if relation not in _RELATIONS:
                raise Unreadable
        elif "\\in" in self.tokens:
            self.letter()
            self.expect("\\in")
        value = self.listing()
        if self.next or (name and isinstance(value, Listing)):
            raise Unreadable
        return Expression(name, relation, value, ending)

    def chain(self, ending: str) -> Expression:
        """`0 < x < 2`."""
        low, below, name, above, high = self.sum(), self.take(), self.letter(), self.take(), self.sum()
        if self.next or not {below, above} <= _RELATIONS - {"="}:
            raise Unreadable
        return Expression(name, below + above, Listing("chain", "chain", (low, high)), ending)

    def listing(self) -> Reading:
        """A union, a bare list or a single expression."""
        items = [self.item()]
        separator = self.next if self.next in (",", "\\cup") else ""
        while separator and self.accept(separator):
            items.append(self.item())
        if separator != "\\cup":
            items = _flat(items)
            separator = "," if len(items) > 1 else ""
        if separator == "\\cup" and not all(isinstance(item, Listing) for item in items):
            raise Unreadable
        return items[0] if not separator else Listing(separator, separator, tuple(items))

    def item(self) -> Reading:
        """A bracketed list, infinity or an expression."""
        if self.next in ("(", "[", "\\{"):
            start = self.position
            opening = self.take()
            items = [self.item()]
            while self.accept(","):
                items.append(self.item())
            items = _flat(items) if opening == "\\{" else items
            closing = self.take()
            if closing not in (")", "]", "\\}"):
                raise Unreadable
            if (len(items) > 1 or opening == "\\{") and self.next in ("", ",", "\\cup", ")", "]", "\\}"):
                return Listing(opening, closing, tuple(items))
            if len(items) > 1 or any(isinstance(item, Listing) for item in items):
                raise Unreadable
            self.position = start
        if self.next == "\\begin":
            return self.matrix()
        infinite = self.tokens[self.position : self.position + 2]
        if infinite[:1] == ["\\infty"] or infinite in (["-", "\\infty"], ["+", "\\infty"]):
            negative = self.accept("-")
            self.accept("+")
            self.take()
            if self.next not in ("", ",", ")", "]"):
                raise Unreadable
            return ("negative", INFINITY) if negative else INFINITY
        start = self.position
        value = self.sum()
        signs = self.tokens[start : self.position].count("\\pm")
        if signs:
            self.position, self.lower = start, True
            other = self.sum()
            self.lower = False
            if signs > 1:
                raise Unreadable
            return Listing(",", ",", (value, other))
        return value

    def matrix(self) -> Listing:
        """A matrix as a list of rows."""
        kind = self.environment("\\begin")
        rows = [[self.sum()]]
        while self.accept("&") or self.next == "\\\\":
            if self.accept("\\\\"):
                if self.next == "\\end":
                    break
                rows.append([])
            rows[-1].append(self.sum())
        if self.environment("\\end") != kind:
            raise Unreadable
        return Listing(kind, kind, tuple(Listing("row", "row", tuple(row)) for row in rows))

    def environment(self, command: str) -> str:
        self.expect(command)
        self.expect("{")
        name = ""
        while not self.accept("}"):
            name += self.take() or "}"
            if len(name) > len("pmatrix"):
                raise Unreadable
        if name not in ("pmatrix", "bmatrix"):
            raise Unreadable
        return "matrix"

    def sum(self) -> Tree:
        total = self.product()
        while self.next in ("+", "-", "\\pm"):
            minus = self.minus(self.take())
            term = self.product()
            total = ("add", total, ("negative", term) if minus else term)
        return total

    def minus(self, sign: str) -> bool:
        return sign == "-" or (sign == "\\pm" and self.lower)

    def product(self) -> Tree:
        value = self.signed()
        while self.next in ("\\cdot", "\\times", "*", "/", "\\div"):
            operation = "multiply" if self.take() in ("\\cdot", "\\times", "*") else "divide"
            value = (operation, value, self.signed())
        return value

    def signed(self) -> Tree:
        if self.next in ("+", "-", "\\pm"):
            return ("negative", self.signed()) if self.minus(self.take()) else self.signed()
        return self.factors()

    def factors(self) -> Tree:
        """Factors with nothing between them, which bind more tightly than `/`. Two plain numbers are no product."""
        value = last = self.postfix()
        while self.starts_factor():
            called = self.next in ("(", "{") and _base(last)[0] == "letter"
            factor = self.postfix()
            if (_is_plain(last) and _is_plain(factor)) or (called and _base(factor)[0] != "add"):  # 2(3) is 5, f(2x)
                raise Unreadable
            value, last = ("multiply", value, factor), factor
        return value

    def starts_factor(self) -> bool:
        token = self.next
        if token == "|":
            return self.bars == 0
        return token in _STARTS or token[:1].isalnum() or (token[:1] == "\\" and token[1:] in _COMMANDS)

    def postfix(self) -> Tree:
        """A factor with its power or factorial. Degrees are left out, as math-verify does."""
        function = self.next in _FUNCTION_COMMANDS
        value = self.atom()
        if self.accept("!"):
            value = ("factorial", value)
            if self.next in ("!", "^"):
                raise Unreadable
        elif not function and self.accept("^"):
            rest = self.tokens[self.position : self.position + 3]
            if rest[:1] == ["\\circ"] or rest == ["{", "\\circ", "}"]:
                self.position += 1 if rest[0] == "\\circ" else 3
            else:
                value = ("power", value, self.argument())
            if self.next in ("^", "!"):
                raise Unreadable
        elif function and self.next in ("^", "!"):
            raise Unreadable
        return value

    def argument(self) -> Tree:
        """What a command or a power applies to: a group in braces, or one digit or letter."""
        if self.next == "{":
            return self.group("{")
        token = self.next
        if token.isdigit():
            if len(token) > 1 and self.tokens[self.position - 1] != "^":
                raise Unreadable
            return ("number", Fraction(self.take()))
        if token.isalpha() or token in _LETTERS:
            return ("letter", self.letter())
        if token == "\\pi":
            self.take()
            return ("pi",)
        raise Unreadable

    def group(self, opening: str) -> Tree:
        self.expect(opening)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable
        bars, self.bars = self.bars, 0
        value = self.sum()
        self.bars = bars
        self.expect(_CLOSING[opening])
        self.depth -= 1
        return value

    def letter(self) -> str:
        """A letter with its index."""
        name = self.take()
        if not (name.isalpha() or name in _LETTERS) or (name == "i" and self.imaginary):
            raise Unreadable
        if self.accept("_"):
            index = "".join(self.index())
            name = f"{name}_{index}"
        if self.next == "\\prime":
            raise Unreadable
        return name

    def is_called(self, name: str) -> bool:
        """Whether a letter or number in parentheses follows, which is a function's argument: `f(x)`, not `n(n+1)`."""
        ahead = self.tokens[self.position : self.position + 3]
        argument = len(ahead) == 3 and (ahead[0], ahead[2]) == ("(", ")") and ahead[1] not in ("e", "\\pi")
        return argument and name != "e" and (ahead[1].isalnum() or ahead[1] in _LETTERS)

    def index(self) -> list[str]:
        if not self.accept("{"):
            token = self.take()
            if not token.isalnum() or len(token) > 1:
                raise Unreadable
            return [token]
        found = []
        while not self.accept("}"):
            if not self.next.isalnum():
                raise Unreadable
            found.append(self.take())
        if len(found) != 1:
            raise Unreadable
        return found

    def atom(self) -> Tree:
        token = self.next
        if token[:1].isdigit():
            return ("decimal" if "." in token else "number", Fraction(self.take()))
        if token.isalpha() or token in _LETTERS:
            name = self.letter()
            return ("call", name, self.group("(")) if self.is_called(name) else ("letter", name)
        if token in ("(", "{", "["):
            return self.group(token)
        self.take()
        if token == "\\pi":
            return ("pi",)
        if token == "|":
            self.bars += 1
            value = self.sum()
            self.expect("|")
            self.bars -= 1
            return ("absolute", value)
        if token in ("\\frac", "\\dfrac", "\\tfrac", "\\cfrac"):
            return ("divide", self.group("{"), self.group("{"))
        if token in ("\\binom", "\\dbinom", "\\tbinom"):
            return ("binomial", self.group("{"), self.group("{"))
        if token == "\\sqrt":
            degree = Fraction(2)
            if self.accept("["):
                degree = Fraction(self.take() if self.next.isdigit() else 0)
                self.expect("]")
            if degree < 2:
                raise Unreadable
            return ("power", self.argument(), ("number", 1 / degree))
        if token in ("\\lfloor", "\\lceil"):
            value = self.sum()
            self.expect("\\rfloor" if token == "\\lfloor" else "\\rceil")
            return (token[2:], value)
        if token in _FUNCTION_COMMANDS:
            return self.function(token[1:])
        raise Unreadable

    def outside(self, start: int) -> list[str]:
        """The tokens from there to here that are in no braces."""
        found, depth = [], 0
        for token in self.tokens[start : self.position]:
            depth += (token == "{") - (token == "}")
            if depth == 0:
                found.append(token)
        return found

    def function(self, name: str) -> Tree:
        r"""A function's value: of a group in parentheses, or of the factors up to the next operator (`\sin 2x`)."""
        base: Tree | None = None
        power: Tree | None = None
        if name == "log":
            base = ("number", Fraction(10))
            if self.accept("_"):
                base = self.argument()
        if self.accept("^"):
            power = self.argument()
            if power == ("negative", ONE) and name in ("sin", "cos", "tan"):
                name, power = f"arc{name}", None
            elif power[0] != "number" or power[1] < 1:
                raise Unreadable
        start = self.position
        if self.next == "(":
            argument = self.group("(")
            if "\\circ" in self.tokens[start : self.position]:
                raise Unreadable
        else:
            argument = self.factors()
            if any(token in _FUNCTION_COMMANDS or token in ("(", "[", "|") for token in self.outside(start)):
                raise Unreadable
        value: Tree
        if name == "exp":
            value = ("power", ("letter", "e"), argument)
        elif name == "log":
            value = ("divide", ("ln", argument), ("ln", base))
        else:
            value = (name, argument)
        return value if power is None else ("power", value, power)


_LETTERS = frozenset(f"\\{name}" for name in GREEK)
_ARITHMETIC = ("divide", "negative", "add", "multiply", "binomial", "factorial", "absolute", "floor", "ceil")
_RELATIONS = frozenset({"=", "<", ">", "\\leq", "\\geq", "\\leqslant", "\\geqslant"})
_FUNCTION_COMMANDS = frozenset(f"\\{name}" for name in FUNCTIONS)
_COMMANDS = frozenset({
    *GREEK, *FUNCTIONS, "pi", "frac", "dfrac", "tfrac", "cfrac", "binom", "dbinom", "tbinom", "sqrt", "lfloor", "lceil",
})  # fmt: skip


def _is_plain(tree: Tree) -> bool:
    """Whether it is a rational number."""
    if tree[0] in ("number", "decimal"):
        return True
    if tree[0] == "power":
        return tree[1][0] == tree[2][0] == "number" and tree[2][1].denominator == 1
    return tree[0] in _ARITHMETIC and all(map(_is_plain, tree[1:]))


def _flat(items: list[Reading]) -> list[Reading]:
    """Items, with both values of a plus-minus sign as two."""
    found: list[Reading] = []
    for item in items:
        found += item.items if isinstance(item, Listing) and item.opening == "," else [item]
    return found


def _base(tree: Tree) -> Tree:
    return tree[1] if tree[0] == "power" else tree
