"""A demo on the terminal: bars of a distribution, samples side by side, and what was measured of them."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edt.report.colors import Scale
from edt.report.escape_control_chars import visible, visible_lines
from edt.tracing.demo_results import (
    SUMMARY_HEADINGS,
    DemoResults,
    DistributionComparison,
    PromptSamples,
    SettingDistribution,
    summary,
)
from edt.tracing.trace_terminal import has_color, probability_text

BAR_WIDTH = 12
"""Of the widest bar, where the terminal has room."""
TOKEN_WIDTH, NUMBER_WIDTH, GAP = 16, 6, 3
"""Columns of a terminal that a token, a number and the space between columns take."""
EIGHTHS = " ▏▎▍▌▋▊▉"


def print_show(show: DemoResults, console: Console) -> None:
    """Print all of a demo."""
    console.print(Text(f"{show.title} · model {show.model} · seed {show.seed}", style="bold"))
    if show.shapes is not None:
        print_shapes(show.shapes, console)
    scale = Scale.from_values([column.temperature for block in show.blocks for column in block.columns])
    for block in show.blocks:
        print_block(block, scale, console)
    print_summary(show, console)


def print_shapes(shapes: DistributionComparison, console: Console) -> None:
    """Print the likeliest tokens with a bar per setting; a token that cannot be drawn has a dash."""
    console.print()
    console.print(Text.assemble("The token after ", (visible_lines(shapes.prompt), "bold"), " …"))
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("token", no_wrap=True, max_width=TOKEN_WIDTH)
    for setting in shapes.settings:
        table.add_column(Text(f"{setting.name}\n{setting_text(setting).replace(', ', chr(10))}"), no_wrap=True)
    room = (console.width - TOKEN_WIDTH) // len(shapes.settings) - NUMBER_WIDTH - GAP
    width = min(BAR_WIDTH, max(room, 0))
    largest = max(probability for setting in shapes.settings for probability in setting.probabilities)
    for place, token in enumerate(shapes.tokens):
        cells = [bar_cell(setting.probabilities[place], largest, width) for setting in shapes.settings]
        table.add_row(Text(visible(token)), *cells)
    table.add_row(
        Text("all others", style="dim"), *(Text(share_text(setting.others)) for setting in shapes.settings), style="dim"
    )
    table.add_section()
    table.add_row(Text("tokens kept"), *(f"{setting.kept_tokens:,}" for setting in shapes.settings))
    table.add_row(Text("entropy (nats)"), *(f"{setting.entropy:.2f}" for setting in shapes.settings))
    console.print(table)


def setting_text(setting: SettingDistribution) -> str:
    """A setting's temperature and truncation in short."""
    inside = setting.strategy_id.partition("(")[2].rstrip(")")
    truncation = [part for part in inside.split(",") if not part.startswith("t0=")]
    return ", ".join([f"T={setting.temperature:.3g}", *truncation])


def share_text(probability: float) -> str:
    """A probability, or a dash for none."""
    return "–" if probability == 0 else probability_text(probability)


def bar_cell(probability: float, largest: float, width: int) -> Text:
    """A number and a bar; the largest of the table fills the bar's width."""
    eighths = round(8 * width * probability / largest)
    bar = "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
    return Text.assemble(f"{share_text(probability):<{NUMBER_WIDTH}}", (f"{bar:<{width}}", "cyan"))


def print_block(block: PromptSamples, scale: Scale, console: Console) -> None:
    """Print a prompt's samples, a column per temperature; the samples of a line have the same noise."""
    console.print()
    console.print(Text.assemble((visible_lines(block.prompt), "bold"), (f" …   {block.label}", "dim")))
    table = Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False, expand=True)
    for column in block.columns:
        style = Style(color=scale.text_color(column.temperature), bgcolor=scale.color(column.temperature), bold=True)
        heading = Text(f" T = {column.temperature:g} ", style=style if has_color(console) else "bold")
        table.add_column(heading, ratio=1, overflow="fold")
    for place in range(len(block.columns[0].texts)):
        table.add_row(
            *(sample_cell(column.texts[place], place, column.repeats[place]) for column in block.columns),
        )
    console.print(table)


def sample_cell(text: str, place: int, repeat: int | None) -> Text:
    """A sample with its number, or the number of the sample that it repeats."""
    if repeat is not None:
        return Text(f"{place + 1}. the same as {repeat + 1}", style="dim")
    return Text(f"{place + 1}. {visible_lines(text)}" if text else f"{place + 1}. (empty)")


def print_summary(show: DemoResults, console: Console) -> None:
    """Print what was measured: how different and how alike the samples are at each temperature."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("")
    for name in SUMMARY_HEADINGS:
        table.add_column(name, justify="right")
    for label, lines in summary(show.blocks):
        for place, line in enumerate(lines):
            table.add_row(Text(label if place == 0 else ""), *line, end_section=place == len(lines) - 1)
    console.print(table)
    console.print(Text("Self-BLEU: how alike the samples of a prompt are; lower is more varied.", style="dim"))
