"""Reading answers as trees."""

from fractions import Fraction

import pytest

from mentor.rewards.expressions import Listing, plain_number, read_expression, to_latex

X, Y = ("letter", "x"), ("letter", "y")


def number(value):
    return ("number", Fraction(value))


def value(text):
    expression = read_expression(text)
    assert expression is not None, text
    return expression.value


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x", X),
        ("X", X),  # math-verify has small letters only
        ("2x", ("multiply", number(2), X)),
        ("x/2y", ("divide", X, ("multiply", number(2), Y))),  # what stands side by side binds more tightly
        ("x/2*y", ("multiply", ("divide", X, number(2)), Y)),
        ("-x^2", ("negative", ("power", X, number(2)))),
        (r"\dfrac{x}{2}", ("divide", X, number(2))),
        (r"\sqrt[3]{x}", ("power", X, number(Fraction(1, 3)))),
        (r"\sqrt 2", ("power", number(2), number(Fraction(1, 2)))),
        (r"\sin 2x", ("sin", ("multiply", number(2), X))),
        (r"\sin^2(x)", ("power", ("sin", X), number(2))),
        (r"\tan^{-1}(x)", ("arctan", X)),
        (r"\log_{2}(x)", ("divide", ("ln", X), ("ln", number(2)))),
        (r"\exp(x)", ("power", ("letter", "e"), X)),
        (r"\binom{x}{2}", ("binomial", X, number(2))),
        ("|x|", ("absolute", X)),
        (r"\left\lfloor x\right\rfloor".replace("\\left", "").replace("\\right", ""), ("floor", X)),
        ("x!", ("factorial", X)),
        (r"30^{\circ}", number(30)),
        ("2.5x", ("multiply", ("decimal", Fraction(5, 2)), X)),
        ("x_1", ("letter", "x_1")),
        ("x_{1}", ("letter", "x_1")),
        ("f(x)", ("call", "f", X)),
        (r"\sin\frac{x^2}{2}", ("sin", ("divide", ("power", X, number(2)), number(2)))),
        ("x(x+1)", ("multiply", X, ("add", X, number(1)))),
        (r"\infty", ("infinity",)),
        (r"-\infty", ("negative", ("infinity",))),
    ],
)
def test_what_is_read(text, tree):
    assert value(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "x(2y)",  # a function or a product
        "F(x)",
        "c{(x)}",
        r"\binom{5}{2}12",
        "2(3)",  # 5 to math-verify
        r"2\frac{1}{2}x",
        "2 3",
        "x^2^3",
        "x^2!",
        r"\frac{dx}{dt}",
        r"\frac{x}{10}25",  # 10 to math-verify: one digit is a denominator
        "1,234x",
        "ways to go",
        r"x^{\prime}",
        r"\sin x \cos x",
        r"\sin 2(x+1)",
        r"\sum_{n} n",
        "(x",
        "x)",
        r"x \%",
        "x = 2 = y",
        "x" * 500,
        "(" * 50 + "x" + ")" * 50,
    ],
)
def test_what_is_left_to_math_verify(text):
    assert read_expression(text) is None


def test_brackets_and_items():
    assert value("(1, x]") == Listing("(", "]", (number(1), X))
    assert value(r"\{x\}") == Listing(r"\{", r"\}", (X,))
    assert value("x, y") == Listing(",", ",", (X, Y))
    assert value("(x)") == X
    assert value(r"(1,2)\cup[3,4]").opening == r"\cup"
    matrix = value(r"\begin{pmatrix} 1 & x \\ y & 2 \end{pmatrix}")
    assert [row.items for row in matrix.items] == [(number(1), X), (Y, number(2))]


def test_a_plus_minus_sign_is_two_items():
    assert value(r"x \pm 2") == Listing(",", ",", (("add", X, number(2)), ("add", X, ("negative", number(2)))))
    assert len(value(r"\{x \pm 2, y\}").items) == 3


def test_relations():
    equation, chain = read_expression("x = 2"), read_expression(r"1 < x \leq 2")
    assert (equation.name, equation.relation, equation.value) == ("x", "=", number(2))
    assert (chain.name, chain.relation) == ("x", r"<\leq")
    assert chain.value == Listing("chain", "chain", (number(1), number(2)))
    assert read_expression("f(x) = 2").name == "f(x)"


def test_letters_that_may_be_a_unit_are_told():
    assert read_expression(r"\frac{1}{2} m").ending != ""
    assert read_expression(r"\frac{1}{2} x").ending == ""


def test_a_plain_number():
    assert plain_number(Fraction(1, 2), exact=True).value == number(Fraction(1, 2))
    assert plain_number(Fraction(1, 2), exact=False).value == ("decimal", Fraction(1, 2))


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("sqrt(2)", r"\sqrt{2}"),
        ("2*x**3", r"2\cdot x^3"),
        ("π", r"\pi "),
        ("2pi", r"2\pi "),
        ("infinity", r"\infty "),
        ("$5$", " 5 "),
        ("3i", r"3\kappa_{998}"),
        (r"\sum_{i=1}^n i", r"\sum_{i=1}^n i"),
    ],
)
def test_to_latex(text: str, latex: str) -> None:
    assert to_latex(text) == latex
