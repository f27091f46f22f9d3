// The browser of outputs: an example, and what several strategies answered to it, sample beside sample.
const strategyKey = (output) => JSON.stringify([output.family, output.id]);
const OUTPUTS = new Map();
for (const output of DATA.outputs) {
  const key = JSON.stringify([output.task, output.example]);
  if (!OUTPUTS.has(key)) OUTPUTS.set(key, []);
  OUTPUTS.get(key).push(output);
}
const outputsOf = (example) => OUTPUTS.get(JSON.stringify([example.task, example.id])) ?? [];
const browser = {matching: [], columns: []};

const query = () => byId('out-query').value.trim().toLowerCase();
const searched = (part) => ['all', part].includes(byId('out-scope').value);
const contains = (text, words) => text.toLowerCase().includes(words);

function matches(example, words) {
  if (!words) return true;
  return (searched('id') && contains(example.id, words))
    || (searched('prompt') && [example.prompt, ...example.references].some((text) => contains(text, words)))
    || (searched('outputs') && outputsOf(example).some((output) => contains(output.text, words)));
}

/** Strategies of a task, by family. */
function strategiesOf(task) {
  const found = new Map();
  for (const output of DATA.outputs) if (output.task === task) found.set(strategyKey(output), output);
  return found;
}

/** To begin with: the chosen setting of each family that has outputs, else its first. */
function preferredColumns(strategies) {
  const chosen = new Set(DATA.points.filter((point) => point.chosen).map(strategyKey));
  const families = distinct([...strategies.values()].map((output) => output.family));
  const firsts = families.map((family) => {
    const own = [...strategies.keys()].filter((key) => strategies.get(key).family === family);
    return own.find((key) => chosen.has(key)) ?? own[0];
  });
  return distinct([...firsts, ...strategies.keys()]);
}

function strategySelect(strategies, place) {
  const groups = distinct([...strategies.values()].map((output) => output.family)).map((family) => {
    const own = [...strategies].filter(([, output]) => output.family === family);
    return element('optgroup', {label: family}, ...own.map(([key, output]) => element('option', {value: key}, output.id)));
  });
  const change = (event) => { browser.columns[place] = event.target.value; showOutputs(); byId('columns').querySelectorAll('select')[place].focus(); };
  const select = element('select', {'aria-label': `Strategy in column ${place + 1}`, change}, ...groups);
  select.value = browser.columns[place];
  return select;
}

function outputCard(output) {
  const words = searched('outputs') ? query() : '';
  const scores = Object.entries(output.scores).map(([name, score]) => element('span', {}, `${name} `, element('b', {}, shown(score, 1))));
  const apart = words && !contains(output.text, words);
  let body;
  if (output.tokens && output.tokens.text.length) body = tokenBlock(output.tokens, words, byId('out-heat').checked);
  else if (output.text) body = element('div', {class: 'output-text'}, ...markedText(output.text, words));
  else body = element('div', {class: 'empty'}, 'empty');
  return element('article', {class: `output${apart ? ' apart' : ''}`}, element('div', {class: 'output-head'}, element('span', {}, `sample ${output.sample}`), ...scores), body);
}

function strategyColumn(strategies, example, samples, place) {
  const key = browser.columns[place];
  const own = new Map(outputsOf(example).filter((output) => strategyKey(output) === key).map((output) => [output.sample, output]));
  const family = strategies.get(key).family;
  const head = element('div', {class: 'strategy-head'}, element('h3', {}, family), strategySelect(strategies, place));
  const cards = samples.map((sample) => (own.has(sample) ? outputCard(own.get(sample)) : element('div', {class: 'note'}, own.size ? '' : sample === samples[0] ? 'not decoded for this example' : '')));
  const column = element('div', {class: 'strategy'}, head, ...cards);
  column.style.setProperty('--family', colorOf(family));
  return column;
}

function showGiven(example) {
  const words = searched('prompt') ? query() : '';
  const block = (title, texts) => element('div', {}, element('h3', {}, title), ...texts.map((text) => element('div', {class: 'given', tabindex: 0}, ...markedText(text, words))));
  byId('given').replaceChildren(block('Prompt', [example.prompt]), block(example.references.length === 1 ? 'Reference' : 'References', example.references));
}

