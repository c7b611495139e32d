"""Which process of a command this one is, by keys or by a launcher, and what does not fit together."""

import pytest

from mentor.config import (
    Config,
    DeepSpeedConfig,
    LauncherConfig,
    RlStage,
    RlTrainer,
    RolloutStage,
    SftStage,
    SftTrainer,
)
from mentor.errors import ConfigError
from mentor.runs.seat import Seat, find_seat


def sft(nodes: int = 1, per_node: int = 1, **launcher) -> Config:
    trainer = SftTrainer(nodes=nodes, num_processes=per_node, deepspeed=DeepSpeedConfig(stage=2))
    return Config(stage=SftStage("sft"), trainer=trainer, launcher=LauncherConfig(**launcher))


def rl(nodes: int, per_node: int) -> Config:
    return Config(stage=RlStage("rl"), trainer=RlTrainer(nodes=nodes, num_processes=per_node))


def torch(rank: int, size: int, local_rank: int | None = None) -> dict[str, str]:
    local = {} if local_rank is None else {"LOCAL_RANK": str(local_rank)}
    return {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "a", "MASTER_PORT": "7", **local}


def rollout(**launcher) -> Config:
    return Config(stage=RolloutStage("rollout"), launcher=LauncherConfig(**launcher))


ROLLOUT = rollout()
KEYS = {"node_rank": 1, "master_addr": "b"}


@pytest.mark.parametrize(
    ("configs", "environ", "seat"),
    [
        ([sft(1, 2)], {}, None),
        ([ROLLOUT], torch(0, 1, 0), None),
        ([sft(2, 4, **KEYS)], {}, Seat(1, 2, "b", 29500)),
        ([rollout(**KEYS), sft(2, 4, **KEYS)], {}, Seat(1, 2, "b", 29500)),
        ([sft(2, 4, **KEYS)], torch(1, 2, 0), Seat(1, 2, "b", 29500)),
        ([sft(2, 2)], torch(3, 4, 1), Seat(3, 4, "a", 7, 1)),
        ([sft(1, 2)], torch(1, 2, 1), Seat(1, 2, "a", 7, 1)),
        ([sft(2, 1)], torch(1, 2), Seat(1, 2, "a", 7, 0)),
        ([sft(2, 4)], torch(1, 2, 0), Seat(1, 2, "a", 7)),  # one process on each node
        ([ROLLOUT, sft(2, 1)], torch(1, 2, 0), Seat(1, 2, "a", 7)),
    ],
)
def test_keys_or_a_launcher_say_where_this_process_is(configs, environ, seat):
    assert find_seat(configs, environ) == seat


@pytest.mark.parametrize(
    ("configs", "environ", "message"),
    [
        ([sft(2)], {}, r"`launcher\.node_rank` is not set, and trainer\.nodes=2: .* accepted: 0 to 1"),
        (
            [sft(2, node_rank=2, master_addr="a")],
            {},
            r"node_rank=2` does not go with trainer\.nodes=2; accepted: 0 to 1",
        ),
        ([sft(2, node_rank=0)], {}, r"`launcher\.master_addr` is not set"),
        ([ROLLOUT], torch(0, 2, 0), "started 2 processes, and stage=rollout runs in one"),
        ([sft(2, 4)], torch(0, 4, 0), r"started 4 processes, and .* are 8 ranks; accepted: 8 processes, or 2"),
        ([sft(2, 4, **KEYS)], torch(0, 2, 0), r"node_rank=1` with trainer\.nodes=2 is not the rank 0 of 2"),
        ([sft(1, 2), sft(1, 2)], torch(0, 2, 0), "each a rank of one stage, and stage=pipeline has 2"),
        ([sft(2, 2)], torch(0, 4), "without LOCAL_RANK"),
        ([sft(2, 2)], torch(2, 4, 2), r"LOCAL_RANK=2 does not go with trainer\.num_processes=2"),
        ([sft(2, 2), rl(3, 2)], {}, "differ between steps of several nodes"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(configs, environ, message):
    with pytest.raises(ConfigError, match=message) as raised:
        find_seat(configs, environ)
    assert "\n" not in str(raised.value)
