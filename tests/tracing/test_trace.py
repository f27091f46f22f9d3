"""`edt trace`: what it prints, what it writes and what it refuses."""

import io
import json

import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console

from edt.cli import main
from edt.cli.app import config_folder
from edt.cli.argv import quote_texts
from edt.records import Trace
from edt.report.colors import RAMP, Scale, relative_luminance, shades, text_color_on
from edt.terminal_text import shortened, visible
from edt.tracing.trace_terminal import print_trace
from tests.support.command_line import refused
from tests.support.traces import hostile_trace, output, token


@pytest.fixture
def words(tiny_folder, tmp_path):
    return [
        "model=hf",
        f"model.path={tiny_folder}",
        "model.device=cpu",
        "sampling.max_new_tokens=5",
        f"paths.traces={tmp_path / 'traces'}",
        f"paths.runs={tmp_path / 'runs'}",
    ]


def test_a_prompt_is_traced_printed_and_written(words, tmp_path, capsys):
    ask = [*words, "prompt=Article: a, b {c}. Summary:", "unconditional_prompt=Summary:", "details=true"]
    assert main(["trace", *ask]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "\x1b" not in said.out
    assert "Article: a, b {c}. Summary:" in said.out
    for text in ("fixed(t0=1)", "edt(t0=1,theta=0.5)", "kld(t0=1,sigma=1)", "mean T", "p at T = 1", "₀₁₂"):
        assert text in said.out
    (page,) = tmp_path.rglob("trace.html")
    (parquet,) = tmp_path.rglob("trace.parquet")
    assert f"page: {page}" in said.out
    assert f"table: {parquet}" in said.out
    assert {f"({name})" in page.read_text() for name in ("t0=1", "t0=1,theta=0.5")} == {True}
    table = pq.read_table(parquet)
    assert table.schema.metadata[b"edt.prompt"] == b"Article: a, b {c}. Summary:"
    rows = table.to_pylist()
    assert [r["step"] for r in rows if r["strategy_id"] == "fixed(t0=1)"] == list(range(5))
    for row in rows:
        if row["strategy_id"].startswith("edt"):
            assert row["temperature"] == pytest.approx(0.8 ** (0.5 / row["entropy"]), rel=1e-5)
        assert len(row["alternatives"]) == 8
    before = page.read_bytes()
    assert main(["trace", *ask]) == 0
    assert page.read_bytes() == before
    assert len(list(tmp_path.rglob("trace.html"))) == 1


@pytest.mark.parametrize("other", ["model.dtype=float64", "engine=reference", "engine=hf_generate"])
def test_another_dtype_or_engine_has_a_folder_of_its_own(other, words, tmp_path):
    ask = [*words, "prompt=Hello", "strategy=fixed"]
    assert main(["trace", *ask]) == 0
    assert main(["trace", *ask, other]) == 0
    assert len(list(tmp_path.rglob("trace.html"))) == 2


def test_an_example_is_traced_with_the_tokens_of_its_run(words, tmp_path, capsys):
    """Common random numbers: looking at a row is looking at the row that a run scores."""
    (tmp_path / "news.eng").write_text("\n".join(f"Sentence {i}." for i in range(6)) + "\n")
    (tmp_path / "news.zho").write_text("\n".join(f"句子{i}。" for i in range(6)) + "\n")
    ask = [*words, "task=wmt19", f"task.path={tmp_path}", "strategy=compare_three", "sampling.samples=2"]
    assert main(["generate", *ask]) == 0
    run = [row for part in (tmp_path / "runs").rglob("part-*") for row in pq.read_table(part).to_pylist()]
    example = run[0]["example_id"]
    assert main(["trace", *ask, f"example={example}", "top=1"]) == 0
    said = capsys.readouterr().out
    assert f"wmt19, test, example {example}" in said
    assert "reference: " in said
    (parquet,) = tmp_path.rglob("trace.parquet")
    found = {}
    for row in pq.read_table(parquet).to_pylist():
        found.setdefault((row["strategy_id"], row["sample"]), []).append(row["token_id"])
    assert len(found) == 6
    assert found == {(r["strategy_id"], r["sample"]): r["token_ids"] for r in run if r["example_id"] == example}


def test_guided_temperature_is_left_out_where_there_is_no_source(words, capsys, caplog):
    assert main(["trace", *words, "prompt=Hello"]) == 0
    said = capsys.readouterr()
    message = said.err or caplog.text  # stderr where the command line handles the log itself
    assert message.count("Left out kld(t0=1,sigma=1)") == 1
    assert "unconditional_prompt=" in message
    assert "kld" not in said.out
    assert "fixed(t0=1)" in said.out


def test_a_key_of_the_task_has_no_effect_with_a_prompt_and_a_warning(words, capsys, caplog):
    assert main(["trace", *words, "strategy=fixed", "prompt=Hello", "task.max_new_tokens=2", "task.limit=1"]) == 0
    message = capsys.readouterr().err or caplog.text
    assert "task.max_new_tokens and task.limit have no effect" in message
    assert "sampling.max_new_tokens" in message


ERRORS = {
    "only guided": (["prompt=Hello", "strategy=kld"], ["kld", "unconditional_prompt=", "another strategy"]),
    "no text": (["prompt=''"], ["the prompt '' has no token"]),
    "two prompts": (["prompt=Hello", "example=x"], ["prompt and example", "remove one"]),
    "only unconditional": (["unconditional_prompt=Hello"], ["unconditional_prompt is set without prompt"]),
    "no alternatives": (["prompt=Hello", "top=0"], ["top is 0", "a whole number from 1 to 1,000"]),
    "details": (["prompt=Hello", "details=3"], ["details is 3", "true or false"]),
    "example": (["example=mini_xlsum-test-00000", "task.limit=9"], ["did you mean", "9 examples", "mini_xlsum"]),
    "demo and prompt": (["demo=story", "prompt=Hello"], ["prompt has no meaning in a demo", "demo.prompts"]),
    "too long": (["prompt=" + "x" * 300, "strategy=fixed"], ["exceeds the model's context"]),
    "labels": (["demo=story", "demo.labels=[a]"], ["demo.labels has 1", "2 prompts"]),
    "no prompts": (["demo=story", "demo.prompts=[]"], ["demo.prompts", "at least one"]),
    "same prompts": (["demo=story", "demo.prompts=[a,a]"], ["demo.prompts", "twice"]),
    "same temperatures": (["demo=story", "demo.temperatures=[1,1.0]"], ["demo.temperatures", "twice"]),
    "empty stop": (["demo=story", "demo.stop=['']"], ["demo.stop", "empty"]),
    "tokens": (["demo=temperature", "demo.distribution.tokens=0"], ["demo.distribution.tokens is 0"]),
    "no strategy": (["demo=temperature", "demo.distribution.settings.cooler=3"], ["settings.cooler is 3", "strategy"]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_sentence(case, capsys, words, tmp_path):
    given, expected = ERRORS[case]
    said = refused(capsys, "trace", *words, *given)
    assert all(word in said for word in expected), said
    assert not list(tmp_path.iterdir())


def test_the_error_for_an_unwritable_folder_names_its_setting(words, capsys, tmp_path):
    (tmp_path / "traces").write_text("in the way")
    assert "paths.traces=FOLDER" in refused(capsys, "trace", *words, "prompt=Hello", "strategy=fixed")


TEXTS = [
    "On Monday, Anna: went [to] {x}",
    "a\nb",
    'say "hi"',
    "it's",
    "a\\",
    'a\\"b\\\\"',
    "${paths.runs} and \\${x} and \\\\${y}",
    "\\n",
    "  lead",
    "null x",
    "'a' and 'b'",
    "x=1",
    "中文,",
    "$HOME ${",
    "}{${oc.env:HOME}",
    "3",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_on_the_command_line_is_read_as_it_stands(text):
    with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
        config = compose(
            config_name="trace", overrides=quote_texts("trace", [f"prompt={text}", f"unconditional_prompt={text}"])
        )
    plain = OmegaConf.to_container(config, resolve=True)
    assert plain["prompt"] == plain["unconditional_prompt"] == text


def test_other_words_of_the_command_line_stay_as_they_are():
    words = ["prompt=null", "prompt='a, b'", 'unconditional_prompt="x"', "task.limit=3", "--cfg", "strategy.t0=[1,2]"]
    assert quote_texts("trace", words) == words
    assert quote_texts("run", ["prompt=a, b"]) == ["prompt=a, b"]


def shown(trace, **settings):
    console = Console(file=io.StringIO(), width=100, **settings)
    print_trace(trace, console, details=False)
    return console.file.getvalue()


def escape_of(color):
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"48;2;{red};{green};{blue}m"


def test_the_terminal_colors_each_token_by_its_temperature():
    tokens = [token(0, " cold", 0.0), token(1, " warm", 0.5, rank=4), token(2, " hot", 1.0)]
    trace = Trace(model="m", origin="a prompt", prompt="p", references=(), seed=0, outputs=(output("edt()", *tokens),))
    text = shown(trace, force_terminal=True, color_system="truecolor")
    scale = Scale(low=0.0, high=1.0)
    for item in tokens:
        before, _, _ = text.partition(item.token)
        style = before.rpartition("\x1b[")[2]
        assert escape_of(scale.color(item.temperature)).removesuffix("m") in style
        assert style.startswith("4;") == (item.rank > 1), "underlined where it is not the likeliest"
    assert "₅" not in text
    without = shown(trace, force_terminal=True, color_system="truecolor", no_color=True)
    assert "48;2" not in without
    assert " cold₀ warm₅* hot₉" in without


def test_model_text_cannot_move_the_cursor():
    text = shown(hostile_trace(), force_terminal=False)
    assert "\x1b" not in text
    assert "␛[2J⏎" in text
    assert visible("a\x00\x07\x9b\u202eb\t\x7f") == "a␀␇\ufffd\ufffdb⇥␡"
    assert shortened("x" * 50, 10) == "xxxxx […] xxxxx"


def test_the_colors_are_in_order_and_their_ink_stands_out():
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    ends = [to_rgb(shades()[0]), to_rgb(shades()[-1])]
    assert ends == [pytest.approx(colormaps[RAMP](place)[:3], abs=1 / 255) for place in (0.0, 1.0)]
    luminance = [relative_luminance(shade) for shade in shades()]
    assert luminance == sorted(luminance)
    assert (relative_luminance("#ffffff"), relative_luminance("#000000")) == (pytest.approx(1), 0)
    for shade in shades():
        lighter, darker = sorted([relative_luminance(shade), relative_luminance(text_color_on(shade))], reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, "WCAG AA"
    assert Scale.from_values([0.0]).fraction(0.0) == 0.0
    assert Scale.from_values([0.2, 2.0]).mark(2.0) == "₉"


def test_traces_are_json(words, capsys, tmp_path):
    """A page holds what its script reads as plain JSON, whatever a model of 259 bytes writes."""
    assert main(["trace", *words, "prompt=Hello", "strategy=fixed", "strategy.t0=3", "sampling.samples=3"]) == 0
    (page,) = tmp_path.rglob("trace.html")
    text = page.read_text(encoding="utf-8")
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert [len(entry) for entry in data["outputs"]] == [5, 5, 5]
