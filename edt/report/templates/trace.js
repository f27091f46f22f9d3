"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
let pinned = null;

function number(value) {
  if (value !== 0 && value < 0.0005) return value.toExponential(0);
  return value.toFixed(3);
}

function tokenOf(span) {
  const output = Number(span.closest("section").dataset.output);
  return data.outputs[output][Number(span.dataset.step)];
}

function choice(entry, drawn) {
  const name = document.createElement("span");
  name.className = drawn ? "name drawn" : "name";
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
  text.textContent = number(entry.sampling_prob);
  return [name, bars, text];
}

function show(span) {
  document.querySelectorAll(".token.chosen").forEach((other) => other.classList.remove("chosen"));
  document.querySelectorAll(".spark line").forEach((line) => { line.style.opacity = 0; });
  span.classList.add("chosen");
  const token = tokenOf(span);
  const line = span.closest("section").querySelector(".spark line");
  line.setAttribute("x1", token.step + 0.5);
  line.setAttribute("x2", token.step + 0.5);
  line.style.opacity = 0.6;
  find("hint").hidden = true;
  find("details").hidden = false;
  find("piece").textContent = token.token;
  find("step").textContent = token.step + 1;
  find("entropy").textContent = `${number(token.entropy)} nats`;
  find("temperature").textContent = number(token.temperature);
  find("rank").textContent = token.rank;
  find("probability").textContent = number(token.probability);
  find("sampling_prob").textContent = number(token.sampling_prob);
  find("choices").replaceChildren(
    ...token.alternatives.flatMap((entry, place) => choice(entry, place + 1 === token.rank && entry.token === token.token)),
  );
}

function colorBy(name) {
  const [low, high] = data.scales[name];
  find("low").textContent = low.toFixed(2);
  find("high").textContent = high.toFixed(2);
  document.querySelectorAll(".token").forEach((span) => {
    const place = Math.min(Math.max((tokenOf(span)[name] - low) / (high - low), 0), 1);
    const [shade, ink] = data.ramp[Math.round(place * (data.ramp.length - 1))];
    span.style.setProperty("--shade", shade);
    span.style.setProperty("--on", ink);
  });
}

function spanAt(target) {
  return target instanceof Element ? target.closest(".token") : null;
}

document.addEventListener("mouseover", (event) => {
  const span = spanAt(event.target);
  if (span && !pinned) show(span);
});
document.addEventListener("focusin", (event) => {
  const span = spanAt(event.target);
  if (span) show(span);
});
document.addEventListener("click", (event) => {
  const span = spanAt(event.target);
  pinned = span && span !== pinned ? span : null;
  if (span) show(span);
});
document.addEventListener("keydown", (event) => {
  const span = spanAt(document.activeElement);
  const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!span || !move) return;
  const spans = [...span.closest("section").querySelectorAll(".token")];
  const next = spans[spans.indexOf(span) + move];
  if (next) {
    event.preventDefault();
    pinned = next;
    next.focus();
  }
});
find("by").addEventListener("change", (event) => colorBy(event.target.value));
