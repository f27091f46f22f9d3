// The table of all settings: one row for each setting of each task and split, made of the data of the charts.
const METRICS = new Map(DATA.metrics.map((metric) => [metric.name, metric]));
const TASKS = new Map(DATA.tasks.map((task) => [task.name, task]));

/** Returns a text with places for line breaks within a setting. */
function breakable(text) {
  return String(text).split(/(?<=[,;])(?=\S)|(?<=\w\()(?=\S)/).flatMap((part, index) => (index ? [element('wbr'), part] : [part]));
}

function metricTitle(name, task) {
  const metric = METRICS.get(name);
  const label = name === 'quality' && task ? TASKS.get(task).quality : metric?.label ?? name;
  return {higher: `${label} ↑`, lower: `${label} ↓`}[metric?.better] ?? label;
}

function metricCell(point, metric, secondary) {
  const interval = point.metrics[metric.name];
  const attributes = {class: `number${secondary ? ' secondary' : ''}`};
  if (!interval) return element('td', {...attributes, 'data-missing': true}, MISSING);
  const [value, ...bounds] = point.texts[metric.name].split(' [');
  const parts = bounds.length ? [' ', element('small', {}, `[${bounds[0]}`)] : [];
  return element('td', {...attributes, 'data-number': interval[0]}, value, ...parts);
}

/** Marks a family with its color and mark's name, which is the same in every chart. */
function familyCell(family) {
  const swatch = element('span', {class: 'swatch'});
  swatch.style.setProperty('--light', FAMILIES.get(family).light);
  swatch.style.setProperty('--dark', FAMILIES.get(family).dark);
  return element('td', {}, swatch, family);
}

function settingRow(point, texts) {
  const setting = element('td', {class: 'setting'}, ...(point.chosen ? ['★ '] : []), ...breakable(point.text));
  const cells = DATA.columns.map(({metric, secondary}) => metricCell(point, METRICS.get(metric), secondary));
  return element('tr', {}, ...texts.map((name) => element('td', {}, point[name])), familyCell(point.family), setting, ...cells);
}

function startSettings() {
  const texts = ['task', 'split'].filter((name) => new Set(DATA.points.map((point) => point[name])).size > 1);
  const heading = (attributes, text) => element('th', {scope: 'col', ...attributes}, element('button', {type: 'button'}, text));
  const single = DATA.tasks.length === 1 ? DATA.tasks[0].name : undefined;
  const metrics = DATA.columns.map(({metric, secondary}) => heading({class: `number${secondary ? ' secondary' : ''}`}, metricTitle(metric, single).replace(/ (?=[↑↓])/, '\u00a0'))); // an arrow stays with its word
  const headings = [...texts, 'family'].map((name) => heading({'data-filter': true}, name));
  const table = element('table', {class: 'sortable settings'},
    element('thead', {}, element('tr', {}, ...headings, heading({}, 'setting'), ...metrics)),
    element('tbody', {}, ...DATA.points.map((point) => settingRow(point, texts))));
  byId('settings-table').append(table);
  startTable(table, {task: DATA.tasks[0].name, split: 'test'});
}
