// Starts the page, unpacks the drawing library, and draws again when the task, the split, the theme or the paper changes.
let linesSeen = false; // without a GPU WebGL takes seconds to start, so that chart waits until it is scrolled to

function drawAll() {
  const [task, split] = [byId('task').value, byId('split').value];
  drawFront(task, split);
  drawHeat(task, split);
  drawEdaOverTemperature(task, split);
  if (linesSeen) drawLines(task, split);
}

function listSplits() {
  fill(byId('split'), options(TASKS.get(byId('task').value).splits), 'test');
}

function startCharts() {
  fill(byId('task'), options(DATA.tasks.map((task) => task.name)));
  listSplits();
  byId('task').addEventListener('change', () => { listSplits(); drawAll(); });
  byId('split').addEventListener('change', drawAll);
  const redraw = (drawing) => () => drawing(byId('task').value, byId('split').value);
  for (const name of ['heat-family', 'heat-metric', 'heat-x', 'heat-y']) byId(name).addEventListener('change', redraw(drawHeat));
  byId('lines-family').addEventListener('change', redraw(drawLines));
  byId('front-intervals').addEventListener('change', redraw(drawFront));
  drawAll();
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    linesSeen = true;
    redraw(drawLines)();
  }, {rootMargin: '200px'});
  observer.observe(byId('lines'));
}

/** Unpacks plotly, and runs it as a script whose hash the page's policy names. */
async function loadPlotly() {
  const packed = Uint8Array.from(atob(byId('library').textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  document.head.append(element('script', {}, await new Response(stream).text()));
}

let loaded = false; // the library is there, so charts can be drawn again
async function startDrawing() {
  await loadPlotly();
  loaded = true;
  if (DATA.points.length) startCharts();
  drawFigures();
  document.documentElement.dataset.drawn = 'true';
}

function redrawColors() {
  if (loaded && DATA.points.length) drawAll();
  if (loaded) drawFigures();
  if (DATA.outputs.length) showOutputs();
}

function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
  redrawColors();
}

document.querySelectorAll('table.sortable').forEach((table) => startTable(table));
if (DATA.points.length) startSettings();
if (byId('library')) startDrawing();
if (DATA.outputs.length) startOutputs();
byId('theme').addEventListener('click', changeTheme);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawColors);
addEventListener('beforeprint', () => { printing = linesSeen = true; redrawColors(); });
addEventListener('afterprint', () => { printing = false; redrawColors(); });
