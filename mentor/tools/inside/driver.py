"""Runs one call and writes its result as text: the only code of ours inside the sandbox.

The sandbox loads this file as text before a toolset's source; the program never imports it. Everything it needs is
bound in default arguments, so a tool that happens to be called `round` or `str` changes nothing here. Rendering runs
under the limits of the call: a result that is endless, nested 100,000 deep or 20 MB long ends here, not on the host.

How a result is shown:

- an integer, `True`, `False` and `None` as Python writes them; an integer past 4,300 digits by its length;
- a float that is whole and below 1e15 without a fraction (`24.0` is `24`), `inf` and `nan` as such, any other float in
  full; the built-in tools round it to 12 significant digits (`0.1 + 0.2` is `0.3`);
- a string as it is, the empty one as `""`;
- dict, list, tuple and set as JSON (numbers by the rules above, strings quoted, `true`, `false`, `null`);
- anything else as `str()` gives it;
- whatever is longer than the limit is cut, and the cut is marked.
"""

from json import dumps as _mentor_dumps
from math import log10 as _mentor_log10


def _mentor_number(
    value, float_digits, abs=abs, float=float, int=int, isinstance=isinstance, log10=_mentor_log10, repr=repr, str=str
):
    if isinstance(value, int):
        digits = 1 + int(log10(abs(value))) if value else 1
        return str(value) if digits <= 4300 else "[integer of about " + str(digits) + " digits]"
    if value != value or abs(value) == float("inf"):
        return str(value)
    if float_digits is not None and value != int(value):
        value = float(f"{value:.{float_digits}g}")
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _mentor_scalar(
    value,
    limit,
    float_digits,
    dumps=_mentor_dumps,
    isinstance=isinstance,
    number=_mentor_number,
    str=str,
    types=(int, float),
):
    """A leaf of a container, as JSON. A string past the limit is cut first: the whole will be cut anyway."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, types):
        return number(value, float_digits)
    return dumps((value if isinstance(value, str) else str(value))[: limit + 1], ensure_ascii=False)


def _mentor_entries(
    value, limit, float_digits, dict=dict, enumerate=enumerate, isinstance=isinstance, scalar=_mentor_scalar
):
    """What a container holds, as (is_text, item) pairs in order: no more than can be shown."""
    keyed = isinstance(value, dict)
    entries = [(True, "{" if keyed else "[")]
    for count, item in enumerate(value):
        if count > limit:
            break
        if count:
            entries.append((True, ", "))
        if keyed:
            key = scalar(item, limit, float_digits)
            entries.append((True, (key if key[:1] == '"' else '"' + key + '"') + ": "))
        entries.append((False, value[item] if keyed else item))
    entries.append((True, "}" if keyed else "]"))
    return entries


def _mentor_container(
    value,
    limit,
    float_digits,
    types=(dict, list, tuple, set, frozenset),
    entries=_mentor_entries,
    isinstance=isinstance,
    len=len,
    reversed=reversed,
    scalar=_mentor_scalar,
    str=str,
):
    """JSON text written piece by piece with a stack of its own, so depth costs no recursion and sharing no time."""
    pieces = []
    length = 0
    stack = [(False, value)]
    while stack:
        is_text, item = stack.pop()
        if not is_text and isinstance(item, types):
            stack.extend(reversed(entries(item, limit, float_digits)))
            continue
        piece = item if is_text else scalar(item, limit, float_digits)
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            return "".join(pieces)[:limit] + " ...[cut, more than " + str(limit) + " characters]"
    return "".join(pieces)


def _mentor_render(
    value,
    limit,
    float_digits,
    container=_mentor_container,
    containers=(dict, list, tuple, set, frozenset),
    isinstance=isinstance,
    len=len,
    number=_mentor_number,
    numbers=(int, float),
    str=str,
):
    if value is None or value is True or value is False:
        return str(value)
    if isinstance(value, containers):
        return container(value, limit, float_digits)
    text = number(value, float_digits) if isinstance(value, numbers) else str(value)
    if len(text) > limit:
        return text[:limit] + " ...[cut, " + str(len(text)) + " characters]"
    return text or '""'


def _mentor_describe(error, len=len, str=str, type=type):
    """`ValueError: message`, on one line and short."""
    words = " ".join(str(error)[:400].split())
    name = type(error).__name__
    return name + ": " + words[:300] if words else name


def _mentor_driver(
    tools,
    limit,
    float_digits,
    BaseException=BaseException,
    RecursionError=RecursionError,
    describe=_mentor_describe,
    render=_mentor_render,
    type=type,
):
    async def call(name, arguments):
        """(outcome, text): outcome is `ok`, or `exception` or `crash` with what went wrong."""
        try:
            value = tools[name](**arguments)
            if type(value).__name__ == "coroutine":
                value = await value
            return "ok", render(value, limit, float_digits)
        except RecursionError as error:
            return "crash", describe(error)
        except BaseException as error:
            return "exception", describe(error)

    return call
