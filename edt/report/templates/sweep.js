// Charts of one family over its parameters: a map of two, a curve of one, and parallel coordinates of all.
const ALL_FAMILIES = '\u0000all';
const label = (value) => (value === null || value === undefined ? MISSING : String(value));

/** Returns the values of a parameter among these points, ascending, numbers first. */
function levels(points, name) {
  return distinct(points.map((point) => point.params[name] ?? null)).sort((a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (typeof a === 'number' || typeof b === 'number') return typeof a === 'number' ? -1 : 1;
    return label(a).localeCompare(label(b));
  });
}

/** Returns whether setting `a` is better than `b`: by EDA if both have it, else by quality. */
function isBetter(a, b) {
  for (const [name, sign] of [['eda', -1], ['quality', 1]]) {
    if (a.metrics[name] && b.metrics[name]) return sign * (a.metrics[name][0] - b.metrics[name][0]) > 0;
    if (a.metrics[name] || b.metrics[name]) return Boolean(a.metrics[name]);
  }
  return false;
}

/** Returns the levels of several points or of a chosen one; any other would add a line of gaps to the map. */
function sharedLevels(points, name) {
  const all = levels(points, name);
  const pointsAtLevel = (level) => points.filter((point) => (point.params[name] ?? null) === level);
  const kept = all.filter((level) => pointsAtLevel(level).length > 1 || pointsAtLevel(level).some((point) => point.chosen));
  return kept.length > 1 ? kept : all;
}

/** Returns the best setting of each cell, by row and column; settings of one cell differ in other parameters. */
function bestCells(points, x, y) {
  const [xs, ys] = [sharedLevels(points, x), sharedLevels(points, y)];
  const cells = ys.map(() => xs.map(() => null));
  for (const point of points) {
    const row = cells[ys.indexOf(point.params[y] ?? null)];
    const column = xs.indexOf(point.params[x] ?? null);
    if (row && column >= 0 && (row[column] === null || isBetter(point, row[column]))) row[column] = point;
  }
  return {xs, ys, cells, omitted: points.filter((point) => !xs.includes(point.params[x] ?? null) || !ys.includes(point.params[y] ?? null))};
}

const value = (point, metric) => point?.metrics[metric]?.[0] ?? null;

function heatTrace({xs, ys, cells}, metric, task) {
  return {
    type: 'heatmap', x: xs.map(label), y: ys.map(label), z: cells.map((row) => row.map((point) => value(point, metric.name))),
    customdata: cells.map((row) => row.map((point) => (point ? hoverText(point) : ''))),
    hovertemplate: '%{customdata}<extra></extra>', hoverongaps: false, colorscale: colorScale(metric), xgap: 2, ygap: 2,
    colorbar: {title: {text: plotText(metricTitle(metric.name, task)), side: 'right'}, thickness: 14, outlinewidth: 0},
  };
}

/** Returns the color of a text on a cell: that which the nearest step of the scale has. */
function cellTextColor(share) {
  const colors = scaleColors();
  return colors[Math.round(share * (colors.length - 1))][1];
}

/** Writes the values into the cells of a map, each in the color that is legible there. */
function cellTexts({xs, ys, cells}, metric) {
  const filled = cells.flatMap((row, y) => row.map((point, x) => ({point, x: label(xs[x]), y: label(ys[y])})))
    .filter(({point}) => value(point, metric.name) !== null);
  const values = filled.map(({point}) => value(point, metric.name));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const fromBest = (number) => (high > low ? (metric.better === 'lower' ? number - low : high - number) / (high - low) : 0);
  return {
    type: 'scatter', mode: 'text', uid: 'texts', showlegend: false, hoverinfo: 'skip', x: filled.map((cell) => cell.x), y: filled.map((cell) => cell.y),
    text: filled.map(({point}) => (point.chosen ? '★ ' : '') + numberText(value(point, metric.name), metric.digits)),
    textfont: {size: xs.length > 10 ? 10 : 12, color: values.map((number) => cellTextColor(fromBest(number)))},
  };
}

