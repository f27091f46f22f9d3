"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
let pinned = null; // the token that a click keeps in the inspector

function formatNumber(value) {
  // Three decimals would show a small probability as 0, as if the token could not be drawn.
  if (value !== 0 && value < 0.0005) return value.toExponential(0);
  return value.toFixed(3);
}

function tokenData(span) {
  const output = Number(span.closest("section").dataset.output);
  return data.outputs[output][Number(span.dataset.step)];
}

function alternativeRow(entry, isDrawn) {
  const name = document.createElement("span");
  name.className = isDrawn ? "name drawn" : "name";
  name.textContent = entry.token.replace(/^ +/, (spaces) => "·".repeat(spaces.length));

  const bars = document.createElement("span");
  bars.className = "bars";
  for (const [value, kind] of [[entry.probability, ""], [entry.sampling_prob, "as-drawn"]]) {
    const bar = document.createElement("i");
    bar.className = kind;
    bar.style.width = `${100 * value}%`;
    bars.append(bar);
  }

  const text = document.createElement("span");
  text.className = "number";
  text.textContent = formatNumber(entry.sampling_prob);
  return [name, bars, text];
}

function inspect(span) {
  document.querySelectorAll(".token.chosen").forEach((other) => other.classList.remove("chosen"));
  document.querySelectorAll(".curves line").forEach((line) => { line.style.opacity = 0; });
  span.classList.add("chosen");

  const token = tokenData(span);
  const line = span.closest("section").querySelector(".curves line");
  line.setAttribute("x1", token.step + 0.5);
  line.setAttribute("x2", token.step + 0.5);
  line.style.opacity = 0.6;

  find("hint").hidden = true;
  find("details").hidden = false;
  find("token").textContent = token.token;
  find("step").textContent = token.step + 1;
  find("entropy").textContent = `${formatNumber(token.entropy)} nats`;
  find("temperature").textContent = formatNumber(token.temperature);
  find("rank").textContent = token.rank;
  find("probability").textContent = formatNumber(token.probability);
  find("sampling_prob").textContent = formatNumber(token.sampling_prob);
  find("alternatives").replaceChildren(
    // Several tokens can have the same text, so the rank decides too.
    ...token.alternatives.flatMap((entry, index) => alternativeRow(entry, index + 1 === token.rank && entry.token === token.token)),
  );
}

function colorBy(name) {
  const [low, high] = data.scales[name];
  find("low").textContent = low.toFixed(2);
  find("high").textContent = high.toFixed(2);
  document.querySelectorAll(".token").forEach((span) => {
    const fraction = Math.min(Math.max((tokenData(span)[name] - low) / (high - low), 0), 1);
    const [color, textColor] = data.ramp[Math.round(fraction * (data.ramp.length - 1))];
    span.style.backgroundColor = color;
    span.style.color = textColor;
  });
}

function tokenSpan(target) {
  return target instanceof Element ? target.closest(".token") : null;
}

document.addEventListener("mouseover", (event) => {
  const span = tokenSpan(event.target);
  if (span && !pinned) inspect(span);
});
document.addEventListener("focusin", (event) => {
  const span = tokenSpan(event.target);
  if (span) inspect(span);
});
document.addEventListener("click", (event) => {
  const span = tokenSpan(event.target);
  pinned = span && span !== pinned ? span : null; // a second click, or one beneath, lets it go
  if (span) inspect(span);
});
document.addEventListener("keydown", (event) => {
  const span = tokenSpan(document.activeElement);
  const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!span || !move) return;
  const spans = [...span.closest("section").querySelectorAll(".token")];
  const next = spans[spans.indexOf(span) + move];
  if (next) {
    event.preventDefault(); // the arrow would scroll the page
    pinned = next;
    next.focus();
  }
});
find("by").addEventListener("change", (event) => colorBy(event.target.value));
