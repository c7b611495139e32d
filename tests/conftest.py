"""Fixtures every test may use. Set before transformers is imported: no test talks to a model hub."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest

gc.set_threshold(100_000, 20, 20)  # torch and transformers are many objects to look through at every collection


@pytest.fixture(autouse=True)
def own_wandb_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """wandb names its service in the environment: one that a test started must not be that of a later test's stages."""
    monkeypatch.delenv("WANDB_SERVICE", raising=False)


@pytest.fixture(scope="session", autouse=True)
def fork_servers() -> Iterator[None]:
    """The stages of all tests share fork servers, which are started with the first stage."""
    from mentor.runs.start import shared_fork_servers

    with shared_fork_servers():
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    forget_current_test()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call() -> None:
    forget_current_test()


def forget_current_test() -> None:
    """pytest's variable differs in every test, and a fork server is for one environment."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public data sets: MENTOR_SHARED, or `shared` beside the checkout; the test skips without it."""
    folder = Path(os.environ.get("MENTOR_SHARED") or Path(__file__).parents[2] / "shared")
    if not (folder / "data").is_dir():
        pytest.skip("the shared data folder is not here (set MENTOR_SHARED)")
    return folder


@pytest.fixture(scope="session")
def calculator_tools() -> str:
    """The built-in toolset's schemas as JSON text."""
    from mentor.tools import Toolset

    return Toolset.builtin("calculator").schemas_json


@pytest.fixture(scope="session")
def conversations():
    """Two hundred worked calculator conversations of the oracle."""
    from mentor.config import PretrainStage
    from mentor.stages.pretrain import make_conversations

    return make_conversations(PretrainStage(name="pretrain", conversations=200), seed=0)


@pytest.fixture(scope="session")
def chat(conversations):
    """The tiny student's format, with a tokenizer learned from the conversations."""
    from mentor.chat import ChatFormat
    from mentor.chat.tiny import train_tokenizer
    from mentor.stages.pretrain import conversation_texts

    return ChatFormat(train_tokenizer(conversation_texts(conversations), 512))


@pytest.fixture
def student(chat):
    """A small random model of the student's architecture; fresh for every test."""
    from tests.fixtures.students import make_small_student

    return make_small_student(chat)