/** Returns a frame around the best cell of a map, or none for a metric without a better direction. */
function bestFrame({cells}, metric) {
  const sign = {lower: 1, higher: -1}[metric.better];
  if (!sign) return [];
  let best = null;
  for (const [y, row] of cells.entries()) for (const [x, point] of row.entries()) {
    const number = value(point, metric.name);
    if (number !== null && (best === null || sign * number < best.number)) best = {x, y, number: sign * number};
  }
  if (best === null) return [];
  // White within red is visible on every color of the scale. On a category axis, positions are counted from 0.
  const [x0, x1, y0, y1] = [best.x - 0.47, best.x + 0.47, best.y - 0.46, best.y + 0.46];
  return [['#d1001c', 5], ['#ffffff', 1.5]].map(([color, width]) => ({type: 'rect', x0, x1, y0, y1, line: {color, width}, fillcolor: 'rgba(0,0,0,0)'}));
}

const category = (title, names) => ({...axis(title), type: 'category', categoryorder: 'array', categoryarray: names, showgrid: false});

function drawMap(points, metric, x, y, axes) {
  const map = bestCells(points, x, y);
  const others = axes.filter((name) => name !== x && name !== y);
  const chosen = map.cells.flat().some((point) => point?.chosen) ? ' ★: chosen on dev.' : '';
  byId('heat-note').textContent = (others.length
    ? `Settings of one cell differ in ${others.join(' and ')}; it shows the one with the best ${points.some((point) => point.metrics.eda) ? 'EDA' : 'quality'}.`
    : 'Each cell is a setting.') + (map.cells.flat().includes(null) ? ' Empty cells were not tried.' : '')
    + (map.omitted.length ? ` Not shown: ${map.omitted.length} settings with a value that no other setting has.` : '') + chosen;
  const shapes = bestFrame(map, metric);
  if (shapes.length) byId('heat-note').textContent += ' Dark is good. Frame: the best value.';
  const parts = {xaxis: category(x, map.xs.map(label)), yaxis: category(y, map.ys.map(label)), shapes};
  const texts = map.xs.length <= 14 ? [cellTexts(map, metric)] : [];
  draw('heat', [heatTrace(map, metric, points[0].task), ...texts], parts);
}

/** Draws a metric of a family with one parameter, or none, as a curve with intervals. */
function drawCurve(points, family, metric, x) {
  const ofFamily = withMetrics(points, [metric.name]);
  // A family with one setting has no parameter that varies: its place on the axis is the setting itself.
  const level = (point) => (x ? point.params[x] ?? null : point.text);
  const order = x ? levels(ofFamily, x) : ofFamily.map(level);
  ofFamily.sort((a, b) => order.indexOf(level(a)) - order.indexOf(level(b)));
  const numbers = order.every((each) => typeof each === 'number');
  const position = (point) => (numbers ? level(point) : label(level(point)));
  const positions = ofFamily.map(position);
  const interval = {type: 'data', array: boundDistances(ofFamily, metric.name, 2), arrayminus: boundDistances(ofFamily, metric.name, 1), thickness: 1.25, width: 4};
  const trace = {
    ...scatter(ofFamily, family, metric.name, metric.name, {}), x: positions, mode: 'lines+markers', error_y: interval, line: {color: familyColor(family), width: 1.75},
    showlegend: false,
  };
  const chosen = ofFamily.filter((point) => point.chosen);
  const ring = {
    ...trace, x: chosen.map(position), y: valuesOf(chosen, metric.name), mode: 'markers', uid: 'chosen',
    error_y: undefined, hoverinfo: 'skip', hovertemplate: undefined, marker: {symbol: 'circle-open', size: 17, color: inkColor(0.9), line: {width: 2}},
  };
  byId('heat-note').textContent = `${x ? `${family} has one parameter, so this is a curve` : `${family} has one setting`}, with 95 % intervals.${chosen.length ? ' Ring: chosen on dev.' : ''}`;
  const xaxis = numbers ? axis(x ?? '') : category(x ?? '', order.map(label));
  draw('heat', ofFamily.length ? [trace, ring] : [], {xaxis, yaxis: axis(metricTitle(metric.name, points[0].task))});
}

