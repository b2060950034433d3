"use strict";
// One state for each step: 0 shows the inputs, then every operation's result appears, then the seed, then the gradients flow.
const trace = JSON.parse(document.getElementById("trace").textContent);
const $ = (id) => document.getElementById(id);
const svg = document.querySelector("#graph svg");
const { tensors, states } = trace;
const last = states.length - 1;
let now = 0;

// What every box stands for, and every arrow: in a folded graph, for several nodes and uses. A use is where it comes from, where it
// goes to, and the position of the operand, or y for the result.
const boxes = [...svg.querySelectorAll(".node")].map((box) => [box, box.dataset.nodes.split(" ")]);
const arrows = [...svg.querySelectorAll(".edge")].map((arrow) => [arrow, arrow.dataset.uses.split(";").map((use) => use.split(" "))]);

// ---------------------------------------------------------------------------------------------------- small helpers

const MATHML = "http://www.w3.org/1998/Math/MathML";
// Everything is put in as text, never as markup: a tensor may be called anything.
function mathml([tag, ...inside]) {
  const element = document.createElementNS(MATHML, tag);
  if (tag === "mspace") element.setAttribute("width", "0.22em");
  for (const part of inside) element.append(typeof part === "string" ? part : mathml(part));
  return element;
}

// A formula in pieces between which a line may end: browsers do not break MathML. Words stand outside it.
function formula([, ...inside]) {
  const line = html("span", { class: "formula" });
  let piece = [];
  const close = () => {
    while (piece.at(-1)?.[0] === "mspace") piece.pop(); // a word brings its own spaces
    while (piece[0]?.[0] === "mspace") piece.shift();
    if (piece.length) line.append(mathml(["math", ...piece]), html("wbr", {}));
    piece = [];
  };
  for (const part of inside) {
    const [tag, text] = part;
    if (tag === "mtext" || (tag === "mo" && "=+−±".includes(text))) close();
    if (tag === "mtext") line.append(` ${text} `);
    else piece.push(part);
  }
  close();
  return line;
}

