// One family over its parameters: a map of two of them, a curve of one, and parallel coordinates of all.
const ALL_FAMILIES = '\u0000all';
const label = (value) => (value === null || value === undefined ? MISSING : String(value));

/** A parameter's values among these points, numbers first and ascending. */
function levels(points, name) {
  return distinct(points.map((point) => point.params[name] ?? null)).sort((a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (typeof a === 'number' || typeof b === 'number') return typeof a === 'number' ? -1 : 1;
    return label(a).localeCompare(label(b));
  });
}

/** Whether `a` is the better of two settings: by EDA where both have it, else by quality. */
function isBetter(a, b) {
  for (const [name, sign] of [['eda', -1], ['quality', 1]]) {
    if (a.metrics[name] && b.metrics[name]) return sign * (a.metrics[name][0] - b.metrics[name][0]) > 0;
    if (a.metrics[name] || b.metrics[name]) return Boolean(a.metrics[name]);
  }
  return false;
}

/** The levels that several of these points have, or the chosen one: others would each be a line of gaps. */
function shared(points, name) {
  const all = levels(points, name);
  const at = (level) => points.filter((point) => (point.params[name] ?? null) === level);
  const found = all.filter((level) => at(level).length > 1 || at(level).some((point) => point.chosen));
  return found.length > 1 ? found : all;
}

/** The setting of each cell, by row and column: of those that differ in other parameters alone, the best. */
function bestCells(points, x, y) {
  const [xs, ys] = [shared(points, x), shared(points, y)];
  const cells = ys.map(() => xs.map(() => null));
  for (const point of points) {
    const row = cells[ys.indexOf(point.params[y] ?? null)];
    const column = xs.indexOf(point.params[x] ?? null);
    if (row && column >= 0 && (row[column] === null || isBetter(point, row[column]))) row[column] = point;
  }
  return {xs, ys, cells, left: points.filter((point) => !xs.includes(point.params[x] ?? null) || !ys.includes(point.params[y] ?? null))};
}

const value = (point, metric) => point?.metrics[metric]?.[0] ?? null;

function heatTrace({xs, ys, cells}, metric, task) {
  const digits = metric.digits;
  const text = cells.map((row) => row.map((point) => (point ? (point.chosen ? '★ ' : '') + shown(value(point, metric.name), digits) : '')));
  return {
    type: 'heatmap', x: xs.map(label), y: ys.map(label), z: cells.map((row) => row.map((point) => value(point, metric.name))), text,
    texttemplate: xs.length <= 14 ? '%{text}' : undefined, customdata: cells.map((row) => row.map((point) => (point ? hover(point) : ''))),
    hovertemplate: '%{customdata}<extra></extra>', hoverongaps: false, colorscale: scaleOf(metric), xgap: 2, ygap: 2,
    colorbar: {title: {text: plotText(metricTitle(metric.name, task)), side: 'right'}, thickness: 14, outlinewidth: 0},
  };
}

const category = (title, names) => ({...axis(title), type: 'category', categoryorder: 'array', categoryarray: names, showgrid: false});

function drawMap(points, metric, x, y, axes) {
  const found = bestCells(points, x, y);
  const others = axes.filter((name) => name !== x && name !== y);
  const chosen = found.cells.flat().some((point) => point?.chosen) ? ' ★ chosen on dev.' : '';
  byId('heat-note').textContent = (others.length
    ? `A cell shows, of the settings that differ in ${others.join(' and ')}, the one with the best ${points.some((point) => point.metrics.eda) ? 'EDA' : 'quality'}.`
    : 'A cell is a setting.') + (found.cells.flat().includes(null) ? ' Empty: not tried.' : '')
    + (found.left.length ? ` Not shown: ${found.left.length} settings with a value that no other has.` : '') + chosen;
  const parts = {xaxis: category(x, found.xs.map(label)), yaxis: category(y, found.ys.map(label))};
  draw('heat', [heatTrace(found, metric, points[0].task)], parts);
}

/** A family of one parameter, or of none: the metric as a curve with its interval. */
function drawCurve(points, family, metric, x) {
  const own = withMetrics(points, [metric.name]);
  const order = levels(own, x);
  own.sort((a, b) => order.indexOf(a.params[x] ?? null) - order.indexOf(b.params[x] ?? null));
  const numbers = order.every((level) => typeof level === 'number');
  const at = own.map((point) => (numbers ? point.params[x] : label(point.params[x])));
  const interval = {type: 'data', array: reach(own, metric.name, 2), arrayminus: reach(own, metric.name, 1), thickness: 1.25, width: 4};
  const trace = {
    ...scatter(own, family, metric.name, metric.name, {}), x: at, mode: 'lines+markers', error_y: interval, line: {color: colorOf(family), width: 1.75},
    showlegend: false,
  };
  const chosen = own.filter((point) => point.chosen);
  const ring = {
    ...trace, x: chosen.map((point) => (numbers ? point.params[x] : label(point.params[x]))), y: valuesOf(chosen, metric.name), mode: 'markers', uid: 'chosen',
    error_y: undefined, hoverinfo: 'skip', hovertemplate: undefined, marker: {symbol: 'circle-open', size: 17, color: ink(0.9), line: {width: 2}},
  };
  byId('heat-note').textContent = `${x ? `${family} has one parameter, so this is a curve` : `${family} has one setting`}, with 95 % intervals.${chosen.length ? ' Ringed: chosen on dev.' : ''}`;
  const xaxis = numbers ? axis(x ?? '') : category(x ?? '', order.map(label));
  draw('heat', own.length ? [trace, ring] : [], {xaxis, yaxis: axis(metricTitle(metric.name, points[0].task))});
}

