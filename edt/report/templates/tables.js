// Sort a table by a click on a heading: ascending, descending, and back to the original order.
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

function makeSortable(table) {
  const original = [...table.tBodies[0].rows];
  const next = {none: 'ascending', ascending: 'descending', descending: 'none'};
  for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
    heading.querySelector('button').addEventListener('click', () => {
      sortTable(table, original, column, next[heading.getAttribute('aria-sort') ?? 'none']);
    });
  }
}
