"""The words of small searches on the embedded model."""

SMALL = [
    "task=mini_xlsum",
    "task.limit=3",
    "task.dev_size=6",
    "task.test_size=6",
    "sampling.samples=2",
    "sampling.max_new_tokens=24",
    "baseline.t0=[0,1]",
]
GRID = [
    "search.sampler=grid",
    "space.t0.points=2",
    "space.theta.points=2",
    "space.t0.low=0.5",
    "space.theta={low:0.05,high:5}",
    "search.batch=3",
]


def words(runs, *more):
    return ["tune", *SMALL, f"paths.runs={runs}", *more]
