// The browser of outputs: an example, and the outputs of several strategies for it, side by side.
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
const isSearched = (part) => ['all', part].includes(byId('out-scope').value);
const contains = (text, searchText) => text.toLowerCase().includes(searchText);

function matches(example, searchText) {
  if (!searchText) return true;
  return (isSearched('id') && contains(example.id, searchText))
    || (isSearched('prompt') && [example.prompt, ...example.references].some((text) => contains(text, searchText)))
    || (isSearched('outputs') && outputsOf(example).some((output) => contains(output.text, searchText)));
}

/** Returns one output of each strategy of a task, by strategy key. */
function strategiesOf(task) {
  const strategies = new Map();
  for (const output of DATA.outputs) if (output.task === task) strategies.set(strategyKey(output), output);
  return strategies;
}

/** Returns the strategies in the order to show them: first the chosen setting of each family, or its first one. */
function preferredColumns(strategies) {
  const chosen = new Set(DATA.points.filter((point) => point.chosen).map(strategyKey));
  const families = distinct([...strategies.values()].map((output) => output.family));
  const firsts = families.map((family) => {
    const ofFamily = [...strategies.keys()].filter((key) => strategies.get(key).family === family);
    return ofFamily.find((key) => chosen.has(key)) ?? ofFamily[0];
  });
  return distinct([...firsts, ...strategies.keys()]);
}

function strategySelect(strategies, column) {
  const groups = distinct([...strategies.values()].map((output) => output.family)).map((family) => {
    const ofFamily = [...strategies].filter(([, output]) => output.family === family);
    return element('optgroup', {label: family}, ...ofFamily.map(([key, output]) => element('option', {value: key}, output.id)));
  });
  const change = (event) => { browser.columns[column] = event.target.value; showOutputs(); byId('columns').querySelectorAll('select')[column].focus(); };
  const select = element('select', {'aria-label': `Strategy in column ${column + 1}`, change}, ...groups);
  select.value = browser.columns[column];
  return select;
}

/** Returns a note on an output that the limit cut off. */
function cutNote(output) {
  if (output.finish_reason !== 'length') return [];
  const length = output.n_tokens === null ? 'the limit' : `${output.n_tokens} tokens`;
  return [element('span', {class: 'cut', title: 'The output reached the largest number of new tokens, so its end is missing.'}, `cut at ${length}`)];
}

function outputCard(output) {
  const searchText = isSearched('outputs') ? query() : '';
  const scores = Object.entries(output.scores).map(([name, score]) => element('span', {}, `${name} `, element('b', {}, numberText(score, name.startsWith('mean ') ? 2 : 1))));
  const faded = searchText && !contains(output.text, searchText);
  let body;
  if (output.tokens && output.tokens.text.length) body = tokenBlock(output.tokens, searchText, byId('out-heat').checked);
  else if (output.text) body = element('div', {class: 'output-text', dir: 'auto'}, ...markedText(output.text, searchText));
  else body = element('div', {class: 'empty'}, 'empty');
  const answer = output.answer ? [element('div', {class: 'answer', dir: 'auto'}, element('b', {}, 'scored: '), ...markedText(output.answer, searchText))] : [];
  return element('article', {class: `output${faded ? ' faded' : ''}`}, element('div', {class: 'output-head'}, element('span', {}, `sample ${output.sample}`), ...scores, ...cutNote(output)), body, ...answer);
}

function strategyColumn(strategies, example, samples, index) {
  const key = browser.columns[index];
  const ofStrategy = new Map(outputsOf(example).filter((output) => strategyKey(output) === key).map((output) => [output.sample, output]));
  const family = strategies.get(key).family;
  const head = element('div', {class: 'strategy-head'}, element('h3', {}, family), strategySelect(strategies, index));
  const cards = samples.map((sample) => (ofStrategy.has(sample) ? outputCard(ofStrategy.get(sample)) : element('div', {class: 'note'}, ofStrategy.size ? '' : sample === samples[0] ? 'not decoded for this example' : '')));
  const column = element('div', {class: 'strategy'}, head, ...cards);
  column.style.setProperty('--family', familyColor(family));
  return column;
}

