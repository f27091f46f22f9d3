"""Programs for developers; run them from the root of the repository as `python -m scripts.NAME`.

`train_mini` makes the models that the package ships (with `mini_recipe` and `mini_wiring`), `mini_first_look` prints a
first table of them (with `mini_scores`), and each `bench_*` measures one of the numbers in results/bench.
"""
