"""The speed benchmarks run, and end with a line of JSON that holds the figures; how large those are is not tested here."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MINI = ROOT / "edt" / "assets" / "mini"

SMALL = {
    "bench_sweep": (
        ["--prompts", "1", "--length", "24", "--tokens", "4", "--repeats", "1"],
        ["generate_over_ours", "sweep_over_single", "top_p_over_plain", "memory_over_expanded"],
    ),
    "bench_step": (["--length", "24", "--steps", "5", "--rows", "3"], ["by_vocabulary"]),
    "bench_processor": (["--length", "8", "--tokens", "3", "--repeats", "2", "--rows", "2"], ["by_vocabulary"]),
}


def figures_of(module, *words):
    """Run a benchmark as a user does, and return the JSON of its last line."""
    shown = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", list(SMALL))
def test_it_runs_and_ends_with_json(name):
    words, keys = SMALL[name]
    figures = figures_of(f"scripts.{name}", "--model", str(MINI), *words)
    assert set(keys) <= figures.keys()
    if name == "bench_sweep":
        assert figures["settings"] * figures["samples"] == 288
        assert figures["rows_over_forward_rows"] > 1
    elif name == "bench_processor":
        (ratios,) = figures["by_vocabulary"].values()
        assert ratios.keys() == {"edt_over_fixed", "fixed_step_ms", "edt_step_ms"}
        assert figures["repeats"] == 2
    else:
        (ratios,) = figures["by_vocabulary"].values()
        assert ratios["kld_shared_extra_weight_bytes"] == 0
        assert ratios["kld_dual_extra_weight_bytes"] == 1_189_376 * 4


def test_dtypes_are_compared_on_the_same_rows(tmp_path):
    text = "Harbor Steel has a new head of research. Helen Ashford, 65, starts on Saturday. It has 513 staff."
    rows = [{"id": f"a{i}", "summary": "Harbor Steel has a new head.", "text": f"{text} No. {i}."} for i in range(4)]
    path = tmp_path / "articles.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    figures = figures_of("scripts.bench_dtype", "--path", str(path), "--model", str(MINI), "--quick")
    assert figures["bfloat16_over_float32_cpu"] > 0
    assert figures["articles"] == figures["groups"] == 2
    assert len(figures["settings"]) == 6
    for row in figures["settings"]:
        assert 0 <= row["equal_rows"] <= 1
        assert {"rouge_l", "self_bleu", "eda"} < row.keys()
        rouge_l = row["rouge_l"]
        assert rouge_l["float32"] >= 0
        # Where no paired difference is other than 0 there is no interval, which is said by null and not by a number.
        if rouge_l["lo"] is None:
            assert (rouge_l["difference"], rouge_l["hi"]) == (0, None)
        else:
            assert rouge_l["lo"] <= rouge_l["difference"] <= rouge_l["hi"]


def test_committed_results_are_of_the_committed_model():
    """A model trained anew makes the results on it old."""
    from edt.models.checkpoint import checkpoint_identity

    weights = checkpoint_identity(MINI, code=False)["weights"]
    manifests = sorted((ROOT / "results" / "embedded_comparison").glob("manifest-*.json"))
    assert len(manifests) == 4
    for path in manifests:
        assert json.loads(path.read_text())["identity"]["model"]["weights"] == weights, path.name


def test_a_real_models_benchmark_reads_the_texts_of_a_file(tmp_path):
    """Each prompt holds a text of the file, within the length; the JSON says which file it was."""
    data = tmp_path / "own.jsonl"
    data.write_text("".join(json.dumps({"body": f"The {animal} sleeps."}) + "\n" for animal in ("cat", "dog")))
    words = [
        "--data",
        str(data),
        "--field",
        "body",
        "--prompts",
        "2",
        "--length",
        "64",
        "--tokens",
        "2",
        "--repeats",
        "1",
    ]
    figures = figures_of("scripts.bench_sweep", "--model", str(MINI), *words)
    assert figures["data"] == "own.jsonl"
    assert 4 < figures["length"] <= 64
    assert 0 < figures["share_in_model"] < 1
    assert figures["cpu_seconds"].keys() == figures["seconds"].keys()


def test_the_worker_of_the_vllm_benchmark_needs_nothing_of_edt():
    """It runs in vLLM's environment, where edt is not installed."""
    source = (ROOT / "scripts" / "vllm_worker.py").read_text()
    assert "import edt" not in source
    assert "from edt" not in source
    assert "from scripts" not in source


def test_the_benchmark_of_many_chunks_runs_and_ends_with_json():
    figures = figures_of("scripts.bench_chunks", "--chunks", "30", "--settings", "1")
    assert figures["chunks"] == 30
    assert {"seconds_growth", "memory_growth", "files_growth", "plan_half_s", "score_seals_share"} <= figures.keys()
    # A tenth of the chunks is three: of the figures only this one is exact.
    assert figures["files_growth"] == 1


def test_workers_are_timed_against_one_process():
    pytest.importorskip("ray")
    words = ["task=mini_xlsum", "task.limit=4", "strategy=fixed", "strategy.t0=[0.5,1]", "engine.max_rows=8"]
    figures = figures_of("scripts.bench_workers", "--repeats", "1", *words, "model.device=cpu")
    assert figures["chunks"] > 1
    assert {len(seconds) for seconds in figures["seconds"].values()} == {1}
    one, two = (seconds[0] for seconds in figures["seconds"].values())
    assert figures["one_process_over_workers"] == pytest.approx(one / two, rel=0.1)


def test_the_entropy_is_shown_for_each_text_and_each_random_model():
    words = ["--prompts", "2", "--length", "64", "--tokens", "2", "--shape", "tiny", "--entropies", "2"]
    shown = subprocess.run(
        [sys.executable, "-m", "scripts.bench_entropy", "--model", str(MINI), "--dtype", "float32", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    sweeps = json.loads(shown.stdout.splitlines()[-1])["sweeps"]
    assert [each["name"] for each in sweeps] == [str(MINI), str(MINI), "random, for 2 nats"]
    assert sweeps[0]["mean_entropy"] <= sweeps[1]["mean_entropy"]
    # Two steps of 288 rows: the first has read nothing, the second at most a context per row.
    assert all(each["rows_over_forward_rows"] >= 2 for each in sweeps)
    # Both random and real models are divided by a peer of their own kind.
    peers = [each["cpu_seconds"]["generate × 36 (reckoned)"] for each in sweeps]
    assert peers[0] == peers[1] != peers[2]


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_the_vllm_benchmark_shows_why_vllm_ended():
    shown = subprocess.run(
        [sys.executable, "-m", "scripts.bench_vllm", "--model", str(MINI), "--quick", "--vllm-python", sys.executable],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 1
    assert "vLLM ended without an answer. The end of " in shown.stderr
    assert "No module named 'vllm'" in shown.stderr
