// The text of an output: what was searched for is marked, and tokens are colored by their temperature.

/** Returns the ranges [start, end) of the text that contain `query`, which is in lower case. */
function hits(text, query) {
  const ranges = [];
  if (!query) return ranges;
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return ranges; // e.g. İ becomes two characters, and all positions after it would be wrong
  for (let start = lower.indexOf(query); start >= 0; start = lower.indexOf(query, start + query.length)) ranges.push([start, start + query.length]);
  return ranges;
}

/** Returns the text with its hits in <mark>. */
function markedText(text, query) {
  const parts = [];
  let last = 0;
  for (const [start, end] of hits(text, query)) {
    parts.push(text.slice(last, start), element('mark', {}, text.slice(start, end)));
    last = end;
  }
  return [...parts, text.slice(last)];
}

/** Colors a token by its share of the hottest temperature: a mix of cold and mild, or of mild and hot. */
function colorToken(span, share) {
  span.classList.add(share < 0.5 ? 'colder' : 'warmer');
  span.style.setProperty('--share', `${Math.round(Math.min(Math.abs(2 * share - 1), 1) * 100)}%`);
}

function tokenSpans(tokens, query) {
  const ranges = hits(tokens.text.join(''), query);
  let start = 0;
  return tokens.text.map((text, index) => {
    const end = start + text.length;
    const span = element('span', {'data-index': index}, text);
    if (tokens.t[index] !== null) colorToken(span, DATA.hottest > 0 ? tokens.t[index] / DATA.hottest : 0);
    if (ranges.some(([from, to]) => from < end && start < to)) span.classList.add('hit');
    start = end;
    return span;
  });
}

/** Describes a token; quotes as in JSON make its spaces and line breaks visible. */
const tokenDetails = (tokens, index) => `${JSON.stringify(tokens.text[index])} · T ${numberText(tokens.t[index], 3)} · H ${numberText(tokens.h[index], 3)} nats`;

/** Shows the details of a token next to it. */
function showTip(span, details) {
  const tip = byId('tip');
  tip.textContent = details;
  tip.hidden = false;
  const box = span.getClientRects()[0] ?? span.getBoundingClientRect(); // a token can wrap over two lines
  const above = box.top - tip.offsetHeight - 6;
  tip.style.top = `${above > 0 ? above : box.bottom + 6}px`;
  tip.style.left = `${Math.max(4, Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
}
function hideTip() {
  byId('tip').hidden = true;
  document.querySelectorAll('.tokens .current').forEach((span) => span.classList.remove('current'));
}

/** Moves by one token with an arrow key. */
function step(block, tokens, by) {
  const spans = [...block.children];
  const before = spans.findIndex((span) => span.classList.contains('current'));
  const next = Math.max(0, Math.min(spans.length - 1, before + by));
  hideTip();
  spans[next].classList.add('current');
  spans[next].scrollIntoView({block: 'nearest'});
  showTip(spans[next], tokenDetails(tokens, next));
}

function tokenBlock(tokens, query, colored) {
  const indexOf = (event) => event.target.dataset.index;
  const show = (event) => indexOf(event) !== undefined && showTip(event.target, tokenDetails(tokens, indexOf(event)));
  const keys = (event) => {
    const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (by === undefined) return;
    event.preventDefault();
    step(event.currentTarget, tokens, by);
  };
  const attributes = {
    class: `output-text tokens${colored ? ' colored' : ''}`, tabindex: 0, dir: 'auto', role: 'group', 'aria-label': 'tokens; move with the arrow keys', mouseover: show,
    click: show, mouseleave: hideTip, blur: hideTip, keydown: keys,
  };
  return element('div', attributes, ...tokenSpans(tokens, query));
}
