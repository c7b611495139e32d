import asyncio
import signal

import pytest

from mentor.child import Stopped, _interrupt


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_loop_between_its_callbacks(signum: signal.Signals):
    """Cut in the middle of one, a wake-up could be lost, and what waits for it would hold the process for ever."""
    steps = []

    async def stage() -> None:
        signal.raise_signal(signum)
        steps.append("the rest of the callback")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    before = signal.signal(signum, _interrupt)
    try:
        with pytest.raises(Stopped) as stopped:
            asyncio.run(stage())
    finally:
        signal.signal(signum, before)
    assert stopped.value.signum == signum and steps == ["the rest of the callback", "cleaned up"]


def test_without_a_loop_a_signal_stops_at_once():
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
