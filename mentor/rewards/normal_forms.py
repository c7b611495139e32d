r"""Exact normal forms: two trees with the same form are equal, whatever their letters stand for.

A form is a fraction of two sums of terms. A term is a rational coefficient times generators to powers: letters, pi, the
roots of primes (`\sqrt{12}` is 2 * 3^(1/2)), numbers and letters to a power with letters (2^n), and functions of forms.
Generators of the first three kinds are independent, so that different forms of them differ (`opaque` is False); a
function, or the root of a sum, may be related to another.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from mentor.rewards.expressions import Tree

MAX_TERMS = 120
MAX_BITS = 40_000  # of a number
MAX_POWER = 12  # of a sum
MAX_FACTORIAL = 3000
MAX_PRIME = 1000  # as a factor under a root; what is left must be below its square

Generator = tuple[Any, ...]
Term = tuple[tuple[Generator, Fraction], ...]
Sum = dict[Term, Fraction]
Key = tuple[tuple[Term, Fraction], ...]


class NoForm(Exception):
    """There is no form: it is undefined, not real, or too large."""


class Form:
    """A fraction of two sums. Raises NoForm where an operation has no form."""

    __slots__ = ("bottom", "top")

    def __init__(self, top: Sum, bottom: Sum | None = None) -> None:
        self.top, self.bottom = top, bottom or {(): Fraction(1)}
        if max(len(self.top), len(self.bottom)) > MAX_TERMS:
            raise NoForm
        if len(self.bottom) == 1 and self.bottom != {(): 1}:
            ((term, value),) = self.bottom.items()
            inverse, scale = _reduced({generator: -power for generator, power in term})
            self.top, self.bottom = _multiply(self.top, {inverse: scale / value}), {(): Fraction(1)}

    def __add__(self, other: Form) -> Form:
        if self.bottom == other.bottom:
            return Form(_add(self.top, other.top), self.bottom)
        top = _add(_multiply(self.top, other.bottom), _multiply(other.top, self.bottom))
        return Form(top, _multiply(self.bottom, other.bottom))

    def __mul__(self, other: Form) -> Form:
        return Form(_multiply(self.top, other.top), _multiply(self.bottom, other.bottom))

    def inverse(self) -> Form:
        if not self.top:
            raise NoForm
        return Form(self.bottom, self.top)

    def same(self, other: Form) -> bool:
        if self.bottom == other.bottom:
            return self.top == other.top
        return _multiply(self.top, other.bottom) == _multiply(other.top, self.bottom)

    @property
    def number(self) -> Fraction | None:
        """Its value where that is rational."""
        if self.bottom != {(): 1} or any(self.top.keys() - {()}):
            return None
        return self.top.get((), Fraction(0))

    @property
    def opaque(self) -> bool:
        return any(
            not _independent(generator) for part in (self.top, self.bottom) for term in part for generator, _ in term
        )

    @property
    def key(self) -> tuple[Key, Key]:
        """The same for forms that are written alike, up to a common factor of both sums."""
        scale = self.bottom[min(self.bottom, key=repr)]
        return _key(self.top, scale), _key(self.bottom, scale)


def _independent(generator: Generator) -> bool:
    """Whether it is related to no other generator: a letter, pi, a root of a prime, or one of these to a power."""
    if generator[0] == "to":
        base, exponent = generator[1], generator[2]
        return (
            base != ("number", -1)
            and base[0] in ("number", "letter")
            and all(_independent(part) for part, _ in exponent)
        )
    return generator[0] in ("letter", "pi", "prime")


def normal_form(tree: Tree) -> Form:
    """Compute the form of a tree. Raises NoForm."""
    match tree:
        case ("number", value):
            return Form({(): value} if value else {})
        case ("decimal", _):
            raise NoForm  # a rounding of some value
        case ("letter", _) | ("pi",):
            return _generator(tree)
        case ("add", left, right):
            return normal_form(left) + normal_form(right)
        case ("negative", part):
            return normal_form(part) * Form({(): Fraction(-1)})
        case ("multiply", left, right):
            return normal_form(left) * normal_form(right)
        case ("divide", left, right):
            return normal_form(left) * normal_form(right).inverse()
        case ("power", base, exponent):
            return _power(normal_form(base), normal_form(exponent))
        case ("call", name, argument):
            return _generator(("call", name, normal_form(argument).key))
    return _function(tree[0], [normal_form(part) for part in tree[1:]])


def _generator(generator: Generator, power: Fraction = Fraction(1)) -> Form:
    return Form({((generator, power),): Fraction(1)})


def _function(name: str, arguments: list[Form]) -> Form:
    numbers = [argument.number for argument in arguments]
    first = numbers[0]
    if name == "factorial" and first is not None:
        if first.denominator != 1 or not 0 <= first <= MAX_FACTORIAL:
            raise NoForm
        return Form({(): Fraction(math.factorial(first.numerator))})
    if name == "binomial" and (chosen := numbers[1]) is not None and chosen.denominator == 1 and chosen >= 0:
        return _binomial(arguments[0], chosen.numerator)
    if name == "ln" and first is not None:
        if first <= 0:
            raise NoForm
        total = Form({})
        for prime, power in _factors(first).items():
            total += _generator(("ln", prime)) * Form({(): Fraction(power)})
        return total
    if name in ("floor", "ceil") and first is not None:
        whole = first // 1 if name == "floor" else -(-first // 1)
        return Form({(): Fraction(whole)} if whole else {})
    if name == "absolute" and first is not None:
        return Form({(): abs(first)} if first else {})
    return _generator((name, *(argument.key for argument in arguments)))


def _binomial(top: Form, chosen: int) -> Form:
    """A binomial coefficient as a polynomial of its upper number, `n(n-1)/2` for two."""
    number = top.number
    if number is not None and number.denominator == 1 and 0 <= number <= MAX_FACTORIAL:
        value = math.comb(number.numerator, chosen)
        return Form({(): Fraction(value)} if value else {})
    if chosen > MAX_POWER:
        raise NoForm
    product = Form({(): Fraction(1)})
    for step in range(chosen):
        product *= (top + Form({(): Fraction(-step)} if step else {})) * Form({(): Fraction(1, step + 1)})
    return product


def _power(base: Form, exponent: Form) -> Form:
    number = exponent.number
    if number is None:
        return _symbolic_power(base, exponent)
    if number.denominator == 1:
        return _whole_power(base, number.numerator)
    whole = number // 1
    return _whole_power(base, int(whole)) * _root(base, number - whole)


def _whole_power(base: Form, power: int) -> Form:
    if power < 0 or (power == 0 and not base.top):
        return _whole_power(base.inverse(), -power)
    if len(base.top) == 1 and base.bottom == {(): 1}:
        ((term, value),) = base.top.items()
        if abs(value) != 1 and max(value.numerator.bit_length(), value.denominator.bit_length()) * power > MAX_BITS:
            raise NoForm
        raised, scale = _reduced({generator: exponent * power for generator, exponent in term})
        return Form({raised: value**power * scale})
    if not base.top:
        return base
    if power > MAX_POWER:
        raise NoForm
    result = Form({(): Fraction(1)})
    for _ in range(power):
        result *= base
    return result


def _root(base: Form, power: Fraction) -> Form:
    """base^power with a power between 0 and 1: of the rational factor by primes, of a letter, or as one generator."""
    if not base.top:
        return Form({})
    value = base.number
    if value is None:
        if len(base.top) == 1 and base.bottom == {(): 1}:
            ((term, content),) = base.top.items()
            if len(term) == 1 and term[0][1] == 1 and content > 0:
                return Form({((term[0][0], power),): Fraction(1)}) * _root(Form({(): content}), power)
        content = _content(base)
        rest = base * Form({(): 1 / content})
        return _generator(("root", rest.key, power)) * _root(Form({(): content}), power)
    if value < 0:
        raise NoForm
    result = Form({(): Fraction(1)})
    for prime, exponent in _factors(value).items():
        total = exponent * power
        whole = total // 1
        result *= Form({(): Fraction(prime) ** int(whole)})
        if total != whole:
            result *= _generator(("prime", prime), total - whole)
    return result


def _symbolic_power(base: Form, exponent: Form) -> Form:
    """base^exponent with letters in the exponent, as a product over the terms of the exponent."""
    if exponent.bottom != {(): 1} or not base.top:
        raise NoForm
    value = base.number
    bases: list[tuple[Generator, int]] = []
    if value is not None:
        bases = [(("number", prime), count) for prime, count in _factors(abs(value)).items()]
        if value < 0:
            bases.append((("number", -1), 1))
    elif len(base.top) == 1 and base.bottom == {(): 1} and next(iter(base.top.values())) == 1:
        ((term, _),) = base.top.items()
        if len(term) != 1 or term[0][1] != 1:
            raise NoForm
        bases = [(term[0][0], 1)]
    else:
        return _generator(("raised", base.key, exponent.key))
    result = Form({(): Fraction(1)})
    for term, coefficient in exponent.top.items():
        if term == ():
            result *= _power(base, Form({(): coefficient}))
        else:
            for generator, count in bases:
                result *= _generator(("to", generator, term), coefficient * count)
    return result


def _content(form: Form) -> Fraction:
    """The positive rational factor that all terms above and below have in common, for one way to write a root."""
    above = form.top[min(form.top, key=repr)]
    below = form.bottom[min(form.bottom, key=repr)]
    return abs(above / below)


def _factors(value: Fraction) -> dict[int, int]:
    """Prime factors with their powers, negative below the line. Raises NoForm where they are too large."""
    found: dict[int, int] = {}
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        divisor = 2
        while number > 1 and divisor < MAX_PRIME and divisor * divisor <= number:
            while number % divisor == 0:
                number //= divisor
                found[divisor] = found.get(divisor, 0) + sign
            divisor += 1
        if number > 1:
            if number >= MAX_PRIME**2:
                raise NoForm
            found[number] = found.get(number, 0) + sign
    return found


def _add(left: Sum, right: Sum) -> Sum:
    total = dict(left)
    for term, value in right.items():
        summed = total.get(term, 0) + value
        if summed:
            total[term] = Fraction(summed)
        else:
            total.pop(term, None)
    return total


def _multiply(left: Sum, right: Sum) -> Sum:
    if left == {(): 1}:
        return right
    if right == {(): 1}:
        return left
    if len(left) * len(right) > MAX_TERMS**2:
        raise NoForm
    product: Sum = {}
    for term, value in left.items():
        for other, factor in right.items():
            joined, scale = _join(term, other)
            summed = product.get(joined, 0) + value * factor * scale
            if summed:
                product[joined] = Fraction(summed)
            else:
                product.pop(joined, None)
    return product


def _join(left: Term, right: Term) -> tuple[Term, Fraction]:
    """The product of two terms' generators, and the rational number that roots of primes leave."""
    if not left or not right:
        return _reduced(dict(left or right))
    powers = dict(left)
    for generator, power in right:
        powers[generator] = powers.get(generator, Fraction(0)) + power
    return _reduced(powers)


def _reduced(powers: dict[Generator, Fraction]) -> tuple[Term, Fraction]:
    scale = Fraction(1)
    for generator, power in powers.items():
        if generator[0] == "prime" and not 0 <= power < 1:
            whole = power // 1
            scale *= Fraction(generator[1]) ** int(whole)
            powers[generator] = power - whole
    kept = [(generator, power) for generator, power in powers.items() if power]
    return tuple(sorted(kept, key=repr) if len(kept) > 1 else kept), scale


def _key(part: Sum, scale: Fraction) -> Key:
    return tuple(sorted(((term, value / scale) for term, value in part.items()), key=repr))
