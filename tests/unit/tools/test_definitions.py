"""Which functions and methods of a source are tools."""

import ast

import pytest

from mentor.errors import InputError
from mentor.tools.definitions import definitions, public, refuse_shared_names

SOURCE = '''
from dataclasses import dataclass

def f(a): pass
def f(b): pass
async def g(): pass
def _hidden(): pass

@dataclass
class Item:
    price: float
    def doubled(self): return 2 * self.price

class _Base:
    def inherited(self, x): return Item(x)
    def again(self): pass

class Shop(_Base):
    """A shop; it names itself."""
    def __init__(self): self.sold = 0
    def again(self, first): return Shop
    @property
    def open(self): return True
    @staticmethod
    def tax(price): return price
    @classmethod
    def of(cls, name): return cls()
    async def _private(self): pass

if __name__ == "__main__":
    print(Shop().again(1))
'''


def found(source: str) -> dict:
    return definitions(ast.parse(source))


def test_functions_and_the_methods_of_classes_that_nothing_else_uses():
    tools = public(found(SOURCE))
    assert {name: tool.owner and tool.owner.name for name, tool in tools.items()} == {
        **{"f": None, "g": None},
        **dict.fromkeys(("inherited", "again", "tax", "of"), "Shop"),
    }
    parameters = {name: [parameter.arg for parameter in tool.parameters.args] for name, tool in tools.items()}
    assert parameters == {"f": ["b"], "g": [], "inherited": ["x"], "again": ["first"], "tax": ["price"], "of": ["name"]}
    assert "_hidden" in found(SOURCE)


@pytest.mark.parametrize(
    "use",
    ["def f(a: 'A'): pass", "def f(): return A()", "a = A()", "TABLE = {'x': A.run}"],
)
def test_a_class_that_other_code_uses_is_a_helper(use):
    assert "run" not in found(f"class A:\n    def run(self): pass\n\n{use}\n")


def test_a_name_that_two_tools_share_is_refused_with_both_lines():
    source = "def run(): pass\n\nclass A:\n    def run(self): pass\n"
    with pytest.raises(
        InputError, match=r"^tools\.py:4: method 'run' of A has the name of another tool, that of line 1;"
    ):
        refuse_shared_names(ast.parse(source), "tools.py")
    assert found(source)["run"].owner is None  # what a row means, whose schemas say which names are tools
    refuse_shared_names(ast.parse(SOURCE), "tools.py")
