// Shared by all parts of the page: the data, elements, numbers as text, and colors.
const DATA = JSON.parse(document.getElementById('edt-data').textContent);
const byId = (name) => document.getElementById('edt-' + name);

/** Creates an element. Its children are elements or texts; a text is never parsed as markup. */
function element(tag, attributes = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') created.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) created.setAttribute(name, value === true ? '' : value);
  }
  created.append(...children);
  return created;
}

/** Fills a select with options and keeps its value if that is still there; else selects `preferred`. */
function fill(select, entries, preferred) {
  const before = select.value;
  select.replaceChildren(...entries.map(([value, label]) => element('option', {value}, label)));
  const values = entries.map(([value]) => value);
  select.value = [before, preferred, values[0]].find((value) => values.includes(value)) ?? '';
}

const distinct = (values) => [...new Set(values)];
const options = (names) => names.map((name) => [name, name]);

const MISSING = '–';
function numberText(value, digits) {
  // As in the tables: a minus sign, and none where a value is shown as 0.
  return value === null || value === undefined ? MISSING : value.toFixed(digits).replace(/^-(?=0\.?0*$)/, '').replace('-', '−');
}

const FAMILIES = new Map(DATA.families.map((family) => [family.name, family]));

let printing = false;
function isDark() {
  if (printing) return false; // paper is white whatever the screen is
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}
const familyColor = (family) => FAMILIES.get(family)[isDark() ? 'dark' : 'light'];
