"""The built-in toolset `python`: an interpreter whose variables last for one trajectory. Runs only in a worker."""

import ast
import contextlib
import io

_variables: dict = {"__name__": "__main__"}


def python(code: str) -> str:
    """Run Python code. Variables last until the conversation ends.

    Args:
        code: Python source; the value of a last expression is shown after what the code prints.
    """
    tree = ast.parse(code)
    last = tree.body[-1] if tree.body else None
    expression = ast.Expression(last.value) if isinstance(last, ast.Expr) else None
    if expression is not None:
        tree.body.pop()
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<code>", "exec"), _variables)
        if expression is not None:
            value = eval(compile(expression, "<code>", "eval"), _variables)
    shown = [] if value is None else [repr(value)]
    return "\n".join(([printed.getvalue().rstrip("\n")] if printed.getvalue() else []) + shown)
