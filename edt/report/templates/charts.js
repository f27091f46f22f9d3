// Charts of all settings of a task and split, drawn by plotly: the Pareto front, and EDA over temperature.
const METRICS = new Map(DATA.metrics.map((metric) => [metric.name, metric]));
const TASKS = new Map(DATA.tasks.map((task) => [task.name, task]));
/** Plotly's options, without the buttons that would send a chart to a server. */
const PLOT = {responsive: true, displaylogo: false, plotlyServerURL: '', modeBarButtonsToRemove: ['sendChartToCloud', 'select2d', 'lasso2d', 'autoScale2d']};

/** Escapes a text for plotly, which reads some HTML tags in its labels. */
const plotText = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const isNarrow = (container) => container.clientWidth < 640;
const inkColor = (share) => (isDark() ? `rgba(228,231,235,${share})` : `rgba(27,31,36,${share})`);
const pageColor = () => (isDark() ? '#15181c' : '#ffffff');

/** Returns colors from best to worst: the best has the most contrast with the page, the worst the least. */
function scaleColors() {
  return isDark() ? ['#fde725', '#5ec962', '#21918c', '#4a7ab0', '#6d5ca8'] : ['#440154', '#3b528b', '#21918c', '#5ec962', '#c4d67a'];
}
/** Returns a color scale over a metric's values, lowest first. */
function colorScale(metric) {
  const colors = metric.better === 'lower' ? scaleColors() : scaleColors().reverse();
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

function metricTitle(name, task) {
  const metric = METRICS.get(name);
  const label = name === 'quality' ? TASKS.get(task).quality : metric?.label ?? name;
  return {higher: `${label} ↑`, lower: `${label} ↓`}[metric?.better] ?? label;
}

function hoverText(point) {
  const params = Object.entries(point.params).map(([name, value]) => `${name} = ${value ?? MISSING}`).join(', ');
  const lines = DATA.metrics
    .filter((metric) => point.metrics[metric.name])
    .map((metric) => `${plotText(metricTitle(metric.name, point.task))}: ${intervalText(point.metrics[metric.name], metric.digits)}`);
  return [`<b>${plotText(point.id)}</b>`, plotText(point.family + (params ? ` · ${params}` : '')), ...lines, ...(point.chosen ? ['chosen on dev'] : [])].join('<br>');
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
  const bars = (name) => ({
    type: 'data', array: boundDistances(points, name, 2), arrayminus: boundDistances(points, name, 1), color: inkColor(0.55), thickness: 1, width: 3,
  });
  return {
    type: 'scatter', mode: 'markers', name: 'chosen on dev, 95 % interval', uid: 'chosen', x: valuesOf(points, x), y: valuesOf(points, y), error_x: bars(x),
    error_y: bars(y), hoverinfo: 'skip', marker: {symbol: 'circle-open', size: 17, color: inkColor(0.9), line: {width: 2}},
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
    return [frontLine(front, family, x, y, family + ' front'), scatter(ofFamily, family, x, y, {})];
  });
  const chosen = points.filter((point) => point.chosen);
  if (chosen.length) traces.push(chosenRings(chosen, x, y));
  const ideal = TASKS.get(task).ideal;
  if (ideal && ideal.every((value) => value !== null)) traces.push(idealTrace(ideal, task));
  byId('front-note').textContent = missingNote(all, points);
  draw('front', traces, {xaxis: axis('Self-BLEU ↓'), yaxis: axis(metricTitle('quality', task))});
}

function idealTrace([quality, selfBleu], task) {
  const label = `<b>answers of the grammar</b><br>${plotText(TASKS.get(task).quality)}: ${numberText(quality, 1)}<br>Self-BLEU: ${numberText(selfBleu, 1)}`;
  return {
    type: 'scatter', mode: 'markers', name: 'ideal: the grammar', uid: 'ideal', x: [selfBleu], y: [quality], customdata: [label],
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