/** Other strategies whose output holds what was searched for, each a click away. */
function showElsewhere(example) {
  const words = searched('outputs') ? query() : '';
  const visible = new Set(browser.columns);
  const found = words ? distinct(outputsOf(example).filter((output) => contains(output.text, words)).map(strategyKey)).filter((key) => !visible.has(key)) : [];
  const buttons = found.slice(0, 12).map((key) => element('button', {
    type: 'button', click: () => { browser.columns[browser.columns.length - 1] = key; showOutputs(); },
  }, JSON.parse(key)[1]));
  byId('elsewhere').hidden = !found.length;
  byId('elsewhere').replaceChildren(`Found also in ${found.length} other ${found.length === 1 ? 'strategy' : 'strategies'}; show: `, ...buttons, found.length > 12 ? '…' : '');
}

function showOutputs() {
  hideTip();
  const example = browser.matching[Number(byId('out-example').value)];
  const place = browser.matching.indexOf(example);
  byId('out-before').disabled = place <= 0;
  byId('out-after').disabled = place < 0 || place === browser.matching.length - 1;
  byId('out-place').textContent = example ? `${place + 1} of ${browser.matching.length}` : 'nothing contains this';
  byId('columns').hidden = byId('given').hidden = !example;
  if (!example) { byId('elsewhere').hidden = true; return; }
  showGiven(example);
  showElsewhere(example);
  const strategies = strategiesOf(example.task);
  const samples = distinct(outputsOf(example).filter((output) => browser.columns.includes(strategyKey(output))).map((output) => output.sample)).sort((a, b) => a - b);
  byId('columns').style.setProperty('--columns', browser.columns.length);
  byId('columns').style.setProperty('--rows', samples.length + 1);
  byId('columns').replaceChildren(...browser.columns.map((_, column) => strategyColumn(strategies, example, samples, column)));
}

/** Lists the examples that match; the one on show stays where it matches too. */
function listExamples() {
  const before = browser.matching[Number(byId('out-example').value)];
  const words = query();
  browser.matching = DATA.examples.filter((example) => example.task === byId('out-task').value && matches(example, words));
  const options = browser.matching.map((example, place) => element('option', {value: place}, `${example.id} · ${example.prompt.trim().slice(0, 80)}`));
  byId('out-example').replaceChildren(...options);
  byId('out-example').value = String(Math.max(0, browser.matching.indexOf(before)));
  showOutputs();
}

function chooseColumns() {
  const preferred = preferredColumns(strategiesOf(byId('out-task').value));
  const kept = browser.columns.filter((key) => preferred.includes(key));
  const count = Math.min(Number(byId('out-count').value), Math.max(preferred.length, 1));
  browser.columns = distinct([...kept, ...preferred]).slice(0, count);
}

function showLegend() {
  const traced = DATA.outputs.some((output) => output.task === byId('out-task').value && output.tokens);
  byId('out-heat-label').hidden = !traced;
  byId('legend').hidden = !traced || !byId('out-heat').checked;
  byId('out-hottest').textContent = shown(DATA.hottest, 2);
}

function startOutputs() {
  fill(byId('out-task'), same(distinct(DATA.outputs.map((output) => output.task))));
  byId('out-count').value = '3';
  const all = () => { chooseColumns(); showLegend(); listExamples(); };
  const move = (by) => () => { byId('out-example').value = String(Number(byId('out-example').value) + by); showOutputs(); };
  let waiting;
  byId('out-task').addEventListener('change', all);
  byId('out-count').addEventListener('change', all);
  byId('out-heat').addEventListener('change', () => { showLegend(); showOutputs(); });
  byId('out-scope').addEventListener('change', listExamples);
  byId('out-example').addEventListener('change', showOutputs);
  byId('out-query').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(listExamples, 120); });
  byId('out-before').addEventListener('click', move(-1));
  byId('out-after').addEventListener('click', move(1));
  addEventListener('scroll', hideTip, {passive: true});
  all();
}