function drawHeat(task, split) {
  const points = pointsAt(task, split);
  fill(byId('heat-family'), same(distinct(points.map((point) => point.family))), preferredFamily(points));
  const family = byId('heat-family').value;
  const own = points.filter((point) => point.family === family);
  const metrics = DATA.metrics.filter(({name}) => own.some((point) => point.metrics[name]));
  fill(byId('heat-metric'), metrics.map(({name}) => [name, metricTitle(name, task)]), 'eda');
  const metric = METRICS.get(byId('heat-metric').value);
  const axes = FAMILIES.get(family).axes;
  byId('heat-x-label').hidden = byId('heat-y-label').hidden = axes.length < 2;
  if (!metric) return say('heat', `No setting of ${family} has a value here.`);
  if (axes.length < 2) return drawCurve(own, family, metric, axes[0]);
  fill(byId('heat-x'), same(axes), axes[0]);
  const left = axes.filter((name) => name !== byId('heat-x').value);
  fill(byId('heat-y'), same(left), left[0]);
  drawMap(own, metric, byId('heat-x').value, byId('heat-y').value, axes);
}

/** The first family with a map to show. */
function preferredFamily(points) {
  return points.find((point) => FAMILIES.get(point.family).axes.length > 1)?.family;
}

/** Levels as equal steps, since a grid's values rarely lie so. */
function stepDimension(name, levelsOf, points, read) {
  return {
    label: plotText(name), values: points.map((point) => levelsOf.indexOf(read(point))), tickvals: levelsOf.map((_, place) => place),
    ticktext: levelsOf.map((level) => plotText(label(level))), range: [-0.25, Math.max(levelsOf.length - 0.75, 0.25)],
  };
}

function metricDimension(metric, points, task) {
  return {label: plotText(metricTitle(metric.name, task)), values: valuesOf(points, metric.name), tickformat: `.${metric.digits}f`};
}

function dimensions(points, family, task, metrics) {
  const all = family === ALL_FAMILIES;
  const families = distinct(points.map((point) => point.family));
  const names = all
    ? distinct(points.flatMap((point) => Object.keys(point.params))).filter((name) => points.every((point) => name in point.params) && levels(points, name).length > 1)
    : FAMILIES.get(family).axes;
  return [
    ...(all ? [stepDimension('family', families, points, (point) => point.family)] : []),
    ...names.map((name) => stepDimension(name, levels(points, name), points, (point) => point.params[name] ?? null)),
    ...metrics.map((metric) => metricDimension(metric, points, task)),
  ];
}

/** What has no axis because it is everywhere the same. */
function constantNote(metrics, varied, points) {
  const constant = points.length > 1 ? metrics.filter((metric) => !varied.includes(metric)) : [];
  return constant.map((metric) => `${metric.label} is ${shown(value(points[0], metric.name), metric.digits)} in all.`).join(' ');
}

function hasWebgl() {
  return Boolean(document.createElement('canvas').getContext('webgl'));
}

function drawLines(task, split) {
  const all = pointsAt(task, split);
  fill(byId('lines-family'), [[ALL_FAMILIES, 'all families'], ...same(distinct(all.map((point) => point.family)))], preferredFamily(all));
  const family = byId('lines-family').value;
  const points = all.filter((point) => family === ALL_FAMILIES || point.family === family);
  const metrics = DATA.metrics.filter(({name}) => points.some((point) => point.metrics[name]));
  const whole = withMetrics(points, metrics.map(({name}) => name));
  const varied = metrics.filter(({name}) => new Set(valuesOf(whole, name)).size > 1);
  const color = METRICS.get(['eda', 'quality'].find((name) => metrics.some((metric) => metric.name === name)));
  byId('lines-note').textContent = [color ? `Colored by ${metricTitle(color.name, task)}.` : '', constantNote(metrics, varied, whole), missingNote(points, whole)].join(' ');
  if (!hasWebgl()) return say('lines', 'This chart needs WebGL, which this browser does not offer; the others show the same settings.');
  const found = dimensions(whole, family, task, varied);
  byId('lines').style.minWidth = `${found.length * 92}px`;
  draw('lines', whole.length ? [linesTrace(whole, found, color, task)] : [], {margin: {l: 56, r: 40, t: 84, b: 24}});
}

function linesTrace(points, found, color, task) {
  const colorbar = {title: {text: color ? plotText(metricTitle(color.name, task)) : '', side: 'right'}, thickness: 14, outlinewidth: 0};
  const line = color ? {color: valuesOf(points, color.name), colorscale: scaleOf(color), showscale: true, colorbar} : {color: ink(0.6)};
  return {type: 'parcoords', line, dimensions: found, unselected: {line: {color: ink(0.2), opacity: 0.15}}, labelangle: found.length > 9 ? -20 : 0};
}
