// Charts of all settings of a task and split, drawn by plotly: the Pareto front, and EDA over temperature.
/** Plotly's options, without the buttons that would send a chart to a server. */
const PLOT = {responsive: true, displaylogo: false, plotlyServerURL: '', modeBarButtonsToRemove: ['sendChartToCloud', 'select2d', 'lasso2d', 'autoScale2d']};

/** Escapes a text for plotly, which reads some HTML tags in its labels. */
const plotText = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const isNarrow = (container) => container.clientWidth < 640;
const inkColor = (share) => (isDark() ? `rgba(228,231,235,${share})` : `rgba(27,31,36,${share})`);
const pageColor = () => (isDark() ? '#15181c' : '#ffffff');

/** Returns colors from best to worst, each with the color of a text on it; the best is the darkest. */
const scaleColors = () => DATA.scales[isDark() ? 'dark' : 'light'];
/** Returns a color scale over a metric's values, lowest first. */
function colorScale(metric) {
  const colors = scaleColors().map(([color]) => color);
  if (metric.better !== 'lower') colors.reverse();
  return colors.map((color, index) => [index / (colors.length - 1), color]);
}

function axis(title) {
  return {
    title: {text: plotText(title), standoff: 12}, gridcolor: inkColor(0.1), linecolor: inkColor(0.35), zeroline: false, ticks: 'outside', tickcolor: inkColor(0.35),
    automargin: true,
  };
}

function layout(container, parts) {
  const below = {orientation: 'h', x: 0, xanchor: 'left', y: -0.2, yanchor: 'top'};
  return {
    margin: {l: 56, r: 16, t: 36, b: 52}, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    font: {family: getComputedStyle(document.body).fontFamily, size: 12, color: inkColor(1)},
    hoverlabel: {align: 'left', bgcolor: pageColor(), bordercolor: inkColor(0.4), font: {color: inkColor(1), family: getComputedStyle(document.body).fontFamily}},
    legend: isNarrow(container) ? below : {x: 1.01, y: 1},
    modebar: {bgcolor: 'rgba(0,0,0,0)', color: inkColor(0.45), activecolor: inkColor(0.9)}, hovermode: 'closest', uirevision: 'kept', ...parts,
  };
}

function hoverText(point) {
  const params = Object.entries(point.params).map(([name, value]) => `${name} = ${value ?? MISSING}`).join(', ');
  const lines = DATA.metrics
    .filter((metric) => point.metrics[metric.name])
    .map((metric) => `${plotText(metricTitle(metric.name, point.task))}: ${point.texts[metric.name]}`);
  return [`<b>${plotText(point.text)}</b>`, plotText(point.family + (params ? ` · ${params}` : '')), ...lines, ...(point.chosen ? ['chosen on dev'] : [])].join('<br>');
}

const valuesOf = (points, name) => points.map((point) => point.metrics[name][0]);
const withMetrics = (points, names) => points.filter((point) => names.every((name) => point.metrics[name]));

function pointsAt(task, split) {
  return DATA.points.filter((point) => point.task === task && point.split === split);
}

/** Returns the distances of a bound from its value, 0 if there is no bound. */
const boundDistances = (points, name, bound) => points.map(({metrics}) => Math.abs((metrics[name][bound] ?? metrics[name][0]) - metrics[name][0]));

function scatter(points, family, x, y, more) {
  return {
    type: 'scatter', mode: 'markers', name: plotText(family), legendgroup: family, uid: family, x: valuesOf(points, x), y: valuesOf(points, y),
    marker: {color: familyColor(family), symbol: FAMILIES.get(family).mark, size: 9, opacity: 0.9, line: {width: 0.75, color: pageColor()}},
    customdata: points.map(hoverText), hovertemplate: '%{customdata}<extra></extra>', ...more,
  };
}

function frontLine(points, family, x, y, uid) {
  return {
    type: 'scatter', mode: 'lines', legendgroup: family, showlegend: false, uid, x: valuesOf(points, x), y: valuesOf(points, y), hoverinfo: 'skip',
    line: {color: familyColor(family), width: 1.75},
  };
}

/** Draws rings around the chosen settings, with their intervals. */
function chosenRings(points, x, y) {
  const bars = (name) => ({...errorBars(points, name, inkColor(0.55)), width: 3});
  return {
    type: 'scatter', mode: 'markers', name: 'chosen on dev, 95 % interval', uid: 'chosen', x: valuesOf(points, x), y: valuesOf(points, y), error_x: bars(x),
    error_y: bars(y), hoverinfo: 'skip', marker: {symbol: 'circle-open', size: 17, color: inkColor(0.9), line: {width: 2}},
  };
}

