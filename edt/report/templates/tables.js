// Tables that sort by a click on a heading: up, down, and back to the order they came in.
function sortKey(cell) {
  if (cell.hasAttribute('data-missing')) return [2, 0];
  if (cell.hasAttribute('data-number')) return [0, Number(cell.dataset.number)];
  return [1, cell.textContent];
}

/** Numbers before texts; what is missing last, whichever way it goes. */
function compareCells(a, b, sign) {
  const [kindA, valueA] = sortKey(a);
  const [kindB, valueB] = sortKey(b);
  if (kindA === 2 || kindB === 2) return kindA - kindB;
  if (kindA !== kindB) return sign * (kindA - kindB);
  return sign * (kindA === 0 ? valueA - valueB : valueA.localeCompare(valueB, undefined, {numeric: true}));
}

function sortTable(table, original, place, order) {
  const sign = order === 'descending' ? -1 : 1;
  const rows = [...original];
  if (order !== 'none') rows.sort((a, b) => compareCells(a.cells[place], b.cells[place], sign));
  table.tBodies[0].append(...rows);
  for (const [at, heading] of [...table.tHead.rows[0].cells].entries()) {
    if (at === place && order !== 'none') heading.setAttribute('aria-sort', order);
    else heading.removeAttribute('aria-sort');
  }
}

function makeSortable(table) {
  const original = [...table.tBodies[0].rows];
  const next = {none: 'ascending', ascending: 'descending', descending: 'none'};
  for (const [place, heading] of [...table.tHead.rows[0].cells].entries()) {
    heading.querySelector('button').addEventListener('click', () => {
      sortTable(table, original, place, next[heading.getAttribute('aria-sort') ?? 'none']);
    });
  }
}