function drawHeat(task, split) {
  const points = pointsAt(task, split);
  fill(byId('heat-family'), options(distinct(points.map((point) => point.family))), preferredFamily(points));
  const family = byId('heat-family').value;
  const ofFamily = points.filter((point) => point.family === family);
  const metrics = DATA.metrics.filter(({name}) => ofFamily.some((point) => point.metrics[name]));
  fill(byId('heat-metric'), metrics.map(({name}) => [name, metricTitle(name, task)]), 'eda');
  const metric = METRICS.get(byId('heat-metric').value);
  const axes = FAMILIES.get(family).axes;
  byId('heat-x-label').hidden = byId('heat-y-label').hidden = axes.length < 2;
  if (!metric) return showMessage('heat', `No setting of ${family} has a value for this task and split.`);
  if (axes.length < 2) return drawCurve(ofFamily, family, metric, axes[0]);
  fill(byId('heat-x'), options(axes), axes[0]);
  const otherAxes = axes.filter((name) => name !== byId('heat-x').value);
  fill(byId('heat-y'), options(otherAxes), otherAxes[0]);
  drawMap(ofFamily, metric, byId('heat-x').value, byId('heat-y').value, axes);
}

/** Returns the first family that has a map to show. */
function preferredFamily(points) {
  return points.find((point) => FAMILIES.get(point.family).axes.length > 1)?.family;
}

/** Returns an axis with equal steps between levels, which a grid's values seldom have. */
function stepDimension(name, allLevels, points, read) {
  return {
    label: plotText(name), values: points.map((point) => allLevels.indexOf(read(point))), tickvals: allLevels.map((_, index) => index),
    ticktext: allLevels.map((level) => plotText(label(level))), range: [-0.25, Math.max(allLevels.length - 0.75, 0.25)],
  };
}

function metricDimension(metric, points, task) {
  return {label: plotText(metricTitle(metric.name, task)), values: valuesOf(points, metric.name), tickformat: `.${metric.digits}f`};
}

const AXIS_WIDTH = 96; // pixels that an axis with its heading and labels needs

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

/** Returns a note on the metrics that have no axis because all settings have the same value. */
function constantNote(metrics, varied, points) {
  const constant = points.length > 1 ? metrics.filter((metric) => !varied.includes(metric)) : [];
  return constant.map((metric) => `All settings have the same ${metric.label}: ${numberText(value(points[0], metric.name), metric.digits)}.`).join(' ');
}

const NO_WEBGL = 'This chart needs WebGL, which this browser does not have. The other charts show the same settings.';
function hasWebgl() {
  return Boolean(document.createElement('canvas').getContext('webgl'));
}

function drawLines(task, split) {
  const all = pointsAt(task, split);
  fill(byId('lines-family'), [[ALL_FAMILIES, 'all families'], ...options(distinct(all.map((point) => point.family)))], preferredFamily(all));
  const family = byId('lines-family').value;
  const points = all.filter((point) => family === ALL_FAMILIES || point.family === family);
  const metrics = DATA.metrics.filter(({name}) => points.some((point) => point.metrics[name]));
  const complete = withMetrics(points, metrics.map(({name}) => name));
  const varied = metrics.filter(({name}) => new Set(valuesOf(complete, name)).size > 1);
  const color = METRICS.get(['eda', 'quality'].find((name) => metrics.some((metric) => metric.name === name)));
  byId('lines-note').textContent = [color ? `Colored by ${metricTitle(color.name, task)}.` : '', constantNote(metrics, varied, complete), missingNote(points, complete)].join(' ');
  if (!hasWebgl()) return showMessage('lines', NO_WEBGL);
  // In a narrow window the last metrics would be cut off: quality, Self-BLEU and EDA come first.
  const most = Math.max(3, Math.floor(byId('lines').parentElement.clientWidth / AXIS_WIDTH) - dimensions(complete, family, task, []).length);
  const kept = varied.slice(0, most);
  const axes = dimensions(complete, family, task, kept);
  if (kept.length < varied.length) byId('lines-note').textContent += ` A wider window shows ${varied.slice(most).map((metric) => metric.label).join(', ')} too.`;
  byId('lines').style.minWidth = `${axes.length * AXIS_WIDTH}px`;
  draw('lines', complete.length ? [linesTrace(complete, axes, color, task)] : [], {margin: {l: 72, r: 96, t: 84, b: 24}});
}

function linesTrace(points, axes, color, task) {
  const colorbar = {title: {text: color ? plotText(metricTitle(color.name, task)) : '', side: 'right'}, thickness: 14, outlinewidth: 0};
  const line = color ? {color: valuesOf(points, color.name), colorscale: colorScale(color), showscale: true, colorbar} : {color: inkColor(0.6)};
  return {type: 'parcoords', line, dimensions: axes, unselected: {line: {color: inkColor(0.2), opacity: 0.15}}, labelangle: axes.length > 9 ? -20 : 0};
}