/** Returns the parameters that vary in the setting's family as a short label, "T0 0.7, θ 0.5"; the family where none does. */
function shortLabel(point) {
  const names = {t0: 'T0', theta: 'θ', sigma: 'σ'};
  const axes = FAMILIES.get(point.family).axes;
  const written = Object.entries(point.params).filter(([name]) => axes.includes(name));
  return plotText(written.map(([name, each]) => `${names[name] ?? name} ${each}`).join(', ') || point.family);
}

/** Returns the points of a family that are named in the chart: all of a short line of fixed temperatures, else the best. */
function labeled(points, family) {
  if (family === 'fixed' && points.length <= 20) return points;
  const best = points.reduce((a, b) => (isBetter(b, a) ? b : a));
  return distinct([best, ...points.filter((point) => point.chosen)]);
}

const LABEL_PLACES = {
  'top center': [-0.5, -1.6], 'bottom center': [-0.5, 0.6], 'middle right': [0.12, -0.5], 'middle left': [-1.12, -0.5],
  'top right': [0.05, -1.4], 'top left': [-1.05, -1.4], 'bottom right': [0.05, 0.4], 'bottom left': [-1.05, 0.4],
};

/** Returns labels with places inside the chart where they cover neither each other nor many points; one without a place is left out. */
function placeLabels(entries, points, x, y, container) {
  const span = (values) => [Math.min(...values), Math.max(...values)];
  const [[left, right], [bottom, top]] = [span(valuesOf(points, x)), span(valuesOf(points, y))];
  const [width, height] = [container.clientWidth * (isNarrow(container) ? 0.8 : 0.68), container.clientHeight * 0.72];
  // An estimate of what plotly will draw: positions in pixels, and a text of 11 pixels that is 6 wide for each character.
  const pixel = (point) => [((point.metrics[x][0] - left) / (right - left || 1)) * width, (1 - (point.metrics[y][0] - bottom) / (top - bottom || 1)) * height];
  const dots = points.map(pixel).map(([px, py]) => [px - 4, py - 4, px + 4, py + 4]);
  // Around its points plotly leaves about a twentieth of the axis; what is beyond covers the ticks.
  const inside = ([x0, y0, x1, y1]) => x0 >= -0.05 * width && x1 <= 1.05 * width && y0 >= -0.05 * height && y1 <= 1.05 * height;
  const overlaps = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
  const placed = [];
  for (const entry of entries) {
    const [px, py] = pixel(entry.point);
    const [w, h] = [entry.text.length * 6 + 12, 13];
    const choices = Object.entries(LABEL_PLACES).map(([place, [dx, dy]]) => ({place, box: [px + dx * w, py + dy * h, px + dx * w + w, py + dy * h + h]}))
      .filter(({box}) => inside(box) && !placed.some((other) => overlaps(other.box, box)))
      .map((choice) => ({...choice, covered: dots.filter((dot) => overlaps(dot, choice.box)).length}));
    const best = choices.reduce((a, b) => (a && a.covered <= b.covered ? a : b), null);
    if (best && best.covered <= entry.covers) placed.push({...entry, ...best});
  }
  return placed;
}

/** Labels the best setting of each family, then the ends of the fixed temperatures, then the other fixed points. */
function pointLabels(points, x, y, container) {
  const named = perFamily(points, (family, ofFamily) => labeled(ofFamily, family).map((point) => ({point, text: family === 'fixed' ? plotText(point.params.t0 ?? point.text) : shortLabel(point)})));
  const fixed = named.filter(({point}) => point.family === 'fixed');
  const rank = (entry) => (entry.point.family !== 'fixed' ? 0 : [fixed[0], fixed.at(-1)].includes(entry) ? 1 : 2);
  const entries = named.map((entry) => ({...entry, covers: rank(entry) === 2 ? 1 : 6})).sort((a, b) => rank(a) - rank(b));
  const placed = placeLabels(entries, points, x, y, container);
  return perFamily(placed.map(({point}) => point), (family) => {
    const own = placed.filter(({point}) => point.family === family);
    return [{
      type: 'scatter', mode: 'markers+text', legendgroup: family, showlegend: false, uid: `${family} labels`, hoverinfo: 'skip', marker: {size: 16, opacity: 0}, // keeps the text off its ring
     
      x: valuesOf(own.map(({point}) => point), x), y: valuesOf(own.map(({point}) => point), y), text: own.map(({text}) => text), textposition: own.map(({place}) => place),
      textfont: {size: 11, color: familyColor(family), shadow: [1, -1].flatMap((dx) => [1, -1].map((dy) => `${dx}px ${dy}px 2px ${pageColor()}`)).join(', ')},
    }];
  });
}

const errorBars = (points, name, color) => ({
  type: 'data', array: boundDistances(points, name, 2), arrayminus: boundDistances(points, name, 1), color, thickness: 1, width: 0,
});

