"use strict";
// Draws the page from the JSON in #contents: a virtual tree of elements, bytes, charts and pictures.
const stream = JSON.parse(document.getElementById("contents").textContent);
const bytes = Uint8Array.from(atob(stream.bytes), c => c.charCodeAt(0));
const $ = id => document.getElementById(id);
const many = (count, thing) => `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
const PATH = 0, CODED_AS = 1, OFFSET = 2, WIDTH = 3, VALUE = 4, CLAUSE = 5;

function make(kind, text = "", name = "") {
  const node = document.createElement(kind);
  node.textContent = text;
  if (name) node.className = name;
  return node;
}

// --- head ------------------------------------------------------------------------------------------

const violations = stream.report.violations;
const wrongBits = new Set(violations.map(one => one.bit_offset));
$("name").textContent = stream.name;
$("facts").textContent = [many(stream.size, "byte"), many(stream.report.units, "unit"),
  many(stream.report.features, "feature")].join(" · ") + leftOut();
$("verdict").className = stream.report.conforming ? "good" : "bad";
$("verdict").textContent = stream.report.conforming ? "conforming"
  : violations.length ? `not conforming: ${many(violations.length, "violation")}`
  : `not verified: ${stream.report.unverified.join("; ")}`;
$("violations").hidden = !violations.length;
for (const one of violations) {
  const entry = make("li"), button = make("button", `${one.class}: ${one.what}`);
  const place = one.bit_offset === null ? "" : `, bit ${one.bit_offset}`;
  button.onclick = () => { if (one.bit_offset !== null) goToBit(one.bit_offset); };
  const number = one.requirement ? `, R${one.requirement}` : "";
  entry.append(button, make("span", ` (clause ${one.clause} ${one.clause_title}${number}${place})`, "note"));
  $("violations").querySelector("ol").append(entry);
}

function leftOut() {
  const parts = Object.entries(stream.left_out).filter(([, count]) => count)
    .map(([what, count]) => `${count.toLocaleString("en")} ${what}`);
  return parts.length ? ` · not on this page: ${parts.join(", ")}` : "";
}

// --- tree: rows are units, and the elements of those that are open ----------------------------------

const ROW = 24;
const open = new Set(stream.units.length <= 8 ? stream.units.keys() : [0]);
let rows = [], chosen = 0;

function layRows() {
  rows = [];
  stream.units.forEach((unit, u) => {
    rows.push([u, -1]);
    if (open.has(u)) unit.elements.forEach((_, e) => rows.push([u, e]));
  });
}

function isWrong([u, e]) {
  const unit = stream.units[u];
  if (e >= 0) return wrongBits.has(unit.elements[e][OFFSET]);
  const end = unit.offset + 8 * unit.size;
  return Boolean(unit.problem) || violations.some(
    one => one.bit_offset !== null && one.bit_offset >= unit.offset && one.bit_offset < end);
}

function drawRows() {
  const tree = $("tree"), top = Math.floor(tree.scrollTop / ROW);
  const end = Math.min(rows.length, top + Math.ceil(tree.clientHeight / ROW) + 2);
  const space = make("div");
  space.style.height = `${rows.length * ROW}px`;
  for (let r = top; r < end; r++) space.append(drawRow(r));
  tree.replaceChildren(space);
  tree.setAttribute("aria-activedescendant", `row-${chosen}`);
}

function drawRow(r) {
  const [u, e] = rows[r], unit = stream.units[u], node = make("div", "", "row");
  node.id = `row-${r}`;
  node.style.top = `${r * ROW}px`;
  node.setAttribute("role", "treeitem");
  node.setAttribute("aria-level", e < 0 ? 1 : 2);
  node.setAttribute("aria-selected", r === chosen);
  if (e < 0) {
    node.classList.add("unit");
    node.setAttribute("aria-expanded", open.has(u));
    node.append(`${open.has(u) ? "▾" : "▸"} ${unit.name}`);
    node.append(make("span", `  byte ${unit.offset / 8}, ${many(unit.size, "byte")}`, "value"));
  } else {
    const element = unit.elements[e], depth = element[PATH].split(".").length;
    node.append(`${"  ".repeat(depth)}${element[PATH].split(".").pop()} `);
    node.append(make("span", element[VALUE], "value"));
  }
  if (isWrong(rows[r])) node.classList.add("wrong");
  if (r === chosen) node.classList.add("chosen");
  node.onclick = () => { choose(r); if (e < 0) toggle(u); };
  return node;
}

function choose(r) {
  chosen = Math.max(0, Math.min(rows.length - 1, r));
  drawRows(); // gives the tree its height, within which it scrolls
  const tree = $("tree"), top = chosen * ROW;
  if (top < tree.scrollTop) tree.scrollTop = top;
  if (top + ROW > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + ROW - tree.clientHeight;
  drawRows();
  drawPlace();
}

function toggle(u, wanted = !open.has(u)) {
  const [unit, element] = rows[chosen];
  wanted ? open.add(u) : open.delete(u);
  layRows();
  choose(rows.findIndex(([a, b]) => a === unit && b === (open.has(unit) ? element : -1)));
}

function goTo(u, e) {
  open.add(u);
  layRows();
  choose(rows.findIndex(([a, b]) => a === u && b === e));
}

function goToBit(bit) {
  let u = stream.units.findLastIndex(unit => unit.offset <= bit);
  if (u < 0) u = 0;
  let best = -1;
  stream.units[u].elements.forEach((one, e) => {
    const holds = one[OFFSET] <= bit && bit < one[OFFSET] + Math.max(1, one[WIDTH]);
    if (holds && (best < 0 || one[WIDTH] <= stream.units[u].elements[best][WIDTH])) best = e;
  });
  goTo(u, best);
}

const MOVES = {
  ArrowDown: () => choose(chosen + 1),
  ArrowUp: () => choose(chosen - 1),
  PageDown: () => choose(chosen + 20),
  PageUp: () => choose(chosen - 20),
  Home: () => choose(0),
  End: () => choose(rows.length - 1),
  ArrowRight: () => rows[chosen][1] < 0 && (open.has(rows[chosen][0]) ? choose(chosen + 1) : toggle(rows[chosen][0], true)),
  ArrowLeft: () => rows[chosen][1] < 0 ? toggle(rows[chosen][0], false)
    : choose(rows.findIndex(([u, e]) => u === rows[chosen][0] && e < 0)),
  Enter: () => rows[chosen][1] < 0 && toggle(rows[chosen][0]),
};
$("tree").onkeydown = event => {
  const move = MOVES[event.key];
  if (move) { event.preventDefault(); move(); }
};
$("tree").onscroll = drawRows;
addEventListener("resize", drawRows);

// --- search ----------------------------------------------------------------------------------------

function* matches(text) {
  for (const [u, unit] of stream.units.entries()) {
    if (unit.name.includes(text)) yield [u, -1];
    for (const [e, one] of unit.elements.entries())
      if (one[PATH].split(".").pop().includes(text) || one[CLAUSE] === text) yield [u, e];
  }
}

let found = [], next = 0;
function search() {
  const text = $("search").value.trim().toLowerCase();
  found = [];
  next = 0;
  if (/^\d+$/.test(text)) goToBit(Number(text));
  else if (text) for (const one of matches(text)) { found.push(one); if (found.length === 1000) break; }
  $("found").textContent = text && !/^\d+$/.test(text) ? many(found.length, "match").replace("matchs", "matches") : "";
  if (found.length) goTo(...found[0]);
}
$("search").oninput = search;
$("search").onkeydown = event => {
  if (event.key === "Enter" && found.length) { next = (next + 1) % found.length; goTo(...found[next]); }
  if (event.key === "Escape") { $("search").value = ""; search(); $("tree").focus(); }
};
document.onkeydown = event => {
  if (event.key === "/" && event.target !== $("search")) { event.preventDefault(); $("search").focus(); }
};

// --- place: the chosen element and its bits ---------------------------------------------------------

function bitsOf(offset, width) {
  let text = "";
  for (let bit = offset; bit < offset + Math.min(width, 64); bit++)
    text += bit >> 3 < bytes.length ? bytes[Math.floor(bit / 8)] >> 7 - bit % 8 & 1 : "?";
  return width > 64 ? `${text} …` : text;
}

function drawPlace() {
  const [u, e] = rows[chosen], unit = stream.units[u], list = make("dl");
  const element = e < 0 ? [unit.name, "", unit.offset, 8 * unit.size, "", ""] : unit.elements[e];
  const fact = (name, text, kind = "") => list.append(make("dt", name), make("dd", text, kind));
  fact(e < 0 ? "unit" : "element", element[PATH]);
  if (element[CLAUSE]) fact("clause", `${element[CLAUSE]} ${stream.clauses[element[CLAUSE]] || ""}`);
  if (element[CODED_AS]) fact("coded as", element[CODED_AS], "value");
  fact("bits", `${element[OFFSET]} to ${element[OFFSET] + element[WIDTH] - 1} (${element[WIDTH]}), byte ${Math.floor(element[OFFSET] / 8)}`);
  if (e >= 0) { fact("", bitsOf(element[OFFSET], element[WIDTH]), "value"); fact("value", element[VALUE], "value"); }
  if (unit.problem) fact("problem", unit.problem);
  for (const one of violations) if (one.bit_offset === element[OFFSET]) fact(one.class, one.what);
  const steps = make("div", "", "steps");
  for (const [text, by] of [["← previous", -1], ["next →", 1]]) {
    const button = make("button", text);
    button.onclick = () => choose(chosen + by);
    steps.append(button);
  }
  $("place").replaceChildren(list, steps);
  drawBytes(element[OFFSET], element[WIDTH]);
}

function drawBytes(offset, width) {
  const across = innerWidth < 800 ? 8 : 16, first = Math.floor(offset / 8), last = Math.ceil((offset + width) / 8) - 1;
  const start = Math.max(0, Math.floor(first / across) - 2) * across, lines = [];
  const end = Math.min(bytes.length, start + 16 * across);
  for (let at = start; at < end; at += across) {
    const line = make("div", "", "line");
    line.append(make("span", at.toString(16).padStart(6, "0") + "  ", "at"));
    for (let b = at; b < Math.min(end, at + across); b++) {
      const cell = make("span", bytes[b].toString(16).padStart(2, "0"), b >= first && b <= last ? "inside" : "");
      cell.dataset.byte = b;
      line.append(cell);
    }
    lines.push(line);
  }
  $("bytes").replaceChildren(...lines);
}
$("bytes").onclick = event => {
  if (event.target.dataset.byte) goToBit(8 * Number(event.target.dataset.byte));
};

// --- charts ----------------------------------------------------------------------------------------

function ink(name) { // the colour as it is now, light or dark
  const probe = make("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

const charts = [];
function chart(title, values, pick) {
  const figure = make("figure"), canvas = make("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", title);
  figure.append(canvas, make("figcaption", title));
  document.querySelector(".charts").append(figure);
  charts.push(() => drawChart(canvas, values, pick));
}

function drawChart(canvas, values, pick) {
  const ratio = devicePixelRatio || 1, wide = canvas.clientWidth || 400, high = 180, left = 60;
  canvas.width = wide * ratio;
  canvas.height = high * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const highs = values.map(one => Array.isArray(one) ? one[1] : one), lows = values.map(one => Array.isArray(one) ? one[0] : 0);
  const spread = values.some(Array.isArray), most = highs.reduce((a, b) => Math.max(a, b), 0);
  const least = spread ? lows.reduce((a, b) => Math.min(a, b), most) - 1 : 0, top = spread ? most + 1 : most || 1;
  const y = value => high - 20 - (high - 32) * (value - least) / (top - least);
  const step = (wide - left - 6) / values.length;
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = ink("--faint");
  pen.textAlign = "right";
  for (const value of [least, (least + top) / 2, top]) pen.fillText(Math.round(value).toLocaleString("en"), left - 6, y(value) + 4);
  pen.textAlign = "left";
  pen.fillText("0", left, high - 5);
  pen.textAlign = "right";
  pen.fillText((values.length - 1).toLocaleString("en"), wide - 6, high - 5);
  pen.fillStyle = ink("--accent");
  values.forEach((_, i) => {
    const upper = y(highs[i]), lower = spread ? y(lows[i]) : y(0);
    pen.fillRect(left + i * step, upper, Math.max(1, step * .85), Math.max(2, lower - upper));
  });
  if (pick) {
    canvas.style.cursor = "pointer";
    canvas.onclick = event => pick(Math.max(0, Math.min(values.length - 1, Math.floor((event.offsetX - left) / step))));
  }
}

const toUnit = i => goToBit(stream.coded[i].offset);
if (stream.coded.length) {
  chart("bytes of payload per coded unit", stream.coded.map(one => one.bytes), toUnit);
  if (stream.coded.every(one => one.qp)) {
    chart("QP per coded unit, least to greatest", stream.coded.map(one => one.qp), toUnit);
    const first = stream.coded[0].qps;
    if (first.length > 1) chart("QP per channel of the first coded unit", first.map(qp => [qp - .15, qp + .15]));
  }
} else document.querySelector(".charts").append(make("p", "no coded unit could be read", "note"));
const drawCharts = () => charts.forEach(draw => draw());
drawCharts();
addEventListener("resize", drawCharts);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);

// --- pictures --------------------------------------------------------------------------------------

function picture(one, number) {
  const [channels, height, width] = one.size, pixels = Uint8Array.from(atob(one.pixels), c => c.charCodeAt(0));
  const figure = make("figure"), canvas = make("canvas"), pen = canvas.getContext("2d");
  if (one.shape.length === 1) {
    canvas.width = Math.max(width, 64);
    canvas.height = 96;
    pen.fillStyle = ink("--accent");
    for (let x = 0; x < width; x++) pen.fillRect(x * canvas.width / width, 95 - pixels[x] * 95 / 255, canvas.width / width, 1 + pixels[x] * 95 / 255);
    canvas.style.width = `${Math.min(640, 4 * canvas.width)}px`;
  } else {
    const across = Math.ceil(Math.sqrt(channels)), down = Math.ceil(channels / across);
    canvas.width = across * (width + 1) - 1;
    canvas.height = down * (height + 1) - 1;
    for (let c = 0; c < channels; c++) {
      const image = pen.createImageData(width, height);
      for (let i = 0; i < width * height; i++) {
        image.data.fill(pixels[c * width * height + i], 4 * i, 4 * i + 3);
        image.data[4 * i + 3] = 255;
      }
      pen.putImageData(image, c % across * (width + 1), Math.floor(c / across) * (height + 1));
    }
    canvas.style.width = `${canvas.width * Math.max(1, Math.floor(320 / canvas.width))}px`;
  }
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `feature ${number}`);
  const more = one.shape.length === 3 && one.shape[0] > channels ? `, ${channels} channels shown` : "";
  const wrong = one.not_finite ? `, ${one.not_finite} not finite` : "";
  figure.append(canvas, make("figcaption", `feature ${number}: ${one.shape.join(" × ")} ${one.dtype}, `
    + `${one.least.toPrecision(4)} to ${one.greatest.toPrecision(4)}${more}${wrong}`));
  document.querySelector(".pictures").append(figure);
}
stream.pictures.forEach(picture);
if (stream.no_pictures) document.querySelector(".pictures").append(make("p", stream.no_pictures, "note"));

layRows();
const hash = location.hash.match(/^#bit=(\d+)$/);
if (hash) goToBit(Number(hash[1]));
else if (violations.length && violations[0].bit_offset !== null) goToBit(violations[0].bit_offset);
else choose(0);
