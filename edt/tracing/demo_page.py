"""A demo as a page."""

from __future__ import annotations

from edt.report.colors import Scale
from edt.report.escape_control_chars import visible, visible_lines
from edt.report.templating import render_page
from edt.tracing.demo_results import SUMMARY_HEADINGS, DemoResults, summary
from edt.tracing.demo_terminal import setting_text, share_text


def demo_page(show: DemoResults) -> str:
    """The page as HTML text."""
    scale = Scale.from_values([column.temperature for block in show.blocks for column in block.columns])
    shapes = show.shapes
    largest = 1.0 if shapes is None else max(p for setting in shapes.settings for p in setting.probabilities)
    return render_page(
        "demo.html.j2",
        title=show.title,
        show=show,
        largest=largest,
        summary=summary(show.blocks),
        headings=SUMMARY_HEADINGS,
        scale=scale,
        visible=visible,
        visible_lines=visible_lines,
        setting_text=setting_text,
        share_text=share_text,
    )
