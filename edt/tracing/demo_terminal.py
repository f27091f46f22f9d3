"""Print the results of a demo on the terminal: bars of a distribution, samples side by side, and a summary."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edt.report.colors import Scale
from edt.terminal_text import visible, visible_lines
from edt.tracing.demo_results import (
    SUMMARY_HEADINGS,
    DemoResults,
    DistributionComparison,
    PromptSamples,
    SettingDistribution,
    summary,
)
from edt.tracing.trace_terminal import has_color, probability_text

_BAR_WIDTH = 12
"""Columns of the longest bar, if the terminal is wide enough."""
_TOKEN_WIDTH, _NUMBER_WIDTH, _GAP = 16, 6, 3
"""Columns that a token, a number and the gap between two columns of the table take."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


def print_demo(results: DemoResults, console: Console) -> None:
    """Print all results of a demo."""
    console.print(Text(f"{results.title} · model {results.model} · seed {results.seed}", style="bold"))
    if results.comparison is not None:
        _print_comparison(results.comparison, console)

    scale = Scale.from_values([column.temperature for prompt in results.prompts for column in prompt.columns])
    for prompt in results.prompts:
        _print_samples(prompt, scale, console)
    _print_summary(results, console)


def setting_text(setting: SettingDistribution) -> str:
    """Return the temperature and the truncation of a setting in short, as "T=1, top_k=5"."""
    parameters = setting.strategy_id.partition("(")[2].rstrip(")").split(",")
    # The temperature is printed as realized: a rule's t0 is not what the distribution was divided by.
    return ", ".join([f"T={setting.temperature:.3g}", *(p for p in parameters if not p.startswith("t0="))])


def share_text(probability: float) -> str:
    """Return a probability as text, or a dash for a token that cannot be drawn."""
    return "–" if probability == 0 else probability_text(probability)


def _print_comparison(comparison: DistributionComparison, console: Console) -> None:
    """Print the likeliest tokens with a bar for each setting."""
    console.print()
    console.print(Text.assemble("The token after ", (visible_lines(comparison.prompt), "bold"), " …"))

    # Settings have the columns, so that the effect on one token is read along a row.
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("token", no_wrap=True, max_width=_TOKEN_WIDTH)
    for setting in comparison.settings:
        table.add_column(Text(f"{setting.name}\n{setting_text(setting).replace(', ', chr(10))}"), no_wrap=True)

    # Bars shrink, down to nothing, before the numbers would be cut off.
    free = (console.width - _TOKEN_WIDTH) // len(comparison.settings) - _NUMBER_WIDTH - _GAP
    width = min(_BAR_WIDTH, max(free, 0))
    largest = max(probability for setting in comparison.settings for probability in setting.probabilities)
    for index, token in enumerate(comparison.tokens):
        cells = [_bar_cell(setting.probabilities[index], largest, width) for setting in comparison.settings]
        table.add_row(Text(visible(token)), *cells)

    others = [Text(share_text(setting.others)) for setting in comparison.settings]
    table.add_row(Text("all others", style="dim"), *others, style="dim")
    table.add_section()
    table.add_row(Text("tokens kept"), *(f"{setting.kept_tokens:,}" for setting in comparison.settings))
    table.add_row(Text("entropy (nats)"), *(f"{setting.entropy:.2f}" for setting in comparison.settings))
    console.print(table)


def _bar_cell(probability: float, largest: float, width: int) -> Text:
    """Return a number and a bar; the largest number of the table fills the bar's width."""
    # Unicode has blocks of an eighth of a character: bars are eight times finer than columns.
    eighths = round(8 * width * probability / largest)
    bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return Text.assemble(f"{share_text(probability):<{_NUMBER_WIDTH}}", (f"{bar:<{width}}", "cyan"))


def _print_samples(prompt: PromptSamples, scale: Scale, console: Console) -> None:
    """Print the samples of a prompt, a column per temperature; the samples of a row are drawn with the same noise."""
    console.print()
    console.print(Text.assemble((visible_lines(prompt.prompt), "bold"), (f" …   {prompt.label}", "dim")))

    table = Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False, expand=True)
    for column in prompt.columns:
        style = Style(color=scale.text_color(column.temperature), bgcolor=scale.color(column.temperature), bold=True)
        # Without color the heading is only bold; its text names the temperature anyway.
        heading = Text(f" T = {column.temperature:g} ", style=style if has_color(console) else "bold")
        # Equal widths, and long words are folded: samples of a model can have any length.
        table.add_column(heading, ratio=1, overflow="fold")
    for sample in range(len(prompt.columns[0].texts)):
        cells = [_sample_cell(column.texts[sample], sample, column.repeats[sample]) for column in prompt.columns]
        table.add_row(*cells)
    console.print(table)


def _sample_cell(text: str, sample: int, repeated: int | None) -> Text:
    """Return a sample with its number, or the number of the sample that it repeats."""
    if repeated is not None:
        return Text(f"{sample + 1}. the same as {repeated + 1}", style="dim")
    return Text(f"{sample + 1}. {visible_lines(text)}" if text else f"{sample + 1}. (empty)")


def _print_summary(results: DemoResults, console: Console) -> None:
    """Print how many outputs differ, and how similar they are, at each temperature."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("")
    for name in SUMMARY_HEADINGS:
        table.add_column(name, justify="right")

    for label, lines in summary(results.prompts):
        for index, line in enumerate(lines):
            table.add_row(Text(label if index == 0 else ""), *line, end_section=index == len(lines) - 1)
    console.print(table)
    console.print(
        Text("Self-BLEU: similarity of the samples of a prompt; lower is more diverse. H: entropy.", style="dim")
    )
