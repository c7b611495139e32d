"""What a step draws, in every sampling round, is decided by the seed and the place alone."""

from mentor.rl.groups import as_groups, first_place, group_requests, shuffled_index, shuffled_tasks
from mentor.types import Task
from tests.fixtures.rollouts import END, make_task, run

TASKS = [Task(f"t{i}", "q", ("1",), "calculator") for i in range(11)]


def drawn(step: int, number: int = 0, rounds: int = 1) -> list[tuple[str, int]]:
    first = first_place(step, number, rounds, 3)
    requests = group_requests(shuffled_tasks(TASKS, first, 3, seed=5), step, first, 2, seed=5, temperature=1.0)
    return [(request.task.id, request.seed) for request in requests]


def test_rounds_of_a_step_follow_each_other_and_leave_their_places_to_no_other_step():
    order = [f"t{shuffled_index(11, place, 5)}" for place in range(12)]
    found = [[task for task, _ in drawn(step, number, 2)[::2]] for step in (1, 2) for number in (0, 1)]
    assert found == [order[0:3], order[3:6], order[6:9], order[9:12]]
    seeds = [seed for step in (1, 2) for number in (0, 1) for _, seed in drawn(step, number, 2)]
    assert len(set(seeds)) == 24


def test_one_round_draws_what_it_always_drew():
    first = [("t3", 6418553430805041468), ("t3", 7087990086764492871), ("t2", 3740526095492808723)]
    first += [("t2", 3616365446214602869), ("t7", 2912370682190841168), ("t7", 2543874654516783995)]
    second = [("t1", 2563259349718590939), ("t1", 4241413168492493149), ("t0", 5013888570065651342)]
    second += [("t0", 5096622242582310677), ("t4", 8019593792698038036), ("t4", 8614808376719783071)]
    third = [("t9", 317828154179117337), ("t9", 8974322883980357406), ("t6", 5869658535999018487)]
    third += [("t6", 6330173060068057998), ("t5", 8354794733572082966), ("t5", 1331996560937388567)]
    assert (drawn(1), drawn(2)) == (first, second)
    assert (drawn(1, number=1, rounds=2), drawn(2, rounds=2)) == (second, third)


def test_every_epoch_draws_every_task_once_and_each_member_has_its_own_seed():
    drawn = [shuffled_index(7, place, seed=3) for place in range(21)]
    assert [sorted(drawn[i : i + 7]) for i in (0, 7, 14)] == [list(range(7))] * 3
    assert drawn[:7] != drawn[7:14]
    tasks = [make_task(i) for i in range(7)]
    found = shuffled_tasks(tasks, first_place(2, 0, 1, 3), 3, seed=3)
    requests = group_requests(found, 2, 3, group_size=4, seed=3, temperature=1.0)
    assert [request.task for request in requests[::4]] == [tasks[i] for i in drawn[3:6]]
    assert len({request.seed for request in requests}) == 12
    assert len({request.group_id for request in requests}) == 3


def test_groups_are_consecutive(chat):
    done = "x" + END
    trajectories, _ = run(chat, {str(i): [done] for i in range(6)})
    groups = as_groups(trajectories, 3)
    assert [[t.task.id for t in group.trajectories] for group in groups] == [["t0", "t1", "t2"], ["t3", "t4", "t5"]]
