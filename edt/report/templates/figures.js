// Charts that come with the page as plotly's traces and layout, such as those of a search.

/** Gives a trace the colors of the page: those of its family, and the scale of all maps. */
function themed(trace) {
  const copy = structuredClone(trace);
  const family = FAMILIES.get(copy.meta);
  if (family) {
    copy.marker = {...copy.marker, color: familyColor(copy.meta), symbol: family.mark};
    copy.line = {...copy.line, color: familyColor(copy.meta)};
  }
  for (const part of [copy, copy.marker, copy.line]) {
    if (part?.colorscale) part.colorscale = colorScale({better: 'lower'});
    if (part?.colorbar) part.colorbar = {thickness: 14, outlinewidth: 0, ...part.colorbar};
  }
  return copy;
}

function themedAxis(given) {
  const title = given.title?.text ?? given.title ?? '';
  return {...axis(''), ...given, title: {text: title, standoff: 12}};
}

function drawFigures() {
  for (const [index, {traces, layout: given}] of DATA.charts.entries()) {
    const container = document.getElementById(`edt-chart-${index}`);
    const parts = {...given};
    if (given.height) container.style.height = `${given.height}px`;
    for (const name of ['xaxis', 'yaxis']) if (given[name]) parts[name] = themedAxis(given[name]);
    if (traces.some((trace) => trace.type === 'parcoords')) {
      if (!hasWebgl()) { container.replaceChildren(element('p', {class: 'message'}, NO_WEBGL)); continue; }
      container.style.minWidth = `${traces[0].dimensions.length * AXIS_WIDTH}px`;
    }
    Plotly.react(container, traces.map(themed), layout(container, parts), PLOT);
  }
}