function showPrompt(example) {
  const searchText = isSearched('prompt') ? query() : '';
  const block = (title, texts, notes) => element('div', {}, element('h3', {}, title), ...notes.map((note) => element('p', {class: 'note'}, note)),
    ...texts.map((text) => element('div', {class: 'prompt', dir: 'auto', tabindex: 0}, ...markedText(text, searchText))));
  const shortened = example.shortened_by ? [element('span', {class: 'cut'}, `shortened by ${example.shortened_by} tokens`)] : [];
  const notes = [...shortened, ...(example.note ? [example.note] : [])];
  byId('prompt').replaceChildren(block('Prompt', [example.prompt], notes), block(example.references.length === 1 ? 'Reference' : 'References', example.references, []));
}

/** Lists other strategies whose outputs contain the search text, as buttons that show them. */
function showOtherStrategies(example) {
  const searchText = isSearched('outputs') ? query() : '';
  const visible = new Set(browser.columns);
  const others = searchText ? distinct(outputsOf(example).filter((output) => contains(output.text, searchText)).map(strategyKey)).filter((key) => !visible.has(key)) : [];
  const buttons = others.slice(0, 12).map((key) => element('button', {
    type: 'button', click: () => { browser.columns[browser.columns.length - 1] = key; showOutputs(); },
  }, JSON.parse(key)[1]));
  byId('other-strategies').hidden = !others.length;
  byId('other-strategies').replaceChildren(`Also found in ${others.length} other ${others.length === 1 ? 'strategy' : 'strategies'}. Show: `, ...buttons, others.length > 12 ? '…' : '');
}

function showOutputs() {
  hideTip();
  const example = browser.matching[Number(byId('out-example').value)];
  const index = browser.matching.indexOf(example);
  byId('out-before').disabled = index <= 0;
  byId('out-after').disabled = index < 0 || index === browser.matching.length - 1;
  byId('out-position').textContent = example ? `${index + 1} of ${browser.matching.length}` : 'no example contains this';
  byId('columns').hidden = byId('prompt').hidden = !example;
  if (!example) { byId('other-strategies').hidden = true; return; }
  showPrompt(example);
  showOtherStrategies(example);
  const strategies = strategiesOf(example.task);
  const samples = distinct(outputsOf(example).filter((output) => browser.columns.includes(strategyKey(output))).map((output) => output.sample)).sort((a, b) => a - b);
  byId('columns').style.setProperty('--columns', browser.columns.length);
  byId('columns').style.setProperty('--rows', samples.length + 1);
  byId('columns').replaceChildren(...browser.columns.map((_, column) => strategyColumn(strategies, example, samples, column)));
}

/** Lists the examples that match; the one that is shown stays selected if it is among them. */
function listExamples() {
  const before = browser.matching[Number(byId('out-example').value)];
  const searchText = query();
  browser.matching = DATA.examples.filter((example) => example.task === byId('out-task').value && matches(example, searchText));
  const choices = browser.matching.map((example, index) => element('option', {value: index}, `${example.id} · ${example.prompt.trim().slice(0, 80)}`));
  byId('out-example').replaceChildren(...choices);
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
  byId('out-hottest').textContent = numberText(DATA.hottest, 2);
}

function startOutputs() {
  fill(byId('out-task'), options(distinct(DATA.outputs.map((output) => output.task))));
  byId('out-count').value = '3';
  const all = () => { chooseColumns(); showLegend(); listExamples(); };
  const move = (by) => () => { byId('out-example').value = String(Number(byId('out-example').value) + by); showOutputs(); };
  let waiting;
  byId('out-task').addEventListener('change', all);
  byId('out-count').addEventListener('change', all);
  byId('out-heat').addEventListener('change', () => { showLegend(); showOutputs(); });
  byId('out-scope').addEventListener('change', listExamples);
  byId('out-example').addEventListener('change', showOutputs);
  byId('out-query').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(listExamples, 120); }); // not at every key
  byId('out-before').addEventListener('click', move(-1));
  byId('out-after').addEventListener('click', move(1));
  addEventListener('scroll', hideTip, {passive: true});
  all();
}
