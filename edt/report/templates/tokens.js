// An output's text: what was searched for is marked, and tokens are colored by the temperature they were drawn at.

/** Where `query`, in lower case, occurs in the text, as [start, end). */
function hits(text, query) {
  const found = [];
  if (!query) return found;
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return found; // lower case of another length: places would be wrong
  for (let at = lower.indexOf(query); at >= 0; at = lower.indexOf(query, at + query.length)) found.push([at, at + query.length]);
  return found;
}

/** The text with its hits in <mark>. */
function markedText(text, query) {
  const parts = [];
  let last = 0;
  for (const [start, end] of hits(text, query)) {
    parts.push(text.slice(last, start), element('mark', {}, text.slice(start, end)));
    last = end;
  }
  return [...parts, text.slice(last)];
}

/** A share of the hottest temperature as a mix of two of three colors: cold, mild, hot. */
function heat(span, share) {
  span.classList.add(share < 0.5 ? 'colder' : 'warmer');
  span.style.setProperty('--share', `${Math.round(Math.min(Math.abs(2 * share - 1), 1) * 100)}%`);
}

function tokenSpans(tokens, query) {
  const found = hits(tokens.text.join(''), query);
  let start = 0;
  return tokens.text.map((text, place) => {
    const end = start + text.length;
    const span = element('span', {'data-place': place}, text);
    if (tokens.t[place] !== null) heat(span, DATA.hottest > 0 ? tokens.t[place] / DATA.hottest : 0);
    if (found.some(([from, to]) => from < end && start < to)) span.classList.add('hit');
    start = end;
    return span;
  });
}

const readable = (text) => JSON.stringify(text);
const tokenWords = (tokens, place) => `${readable(tokens.text[place])} · T ${shown(tokens.t[place], 3)} · H ${shown(tokens.h[place], 3)} nats`;

/** Shows temperature and entropy of a token beside it. */
function showTip(span, words) {
  const tip = byId('tip');
  tip.textContent = words;
  tip.hidden = false;
  const at = span.getClientRects()[0] ?? span.getBoundingClientRect();
  const above = at.top - tip.offsetHeight - 6;
  tip.style.top = `${above > 0 ? above : at.bottom + 6}px`;
  tip.style.left = `${Math.max(4, Math.min(at.left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
}
function hideTip() {
  byId('tip').hidden = true;
  document.querySelectorAll('.tokens .at').forEach((span) => span.classList.remove('at'));
}

/** One step with an arrow key through an output's tokens. */
function step(block, tokens, by) {
  const spans = [...block.children];
  const before = spans.findIndex((span) => span.classList.contains('at'));
  const next = Math.max(0, Math.min(spans.length - 1, before + by));
  hideTip();
  spans[next].classList.add('at');
  spans[next].scrollIntoView({block: 'nearest'});
  showTip(spans[next], tokenWords(tokens, next));
}

function tokenBlock(tokens, query, heated) {
  const at = (event) => event.target.dataset.place;
  const show = (event) => at(event) !== undefined && showTip(event.target, tokenWords(tokens, at(event)));
  const keys = (event) => {
    const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (by === undefined) return;
    event.preventDefault();
    step(event.currentTarget, tokens, by);
  };
  const attributes = {
    class: `output-text tokens${heated ? ' heated' : ''}`, tabindex: 0, role: 'group', 'aria-label': 'tokens; step with the arrow keys', mouseover: show,
    click: show, mouseleave: hideTip, blur: hideTip, keydown: keys,
  };
  return element('div', attributes, ...tokenSpans(tokens, query));
}
