// Charts of all settings of a task and split: the front, and EDA over temperature. Plotly draws them.
const METRICS = new Map(DATA.metrics.map((metric) => [metric.name, metric]));
const TASKS = new Map(DATA.tasks.map((task) => [task.name, task]));
/** Nothing that sends a chart anywhere. */
const PLOT = {responsive: true, displaylogo: false, plotlyServerURL: '', modeBarButtonsToRemove: ['sendChartToCloud', 'select2d', 'lasso2d', 'autoScale2d']};

/** Text as plotly takes it: it reads some HTML in its labels. */
const plotText = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const narrow = (place) => place.clientWidth < 640;
const ink = (share) => (isDark() ? `rgba(228,231,235,${share})` : `rgba(27,31,36,${share})`);
const paper = () => (isDark() ? '#15181c' : '#ffffff');

/** Colors from best to worst: the best stands out from the page, the worst recedes into it. */
function scaleColors() {
  return isDark() ? ['#fde725', '#5ec962', '#21918c', '#4a7ab0', '#6d5ca8'] : ['#440154', '#3b528b', '#21918c', '#5ec962', '#c4d67a'];
}
/** A color scale over a metric's values, lowest first. */
function scaleOf(metric) {
  const colors = metric.better === 'lower' ? scaleColors() : scaleColors().reverse();
  return colors.map((color, place) => [place / (colors.length - 1), color]);
}

function axis(title) {
  return {
    title: {text: plotText(title), standoff: 12}, gridcolor: ink(0.1), linecolor: ink(0.35), zeroline: false, ticks: 'outside', tickcolor: ink(0.35),
    automargin: true,
  };
}

function layout(place, parts) {
  const under = {orientation: 'h', x: 0, xanchor: 'left', y: -0.2, yanchor: 'top'};
  return {
    margin: {l: 56, r: 16, t: 36, b: 52}, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    font: {family: getComputedStyle(document.body).fontFamily, size: 12, color: ink(1)},
    hoverlabel: {align: 'left', bgcolor: paper(), bordercolor: ink(0.4), font: {color: ink(1), family: getComputedStyle(document.body).fontFamily}},
    legend: narrow(place) ? under : {x: 1.01, y: 1},
    modebar: {bgcolor: 'rgba(0,0,0,0)', color: ink(0.45), activecolor: ink(0.9)}, hovermode: 'closest', uirevision: 'kept', ...parts,
  };
}

function metricTitle(name, task) {
  const metric = METRICS.get(name);
  const label = name === 'quality' ? TASKS.get(task).quality : metric?.label ?? name;
  return {higher: `${label} ↑`, lower: `${label} ↓`}[metric?.better] ?? label;
}

function hover(point) {
  const params = Object.entries(point.params).map(([name, value]) => `${name} = ${value ?? MISSING}`).join(', ');
  const lines = DATA.metrics
    .filter((metric) => point.metrics[metric.name])
    .map((metric) => `${plotText(metricTitle(metric.name, point.task))}: ${shownInterval(point.metrics[metric.name], metric.digits)}`);
  return [`<b>${plotText(point.id)}</b>`, plotText(point.family + (params ? ` · ${params}` : '')), ...lines, ...(point.chosen ? ['chosen on dev'] : [])].join('<br>');
}

const valuesOf = (points, name) => points.map((point) => point.metrics[name][0]);
const withMetrics = (points, names) => points.filter((point) => names.every((name) => point.metrics[name]));

function pointsAt(task, split) {
  return DATA.points.filter((point) => point.task === task && point.split === split);
}

/** How far a bound lies from its value; 0 where there is none. */
const reach = (points, name, bound) => points.map(({metrics}) => Math.abs((metrics[name][bound] ?? metrics[name][0]) - metrics[name][0]));

function scatter(points, family, x, y, more) {
  return {
    type: 'scatter', mode: 'markers', name: plotText(family), legendgroup: family, uid: family, x: valuesOf(points, x), y: valuesOf(points, y),
    marker: {color: colorOf(family), symbol: FAMILIES.get(family).mark, size: 9, opacity: 0.9, line: {width: 0.75, color: paper()}},
    customdata: points.map(hover), hovertemplate: '%{customdata}<extra></extra>', ...more,
  };
}