/** Draws the intervals of points as crosses behind them. */
function intervals(points, family, x, y) {
  return {
    type: 'scatter', mode: 'markers', legendgroup: family, showlegend: false, uid: `${family} intervals`, hoverinfo: 'skip', x: valuesOf(points, x), y: valuesOf(points, y),
    opacity: 0.4, marker: {size: 1, color: familyColor(family)}, error_x: errorBars(points, x, familyColor(family)), error_y: errorBars(points, y, familyColor(family)),
  };
}

function missingNote(points, drawn) {
  const omitted = points.length - drawn.length;
  return omitted ? `${omitted} of ${points.length} settings have a missing value and are not drawn.` : '';
}

function perFamily(points, make) {
  return distinct(points.map((point) => point.family)).flatMap((family) => make(family, points.filter((point) => point.family === family)));
}

function drawFront(task, split) {
  const [x, y] = ['self_bleu', 'quality'];
  const all = pointsAt(task, split);
  const points = withMetrics(all, [x, y]);
  const traces = perFamily(points, (family, ofFamily) => {
    const front = ofFamily.filter((point) => point.front).sort((a, b) => a.metrics[x][0] - b.metrics[x][0]);
    const shown = byId('front-intervals').checked ? [intervals(front, family, x, y)] : [];
    return [...shown, frontLine(front, family, x, y, family + ' front'), scatter(ofFamily, family, x, y, {})];
  });
  if (points.length) traces.push(...pointLabels(points, x, y, byId('front')));
  const chosen = points.filter((point) => point.chosen);
  if (chosen.length) traces.push(chosenRings(chosen, x, y));
  const ideal = TASKS.get(task).ideal;
  const hasIdeal = Boolean(ideal && ideal.every((value) => value !== null));
  if (hasIdeal) traces.push(idealTrace(ideal, task));
  byId('front-note').textContent = [hasIdeal ? GRAMMAR_NOTE : '', missingNote(all, points)].join(' ');
  const better = {xref: 'paper', yref: 'paper', x: 0.005, y: 0.995, xanchor: 'left', yanchor: 'top', text: '↖ better', showarrow: false, font: {color: inkColor(0.6)}};
  draw('front', traces, {xaxis: axis('Self-BLEU ↓'), yaxis: axis(metricTitle('quality', task)), annotations: [better]});
}

const GRAMMAR_NOTE = 'The star is what the grammar that made the task answers itself: every answer is right, and as varied as the grammar can word it. '
  + 'It can be below the lines: where all samples use the most usual wording, quality counts more matches with the reference, and Self-BLEU is higher.';

function idealTrace([quality, selfBleu], task) {
  const label = `<b>answers of the grammar</b><br>${plotText(TASKS.get(task).quality)}: ${numberText(quality, 1)}<br>Self-BLEU: ${numberText(selfBleu, 1)}`;
  return {
    type: 'scatter', mode: 'markers', name: 'answers of the grammar', uid: 'ideal', x: [selfBleu], y: [quality], customdata: [label],
    hovertemplate: '%{customdata}<extra></extra>', marker: {symbol: 'star', size: 18, color: isDark() ? '#ffd54a' : '#f2b600', line: {width: 1.25, color: inkColor(0.9)}},
  };
}

function drawEdaOverTemperature(task, split) {
  const [x, y] = ['temperature', 'eda'];
  const all = pointsAt(task, split);
  const points = withMetrics(all, [x, y]);
  const traces = perFamily(points, (family, ofFamily) => {
    const dots = scatter(ofFamily, family, x, y, {});
    if (FAMILIES.get(family).axes.length > 1) return [dots];
    const sorted = [...ofFamily].sort((a, b) => a.metrics[x][0] - b.metrics[x][0]);
    return [frontLine(sorted, family, x, y, family + ' curve'), dots];
  });
  const chosen = points.filter((point) => point.chosen);
  if (chosen.length) traces.push(chosenRings(chosen, x, y));
  byId('temperature-note').textContent = missingNote(all, points);
  draw('temperature', traces, {xaxis: axis('mean temperature of all steps'), yaxis: axis('EDA ↓')});
}

/** Draws into the element with this name, or shows a message if there is nothing to draw. */
function draw(name, traces, parts) {
  const container = byId(name);
  if (!traces.length) return showMessage(name, 'No setting has the values that this chart needs.');
  if (!container.classList.contains('js-plotly-plot')) container.replaceChildren(); // an earlier message
  Plotly.react(container, traces, layout(container, parts), PLOT);
}

function showMessage(name, message) {
  const container = byId(name);
  if (container.classList.contains('js-plotly-plot')) Plotly.purge(container);
  container.replaceChildren(element('p', {class: 'message'}, message));
}
