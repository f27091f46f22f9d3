// What every part of the page uses: the data, elements, numbers, and the page's colors.
const DATA = JSON.parse(document.getElementById('edt-data').textContent);
const byId = (name) => document.getElementById('edt-' + name);

/** An element; children are elements or texts, and a text is only ever a text. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/** Fills a select; what was chosen stays chosen where it is still there, else `preferred` is. */
function fill(select, entries, preferred) {
  const before = select.value;
  select.replaceChildren(...entries.map(([value, label]) => element('option', {value}, label)));
  const values = entries.map(([value]) => value);
  select.value = [before, preferred, values[0]].find((value) => values.includes(value)) ?? '';
}

const distinct = (values) => [...new Set(values)];
const same = (names) => names.map((name) => [name, name]);

const MISSING = '–';
function shown(value, digits) {
  return value === null || value === undefined ? MISSING : value.toFixed(digits);
}

/** "39.6 [37.9, 41.4]" of a value with its bounds. */
function shownInterval(interval, digits) {
  if (!interval) return MISSING;
  const [value, lo, hi] = interval;
  const bounds = lo === null || hi === null ? '' : ` [${shown(lo, digits)}, ${shown(hi, digits)}]`;
  return shown(value, digits) + bounds;
}

const FAMILIES = new Map(DATA.families.map((family) => [family.name, family]));

let printing = false;
function isDark() {
  if (printing) return false;
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}
const colorOf = (family) => FAMILIES.get(family)[isDark() ? 'dark' : 'light'];
