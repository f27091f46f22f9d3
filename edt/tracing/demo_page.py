"""Show the results of a demo as an HTML page."""

from __future__ import annotations

from edt.report.colors import Scale
from edt.report.templating import render_page
from edt.terminal_text import visible, visible_lines
from edt.tracing.demo_results import SUMMARY_HEADINGS, DemoResults, summary
from edt.tracing.demo_terminal import setting_text, share_text


def demo_page(results: DemoResults) -> str:
    """Return the page as HTML text: one file that loads nothing and runs no script."""
    # One scale for all prompts: the same temperature has the same color on the whole page.
    scale = Scale.from_values([column.temperature for prompt in results.prompts for column in prompt.columns])
    comparison = results.comparison
    # The longest bar fills its cell; all others are relative to it, across settings.
    largest = 1.0 if comparison is None else max(p for setting in comparison.settings for p in setting.probabilities)

    return render_page(
        "demo.html.j2",
        title=results.title,
        results=results,
        comparison=comparison,
        largest=largest,
        summary=summary(results.prompts),
        headings=SUMMARY_HEADINGS,
        scale=scale,
        visible=visible,
        visible_lines=visible_lines,
        setting_text=setting_text,
        share_text=share_text,
    )