function html(tag, attributes, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

// A small array as a matrix, and any other as a summary in words.
function shown(value) {
  if (!value) return "not known";
  if (!value.rows) return value.text;
  const rows = value.rows.map((row) => ["mtr", ...row.map((text) => ["mtd", ["mn", text]])]);
  return mathml(["math", ["mtable", ...rows]]);
}

const called = (id) => (tensors[id].name ? `${tensors[id].name} (${id})` : id);

function facts(pairs) {
  return pairs.flatMap(([name, value, kind]) => [html("dt", {}, name), html("dd", kind ? { class: kind } : {}, value)]);
}

// ------------------------------------------------------------------------------------------------ what a step explains

function part(contribution) {
  const list = [["contribution", shown(contribution.value), "flowing"]];
  if (contribution.earlier) {
    list.push(["running sum before", shown(contribution.before)], ["running sum now", shown(contribution.total), "flowing"]);
  }
  return html(
    "div", {},
    html("h3", {}, `to ${contribution.operand} = ${called(contribution.target)}`),
    html("div", { class: "rule" }, contribution.rule ? formula(contribution.rule) : "its own rule"),
    html("dl", {}, ...facts(list)),
  );
}

function explain(state) {
  $("heading").textContent = state.heading;
  $("rule").replaceChildren(...(state.formula ? [formula(state.formula)] : []));
  const known = [];
  if (state.cotangent) known.push(["g, upstream", shown(state.cotangent), "flowing"]);
  for (const [name, id] of state.operands || []) known.push([`${name} = ${called(id)}`, shown(tensors[id].value)]);
  if (state.result) known.push([`y = ${called(state.result)}`, shown(tensors[state.result].value)]);
  for (const [name, text] of Object.entries(state.params || {})) known.push([name, text]);
  $("facts").replaceChildren(html("dl", {}, ...facts(known)));
  $("parts").replaceChildren(...(state.note ? [html("p", {}, state.note)] : []), ...(state.parts || []).map(part));
}

// ------------------------------------------------------------------------------------------------------- what a step shows

// The gradients that have arrived by a state, and the values that are known.
function arrived(step) {
  const grads = new Map();
  const values = new Set(trace.inputs);
  for (const state of states.slice(0, step + 1)) {
    if (state.kind === "forward") values.add(state.result);
    if (state.kind === "seed") grads.set(trace.root, state.cotangent);
    for (const one of state.parts || []) grads.set(one.target, one.total);
  }
  return { grads, values };
}

function show(step) {
  now = Math.min(Math.max(step, 0), last);
  const state = states[now];
  const { grads, values } = arrived(now);
  const targets = new Set((state.parts || []).map((one) => one.target));
  const backward = state.kind === "backward" || state.kind === "seed";
  svg.classList.toggle("backward", backward);
  for (const [box, ids] of boxes) {
    const tensor = ids.length === 1 && tensors[ids[0]];
    const here = ids.some((id) => id === state.node || (state.kind === "forward" ? id === state.result : targets.has(id)));
    box.classList.toggle("now", here || (state.kind === "seed" && ids.includes(trace.root)));
    box.classList.toggle("reached", ids.some((id) => values.has(id)));
    box.classList.toggle("got", ids.some((id) => grads.has(id)));
    if (!tensor) continue;
    const id = ids[0];
    const line = box.querySelector(".grad");
    if (line && grads.has(id)) line.textContent = `grad ${grads.get(id).short}`;
    const value = values.has(id) && tensor.value ? `, value ${tensor.value.text}` : "";
    const grad = grads.has(id) ? `, gradient ${grads.get(id).text}` : "";
    box.setAttribute("aria-label", `${called(id)}, ${tensor.role}${value}${grad}`);
  }
  const before = states.slice(0, now + 1);
  const visited = new Set(before.flatMap((s) => (s.parts || []).map((p) => `${p.target} ${s.node} ${p.position}`)));
  const done = new Set(before.filter((s) => s.kind === "backward").map((s) => s.node));
  for (const [arrow, uses] of arrows) {
    const mine = uses.filter(([source, target, position]) => state.node === target || (state.node === source && position === "y"));
    const flows = ([source, target, position]) => (position === "y" ? done.has(source) : visited.has(`${source} ${target} ${position}`));
    arrow.classList.toggle("forward", state.kind === "forward" && mine.length > 0);
    arrow.classList.toggle("flow", state.kind === "backward" && mine.some(flows));
    arrow.classList.toggle("flowed", uses.some(flows));
  }
  for (const row of $("rows").children) {
    const id = row.dataset.id;
    row.children[1].textContent = values.has(id) ? tensors[id].value?.text ?? "not known" : "";
    row.children[2].textContent = grads.get(id)?.text ?? "";
    row.classList.toggle("changed", targets.has(id) || (state.kind === "forward" && id === state.result));
  }
  explain(state);
  $("slider").value = now;
  $("slider").setAttribute("aria-valuetext", `step ${now} of ${last}: ${state.heading}`);
  $("count").textContent = `${now} of ${last}`;
  $("say").textContent = `Step ${now} of ${last}. ${state.say}`;
  for (const id of ["first", "back"]) $(id).disabled = now === 0;
  for (const id of ["next", "last"]) $(id).disabled = now === last;
  try {
    history.replaceState(null, "", `#${now}`);
  } catch {
    // A frame without an address of its own, as in a notebook.
  }
  follow(state);
}

// Scroll the graph, and never the page, to the operation of the step.
function follow(state) {
  const box = $("graph");
  const [node] = boxes.find(([, ids]) => ids.includes(state.node || trace.root)) || [];
  if (!node || state.kind === "start") return;
  const [inner, outer] = [node.getBoundingClientRect(), box.getBoundingClientRect()];
  box.scrollBy({
    left: inner.left + inner.width / 2 - outer.left - outer.width / 2,
    top: inner.top + inner.height / 2 - outer.top - outer.height / 2,
  });
}

// A graph that fits as a whole, in letters of the usual size, is shown as a whole. A larger one is as wide as fits, within limits:
// its letters can be read, and the graph is scrolled.
function fit() {
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const usual = parseFloat(getComputedStyle(document.body).fontSize) / 16;
  const box = $("graph");
  const across = (box.clientWidth - 24) / width;
  const whole = Math.min(across, (parseFloat(getComputedStyle(box).maxHeight) - 24) / height);
  const scale = Math.min(whole >= usual ? whole : Math.max(across, 0.72 * usual), 1.6 * usual);
  svg.style.width = `${width * scale}px`;
  svg.style.height = `${height * scale}px`;
}

// ------------------------------------------------------------------------------------------------------------- controls

const moves = { first: () => 0, back: () => now - 1, next: () => now + 1, last: () => last };
for (const [id, to] of Object.entries(moves)) $(id).addEventListener("click", () => show(to()));
$("slider").max = last;
$("slider").addEventListener("input", () => show(Number($("slider").value)));
const keys = { Home: "first", ArrowLeft: "back", ArrowRight: "next", End: "last" };
document.addEventListener("keydown", (event) => {
  const move = keys[event.key];
  // The slider has these keys already.
  if (!move || event.target === $("slider") || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(moves[move]());
});
const address = () => Number.parseInt(location.hash.slice(1), 10) || 0;
addEventListener("hashchange", () => show(address()));
addEventListener("resize", fit);

const system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const label = () => { $("theme").textContent = dark() ? "Light" : "Dark"; };
$("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  label();
});
system.addEventListener("change", label);

for (const [id, tensor] of Object.entries(tensors)) {
  $("rows").append(
    html("tr", { "data-id": id }, html("th", { scope: "row" }, called(id), html("small", {}, `${tensor.role} ${tensor.shape} ${tensor.dtype}`)),
      html("td", {}), html("td", {})),
  );
}
label();
fit();
show(address());