function joined(points, family, x, y, uid) {
  return {
    type: 'scatter', mode: 'lines', legendgroup: family, showlegend: false, uid, x: valuesOf(points, x), y: valuesOf(points, y), hoverinfo: 'skip',
    line: {color: colorOf(family), width: 1.75},
  };
}

/** Rings around the chosen settings, with their intervals. */
function rings(points, x, y) {
  const bars = (name) => ({
    type: 'data', array: reach(points, name, 2), arrayminus: reach(points, name, 1), color: ink(0.55), thickness: 1, width: 3,
  });
  return {
    type: 'scatter', mode: 'markers', name: 'chosen on dev, 95 % interval', uid: 'chosen', x: valuesOf(points, x), y: valuesOf(points, y), error_x: bars(x),
    error_y: bars(y), hoverinfo: 'skip', marker: {symbol: 'circle-open', size: 17, color: ink(0.9), line: {width: 2}},
  };
}

function missingNote(points, drawn) {
  const left = points.length - drawn.length;
  return left ? `${left} of ${points.length} settings lack a value and are not drawn.` : '';
}

function perFamily(points, make) {
  return distinct(points.map((point) => point.family)).flatMap((family) => make(family, points.filter((point) => point.family === family)));
}

function drawFront(task, split) {
  const [x, y] = ['self_bleu', 'quality'];
  const all = pointsAt(task, split);
  const points = withMetrics(all, [x, y]);
  const traces = perFamily(points, (family, own) => {
    const front = own.filter((point) => point.front).sort((a, b) => a.metrics[x][0] - b.metrics[x][0]);
    return [joined(front, family, x, y, family + ' front'), scatter(own, family, x, y, {})];
  });
  const chosen = points.filter((point) => point.chosen);
  if (chosen.length) traces.push(rings(chosen, x, y));
  const ideal = TASKS.get(task).ideal;
  if (ideal && ideal.every((value) => value !== null)) traces.push(idealTrace(ideal, task));
  byId('front-note').textContent = missingNote(all, points);
  draw('front', traces, {xaxis: axis('Self-BLEU ↓'), yaxis: axis(metricTitle('quality', task))});
}

function idealTrace([quality, selfBleu], task) {
  const words = `<b>the grammar's own answers</b><br>${plotText(TASKS.get(task).quality)}: ${shown(quality, 1)}<br>Self-BLEU: ${shown(selfBleu, 1)}`;
  return {
    type: 'scatter', mode: 'markers', name: 'ideal: the grammar', uid: 'ideal', x: [selfBleu], y: [quality], customdata: [words],
    hovertemplate: '%{customdata}<extra></extra>', marker: {symbol: 'star', size: 18, color: isDark() ? '#ffd54a' : '#f2b600', line: {width: 1.25, color: ink(0.9)}},
  };
}

function drawHeated(task, split) {
  const [x, y] = ['temperature', 'eda'];
  const all = pointsAt(task, split);
  const points = withMetrics(all, [x, y]);
  const traces = perFamily(points, (family, own) => {
    const dots = scatter(own, family, x, y, {});
    if (FAMILIES.get(family).axes.length > 1) return [dots];
    const sorted = [...own].sort((a, b) => a.metrics[x][0] - b.metrics[x][0]);
    return [joined(sorted, family, x, y, family + ' curve'), dots];
  });
  const chosen = points.filter((point) => point.chosen);
  if (chosen.length) traces.push(rings(chosen, x, y));
  byId('heated-note').textContent = missingNote(all, points);
  draw('heated', traces, {xaxis: axis('mean realised temperature'), yaxis: axis('EDA ↓')});
}

/** Draws into the named place, or says that there is nothing to draw. */
function draw(name, traces, parts) {
  const place = byId(name);
  if (!traces.length) return say(name, 'No setting has the values for this chart.');
  if (!place.classList.contains('js-plotly-plot')) place.replaceChildren();
  Plotly.react(place, traces, layout(place, parts), PLOT);
}

function say(name, words) {
  const place = byId(name);
  if (place.classList.contains('js-plotly-plot')) Plotly.purge(place);
  place.replaceChildren(element('p', {class: 'message'}, words));
}
