"""A trace on the terminal: each token in the color of its temperature, or with a mark where there is no color."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edt.records import Trace, TracedOutput, TracedToken
from edt.report.colors import LEVELS, Scale
from edt.report.escape_control_chars import NEWLINE, shortened, visible, visible_lines

PROMPT_SHOWN = 1200
"""Characters of a prompt to show; the page has all."""


def print_trace(trace: Trace, console: Console, *, details: bool) -> None:
    """Print the prompt, the legend and each output; with details a table of its tokens."""
    color = has_color(console)
    scale = Scale.from_values([token.temperature for output in trace.outputs for token in output.tokens])
    console.print(Text(f"{trace.origin} · model {trace.model} · seed {trace.seed}", style="bold"))
    console.print(Padding(Text(visible_lines(shortened(trace.prompt, PROMPT_SHOWN)), style="dim"), (0, 2)))
    for reference in trace.references:
        console.print(Padding(Text(f"reference: {visible(reference)}", style="dim italic"), (0, 2)))
    console.print(legend(scale, color=color))
    for output in trace.outputs:
        console.print()
        console.print(heading(output))
        console.print(Padding(colored(output, scale, color=color), (0, 2)))
        if details:
            console.print(Padding(token_table(output, scale, color=color), (0, 2)))
    console.print()


def has_color(console: Console) -> bool:
    """Whether the console shows colors; a pipe, a dumb terminal and NO_COLOR have none."""
    return console.color_system is not None and not console.no_color


def legend(scale: Scale, *, color: bool) -> Text:
    """What color or mark stands for which temperature."""
    text = Text("temperature ")
    text.append(f"{scale.low:.2f} ")
    for tenth in range(len(LEVELS)):
        value = scale.low + (tenth + 0.5) / len(LEVELS) * (scale.high - scale.low)
        text.append("   " if color else LEVELS[tenth], style=token_style(value, scale) if color else Style())
    text.append(f" {scale.high:.2f}")
    if color:
        text.append("   ")
        text.append("underlined", style=Style(underline=True))
        text.append(": not the likeliest token")
    else:
        text.append("   *: not the likeliest token")
    return text


def heading(output: TracedOutput) -> Text:
    """An output's strategy and its means."""
    text = Text(output.strategy_id, style="bold")
    sample = f" · sample {output.sample}" if output.sample else ""
    about = f"{sample} · mean T {output.t_mean:.2f} · mean H {output.h_mean:.2f} nats · {len(output.tokens)} tokens"
    text.append(f"{about} · ended by {output.finish_reason}", style="not bold dim")
    return text


def colored(output: TracedOutput, scale: Scale, *, color: bool) -> Text:
    """The output's tokens, each colored or marked by its temperature."""
    text = Text()
    for token in output.tokens:
        shown = visible(token.token)
        if color:
            style = token_style(token.temperature, scale) + Style(underline=token.rank > 1)
            text.append(shown, style=style)
        else:
            text.append(shown + scale.mark(token.temperature) + ("*" if token.rank > 1 else ""))
        if shown.endswith(NEWLINE):
            text.append("\n")
    return text


def token_style(temperature: float, scale: Scale) -> Style:
    """Ink on the color of a temperature."""
    return Style(color=scale.text_color(temperature), bgcolor=scale.color(temperature))


def token_table(output: TracedOutput, scale: Scale, *, color: bool) -> Table:
    """A row per token: entropy, temperature, rank, probability at T = 1 and as drawn."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in ("step", "token", "H (nats)", "T", "rank", "p at T = 1", "p as drawn"):
        table.add_column(name, justify="left" if name == "token" else "right", no_wrap=True)
    for token in output.tokens:
        temperature = Text(f"{token.temperature:.3f}", style=token_style(token.temperature, scale) if color else "")
        piece, *others = token_cells(token)
        table.add_row(str(token.step + 1), Text(piece), others[0], temperature, *others[1:])
    return table


def token_cells(token: TracedToken) -> list[str]:
    """A token's piece, entropy, rank and probabilities; a space ahead of a piece shows as a dot."""
    piece = visible(token.token)
    shown = "·" * (len(piece) - len(piece.lstrip(" "))) + piece.lstrip(" ")
    return [
        shown,
        f"{token.entropy:.3f}",
        str(token.rank),
        probability_text(token.probability),
        probability_text(token.sampling_prob),
    ]


def probability_text(probability: float) -> str:
    """Three decimals, or the power of ten where that would be 0."""
    return f"{probability:.3f}" if probability >= 0.0005 or probability == 0 else f"{probability:.0e}"
