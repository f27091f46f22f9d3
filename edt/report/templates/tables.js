// Tables that a reader can sort, filter and widen: one component for every page.
const SHORT_TABLE = 8; // rows up to which a table needs no filter

function sortKey(cell) {
  if (cell.hasAttribute('data-missing')) return [2, 0];
  if (cell.hasAttribute('data-number')) return [0, Number(cell.dataset.number)];
  return [1, cell.textContent];
}

/** Compares two cells: numbers come before texts, and missing values last in both directions. */
function compareCells(a, b, sign) {
  const [kindA, valueA] = sortKey(a);
  const [kindB, valueB] = sortKey(b);
  if (kindA === 2 || kindB === 2) return kindA - kindB;
  if (kindA !== kindB) return sign * (kindA - kindB);
  return sign * (kindA === 0 ? valueA - valueB : valueA.localeCompare(valueB, undefined, {numeric: true}));
}

function sortTable(table, original, column, order) {
  const sign = order === 'descending' ? -1 : 1;
  const rows = [...original];
  if (order !== 'none') rows.sort((a, b) => compareCells(a.cells[column], b.cells[column], sign));
  table.tBodies[0].append(...rows);
  for (const [index, heading] of [...table.tHead.rows[0].cells].entries()) {
    if (index === column && order !== 'none') heading.setAttribute('aria-sort', order);
    else heading.removeAttribute('aria-sort');
  }
}

/** Makes the headings sort: at the first click the best values come first, then the worst, then the original order. */
function makeSortable(table, original) {
  for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
    const [first, second] = heading.textContent.includes('↑') ? ['descending', 'ascending'] : ['ascending', 'descending'];
    const next = {none: first, [first]: second, [second]: 'none'};
    heading.querySelector('button').addEventListener('click', () => {
      sortTable(table, original, column, next[heading.getAttribute('aria-sort') ?? 'none']);
    });
  }
}

/** Returns the controls above a table: a search in its rows, a menu for each filtered column, and all columns. */
function tableControls(table, original, preferred) {
  const headings = [...table.tHead.rows[0].cells];
  const cellText = (row, column) => row.cells[column].textContent.trim();
  const name = (heading) => heading.textContent.trim();
  const search = element('input', {type: 'search', placeholder: 'in any column', autocomplete: 'off', spellcheck: 'false'});
  const menus = [...headings.entries()].filter(([, heading]) => heading.hasAttribute('data-filter')).map(([column, heading]) => {
    const values = distinct(original.map((row) => cellText(row, column)));
    const select = element('select', {}, element('option', {value: ''}, 'all'), ...values.map((text) => element('option', {value: text}, text)));
    if (values.includes(preferred?.[name(heading)])) select.value = preferred[name(heading)];
    return {column, select, values, label: name(heading)};
  }).filter(({values}) => values.length > 1);
  const count = element('span', {class: 'hint', role: 'status'});
  const filterRows = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of original) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) || menus.some(({column, select}) => select.value && cellText(row, column) !== select.value);
    }
    // A column that has one value in all rows is in the menu already.
    for (const {column, select} of menus) for (const row of [table.tHead.rows[0], ...original]) row.cells[column].hidden = Boolean(select.value);
    const shown = original.filter((row) => !row.hidden).length;
    count.textContent = shown === original.length ? `${shown} rows` : `${shown} of ${original.length} rows`;
  };
  for (const control of [search, ...menus.map(({select}) => select)]) control.addEventListener('input', filterRows);

  const more = element('input', {type: 'checkbox', change: () => table.classList.toggle('widened', more.checked)});
  const hasMore = headings.some((heading) => heading.classList.contains('secondary'));
  const filters = original.length > SHORT_TABLE || menus.length
    ? [element('label', {}, 'Filter ', search), ...menus.map(({label, select}) => element('label', {}, `${label} `, select)), count] : [];
  if (filters.length) filterRows();
  return [...filters, ...(hasMore ? [element('label', {class: 'check'}, more, ' all columns')] : [])];
}

/** Starts a table; `preferred` gives the values that its menus begin with, by heading. */
function startTable(table, preferred) {
  const original = [...table.tBodies[0].rows];
  makeSortable(table, original);
  const controls = tableControls(table, original, preferred);
  if (controls.length) table.parentElement.before(element('div', {class: 'controls', role: 'group', 'aria-label': 'Rows and columns of the table'}, ...controls));
}
