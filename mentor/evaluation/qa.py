"""Exact match and token F1 of short answers, as in SQuAD (arXiv:1606.05250) and HotpotQA (arXiv:1809.09600)."""

from __future__ import annotations

import re
import string
from collections import Counter

CLOSED = frozenset({"yes", "no", "noanswer"})  # answers that share nothing with any other (HotpotQA)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lower the case, drop ASCII punctuation and English articles, and separate words by single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(prediction: str, accepted: str) -> float:
    """Return 1.0 where the two are the same after normalising, else 0.0."""
    return float(normalize_answer(prediction) == normalize_answer(accepted))


def token_f1(prediction: str, accepted: str) -> float:
    """Compute the harmonic mean of precision and recall over the normalised words, repeats counted; 0.0 to 1.0.

    Where one of the two is yes, no or noanswer, only the same answer scores.
    """
    given, wanted = normalize_answer(prediction), normalize_answer(accepted)
    if given != wanted and (given in CLOSED or wanted in CLOSED):
        return 0.0
    given_words, wanted_words = given.split(), wanted.split()
    common = sum((Counter(given_words) & Counter(wanted_words)).values())
    return 2 * common / (len(given_words) + len(wanted_words)) if common else 0.0
