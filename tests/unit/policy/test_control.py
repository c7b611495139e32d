"""When a stage evaluates and ends, what it keeps, which step its model is of; and all of that after a resume."""

from pathlib import Path

import pytest

from mentor.config import LoggerConfig
from mentor.errors import InputError
from mentor.jsonl import read_jsonl
from mentor.loggers import build_logger
from mentor.policy.checkpoint import checkpoint_steps
from mentor.policy.control import ControlSettings, TrainingControl

ACCURACY = {2: 0.5, 4: 0.75, 6: 0.75, 7: 0.25}  # after these steps
METRIC = "eval/mine/accuracy"


class Counter:
    """A policy of one number, which each step raises by one."""

    number = 0

    def save_state(self, folder: Path) -> None:
        (folder / "number").write_text(str(self.number))

    def load_state(self, folder: Path) -> None:
        self.number = int((folder / "number").read_text())

    load_weights = load_state


class Stage:
    """A stage of seven steps of one second, in which the loss falls by one."""

    def __init__(self, folder: Path, **settings) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.policy = Counter()
        self.logger = build_logger(LoggerConfig(console=False, backends=[]), folder)
        settings = ControlSettings(**{"steps": 7, "save_every": 3, **settings})
        self.control = TrainingControl(folder, settings, self.policy, self.logger)
        self.evaluated: list[int] = []
        self.started = self.control.resume()

    def evaluate(self, step: int) -> dict[str, float]:
        self.evaluated.append(step)
        return {METRIC: ACCURACY[step]}

    def train(self, until: int = 7) -> "Stage":
        """Take steps, at most those until one of this number; what follows it is not done, as after a kill."""
        for step in self.control.steps_left(self.evaluate if self.control.settings.eval_every else None):
            self.policy.number += 1
            self.control.log(step, {"loss/train": 8.0 - step, "time/step_s": 1.0})
            if step == until < 7:
                break
            self.control.finish(step)
        self.logger.close()
        return self

    @property
    def saved(self) -> list[int]:
        return checkpoint_steps(self.folder / "checkpoints")

    @property
    def rows(self) -> list[tuple[int, float | None]]:
        """The steps of metrics.jsonl, each with the accuracy where it is an evaluation."""
        return [(row["step"], row.get(METRIC)) for row in read_jsonl(self.folder / "metrics.jsonl")]


@pytest.mark.parametrize(
    ("keep", "saved"), [("2", [6, 7]), ("last", [7]), ("3", [4, 6, 7]), ("all", [2, 3, 4, 6, 7]), ("best", [4, 7])]
)
def test_evaluated_steps_are_saved_and_the_rest_dropped(tmp_path, keep, saved):
    """Saved are multiples of 3, and 2, 4 and 6, which are evaluated, and the last, which is both. The first of two best
    steps is the best."""
    stage = Stage(tmp_path, eval_every=2, keep=keep, metric=METRIC).train()
    assert stage.saved == saved and stage.evaluated == [2, 4, 6, 7]
    assert [step for step, accuracy in stage.rows if accuracy is None] == [1, 2, 3, 4, 5, 6, 7]
    assert [row for row in stage.rows if row[1] is not None] == list(ACCURACY.items())
    stage.control.load_model()
    assert stage.policy.number == (4 if keep == "best" else 7)
    assert stage.control.counts() == ({"model_step": 4} if keep == "best" else {})


@pytest.mark.parametrize("killed", [2, 3, 5, 6])
def test_a_resumed_stage_keeps_and_ends_as_an_unbroken_one(tmp_path, killed):
    settings = {"eval_every": 2, "keep": "best", "metric": METRIC, "patience": 2}
    whole = Stage(tmp_path / "whole", **settings).train()
    Stage(tmp_path / "broken", **settings).train(killed)
    broken = Stage(tmp_path / "broken", **settings).train()
    assert broken.started == {2: 0, 3: 2, 5: 4, 6: 4}[killed]
    assert broken.rows == whole.rows and broken.saved == whole.saved == [4, 7]
    assert broken.policy.number == 7
    again = Stage(tmp_path / "broken", **settings).train()
    assert (again.started, again.evaluated, again.control.stopped_by) == (7, [], "trainer.patience")


def test_an_evaluation_that_was_broken_off_is_made_before_the_next_step(tmp_path):
    stage = Stage(tmp_path, eval_every=2)
    stage.evaluate = lambda step: 1 / 0
    with pytest.raises(ZeroDivisionError):
        stage.train()
    assert stage.saved == [2] and stage.rows == [(1, None), (2, None)]
    resumed = Stage(tmp_path, eval_every=2).train()
    assert resumed.started == 2 and resumed.evaluated == [2, 4, 6, 7]
    assert resumed.rows[:4] == [(1, None), (2, None), (2, 0.5), (3, None)]


def test_patience_ends_a_stage_after_so_many_measurements_without_a_new_best(tmp_path):
    stage = Stage(tmp_path / "one", eval_every=2, metric=METRIC, patience=1).train()
    assert stage.control.step == 6 and stage.evaluated == [2, 4, 6], "0.75 again is no new best"
    assert stage.control.counts() == {"ended_by": "trainer.patience"} and stage.saved == [4, 6]
    falling = Stage(tmp_path / "two", metric="loss/train", patience=2, lowest=True).train()
    assert falling.control.step == 7 and falling.control.stopped_by is None
    rising = Stage(tmp_path / "three", metric="loss/train", patience=2).train()
    assert rising.control.step == 3 and rising.saved == [3], "the first step had the highest loss"


def test_a_budget_of_time_ends_a_stage_and_a_larger_one_goes_on(tmp_path):
    stage = Stage(tmp_path, eval_every=2, max_seconds=3.0).train(until=1)  # killed: its second counts no more
    stage = Stage(tmp_path, eval_every=2, max_seconds=2.5).train(until=2)
    stage = Stage(tmp_path, eval_every=2, max_seconds=2.5)
    stage.evaluate = lambda step: {METRIC: 0.5}
    stage.train()
    assert stage.control.step == 3 and stage.saved == [2, 3], "2 s after step 2, and 3 s after step 3"
    assert stage.rows == [(1, None), (2, None), (2, 0.5), (3, None), (3, 0.5)]
    assert stage.control.counts() == {"stopped_by": "trainer.max_hours"}
    assert Stage(tmp_path, eval_every=2, max_seconds=3600.0).train().control.step == 7


def test_a_metric_that_is_none_is_named_at_once(tmp_path):
    with pytest.raises(InputError, match=r"best_metric=loss/valid is not among the metrics of step 1: loss/train$"):
        Stage(tmp_path / "a", metric="loss/valid", keep="best").train()
    with pytest.raises(InputError, match="best_metric=eval/mine/f1 is not among the metrics of step 2: eval/mine/acc"):
        Stage(tmp_path / "b", eval_every=2, metric="eval/mine/f1", keep="best").train()
