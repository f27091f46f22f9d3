"""The four tasks on real samples with a real pretrained model, from the command line alone.

Needs EDT_REAL_DATA (folder with one subfolder per task) and EDT_REAL_MODEL (folder of a causal language model).
"""

import csv

import pyarrow.parquet as pq
import pytest
import torch

from edt.cli import main


@pytest.fixture
def words(real_model, tmp_path):
    return [
        "model=hf",
        f"model.path={real_model}",
        "model.device=cpu",
        "task.limit=3",
        "sampling.samples=2",
        "sampling.max_new_tokens=8",
        f"paths.runs={tmp_path / 'runs'}",
    ]


@pytest.mark.parametrize("task", ["xlsum", "msmarco", "quac", "wmt19"])
def test_each_task_runs(task, words, real_data, tmp_path, capsys):
    (folder,) = real_data.glob(f"{task}*")
    assert main(["run", *words, f"task={task}", f"task.path={folder}"]) == 0
    table = capsys.readouterr().out
    assert all(f"{family}(" in table for family in ("fixed", "edt", "kld"))
    (run,) = (tmp_path / "runs").glob(f"*-{task}-*")
    generations = pq.read_table(run / "generations").to_pylist()
    assert {row["task"] for row in generations} == {task}
    assert all(row["prompt_tokens"] + 8 <= 512 for row in generations)
    if task in ("xlsum", "msmarco", "quac"):
        assert any(row["truncated_tokens"] > 0 for row in generations)


def test_paper_tasks_make_one_table(words, real_data, tmp_path, capsys):
    assert main(["run", *words, "task=paper", f"task.path={real_data}", "strategy=fixed_grid", "task.limit=1"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n {task} " in shown for task in ("xlsum", "msmarco", "quac", "wmt19"))
    assert shown.count("test · ") == 4
    (table,) = (tmp_path / "runs" / "studies").glob("*/table.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["task"] for row in rows} == {"xlsum", "msmarco", "quac", "wmt19"}
    assert all(row["signature"] and row["generation_id"] for row in rows)


def test_dev_constants_on_real_text(words, real_data, capsys):
    (folder,) = real_data.glob("quac*")
    command = ["run", *words, "task=quac", f"task.path={folder}", "task.split=[dev,test]", "sampling.max_new_tokens=24"]
    assert main([*command, "strategy=fixed_grid"]) == 0
    shown = capsys.readouterr().out
    assert "dev · " in shown
    assert "test · " in shown
    assert "provisional" not in shown


def test_greedy_on_the_real_model_equals_transformers(real_model):
    from edt.decoding.engine_specs import BatchedSpec
    from edt.decoding.request import DecodeRequest
    from edt.decoding.sampling import Limits, Sampling
    from edt.models.language_model import LanguageModel
    from edt.models.spec import ModelSpec
    from edt.records import Prompt
    from edt.strategies import Fixed

    loaded = LanguageModel.load(ModelSpec(path=str(real_model), dtype="float64", device="cpu"))
    prompts = [
        Prompt(
            task="t", split="test", example_id=text, cluster_id=text, token_ids=tuple(loaded.tokenize(text)),
            unconditional_ids=(1,), truncated_tokens=0,
        )
        for text in ("Once upon a time", "Lily and Tom went to the park. They saw a big dog and", "One")
    ]  # fmt: skip
    engine = BatchedSpec().build(loaded)
    limits = Limits(max_new_tokens=40, stop=())
    request = DecodeRequest.all_rows(prompts, [Fixed(t0=0)], sampling=Sampling(samples=1), limits=limits)
    found = engine.generate(request)
    for prompt, generation in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt.token_ids])
        output = loaded.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40)
        assert list(generation.token_ids) == output[0, ids.shape[1] :].tolist()
