"""Print a trace on the terminal: each token on the color of its temperature, or with a mark where there is no color."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edt.records import Trace, TracedOutput, TracedToken
from edt.report.colors import LEVELS, Scale
from edt.terminal_text import NEWLINE, shortened, visible, visible_lines

_PROMPT_SHOWN = 1200
"""Characters of a prompt that are printed; the page shows all of it."""


def print_trace(trace: Trace, console: Console, *, details: bool) -> None:
    """Print the prompt, the legend and each output. details: print a table of the tokens below each output."""
    # A pipe gets marks in place of colors, so that a saved trace still shows temperatures.
    color = has_color(console)
    # One scale for all outputs, so that the colors of two strategies can be compared.
    scale = Scale.from_values([token.temperature for output in trace.outputs for token in output.tokens])

    console.print(Text(f"{trace.origin} · model {trace.model} · seed {trace.seed}", style="bold"))
    console.print(Padding(Text(visible_lines(shortened(trace.prompt, _PROMPT_SHOWN)), style="dim"), (0, 2)))
    for reference in trace.references:
        console.print(Padding(Text(f"reference: {visible(reference)}", style="dim italic"), (0, 2)))
    console.print(_legend(scale, color=color))

    for output in trace.outputs:
        console.print()
        console.print(_heading(output))
        console.print(Padding(_colored(output, scale, color=color), (0, 2)))
        if details:
            console.print(Padding(_token_table(output, scale, color=color), (0, 2)))
    console.print()


def has_color(console: Console) -> bool:
    """Return whether the console shows colors; a pipe, a dumb terminal and NO_COLOR have none."""
    return console.color_system is not None and not console.no_color


def probability_text(probability: float) -> str:
    """Return three decimals, or the power of ten if they would be 0."""
    return f"{probability:.3f}" if probability >= 0.0005 or probability == 0 else f"{probability:.0e}"


def _legend(scale: Scale, *, color: bool) -> Text:
    """Return the colors or marks of ten temperatures, and what else is marked."""
    text = Text("temperature ")
    text.append(f"{scale.low:.2f} ")
    for tenth in range(len(LEVELS)):
        # The middle of each tenth, which has the color of the marks in it.
        value = scale.low + (tenth + 0.5) / len(LEVELS) * (scale.high - scale.low)
        text.append("   " if color else LEVELS[tenth], style=_token_style(value, scale) if color else Style())
    text.append(f" {scale.high:.2f}")

    text.append("   ")
    if color:
        text.append("underlined", style=Style(underline=True))
    else:
        text.append("*")
    text.append(": not the likeliest token")
    return text


def _heading(output: TracedOutput) -> Text:
    text = Text(output.strategy_id, style="bold")
    # With one sample per strategy, its number says nothing.
    sample = f" · sample {output.sample}" if output.sample else ""
    means = f" · mean T {output.t_mean:.2f} · mean H {output.h_mean:.2f} nats · {len(output.tokens)} tokens"
    text.append(f"{sample}{means} · ended by {output.finish_reason}", style="not bold dim")
    return text


def _colored(output: TracedOutput, scale: Scale, *, color: bool) -> Text:
    """Return the tokens of an output, each colored or marked by its temperature."""
    text = Text()
    for token in output.tokens:
        shown = visible(token.token)
        if color:
            style = _token_style(token.temperature, scale) + Style(underline=token.rank > 1)
            text.append(shown, style=style)
        else:
            text.append(shown + scale.mark(token.temperature) + ("*" if token.rank > 1 else ""))

        # The sign for a line break is followed by a real one, so that lists and dialogues keep their lines.
        if shown.endswith(NEWLINE):
            text.append("\n")
    return text


def _token_style(temperature: float, scale: Scale) -> Style:
    return Style(color=scale.text_color(temperature), bgcolor=scale.color(temperature))


def _token_table(output: TracedOutput, scale: Scale, *, color: bool) -> Table:
    """Return a row per token: entropy, temperature, rank, and its probability at T = 1 and as drawn."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in ("step", "token", "H (nats)", "T", "rank", "p at T = 1", "p as drawn"):
        table.add_column(name, justify="left" if name == "token" else "right", no_wrap=True)

    for token in output.tokens:
        temperature = Text(f"{token.temperature:.3f}", style=_token_style(token.temperature, scale) if color else "")
        text, entropy, *others = _token_cells(token)
        # rich reads a plain string as markup, so a model's text goes in as a Text.
        table.add_row(str(token.step + 1), Text(text), entropy, temperature, *others)
    return table


def _token_cells(token: TracedToken) -> list[str]:
    """Return a token's text, entropy, rank and two probabilities; leading spaces show as dots."""
    text = visible(token.token)
    return [
        # A table cell would hide leading spaces, and they distinguish tokens.
        "·" * (len(text) - len(text.lstrip(" "))) + text.lstrip(" "),
        f"{token.entropy:.3f}",
        str(token.rank),
        probability_text(token.probability),
        probability_text(token.sampling_prob),
    ]
