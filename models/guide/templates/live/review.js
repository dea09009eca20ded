// The review: asks for the answer whenever the text or a gate changes, and shows it.
import { ask, colour, largest, latest, make, signed } from "./ask.js";

const at = (id) => document.getElementById(id);
const MEANING = {
  forget: "forget: how much of the old cell state stays at this word",
  input: "input: how much of the candidate gets into the cell state",
  output: "output: how much of the cell state is shown as the hidden state",
  update: "update: how much of the old state stays; the rest is replaced by the candidate",
  reset: "reset: how much of the old state the candidate reads",
  candidate: "candidate: what could be stored, from −1 to 1",
  cell: "cell: the cell state after the word",
  hidden: "hidden: the hidden state after the word, from −1 to 1",
};
let settings, sliders = [], answer;

const model = () => settings.models[at("model").selectedIndex];

function refresh() {
  const gates = {};
  for (const { name, how, slider, output } of sliders) {
    slider.max = how.value === "times" ? 2 : 1;
    how.parentElement.classList.toggle("own", how.value === "own");
    output.value = how.value === "own" ? "" : Number(slider.value).toFixed(2);
    if (how.value !== "own") gates[name] = { [how.value]: Number(slider.value) };
  }
  request({ model: model().title, text: at("typed").value, gates });
}

const request = latest("review", show, (said) => {
  at("refusal").textContent = said;
  at("answer").textContent = "";
  for (const id of ["ways", "words"]) at(id).classList.add("stale");
});

function show(found) {
  answer = found;
  at("refusal").textContent = "";
  for (const id of ["ways", "words"]) at(id).classList.remove("stale");
  const said = make("span", { className: found.class }, found.class);
  at("answer").replaceChildren(said, `: the probability of a good review is ${found.chance.toFixed(2)}` +
    (found.chance === found.untouched ? "" : `; with the network's own gates, ${found.untouched.toFixed(2)}`));
  at("ways").replaceChildren(...Object.entries(found.parts).map(([way, parts]) => {
    const most = largest(parts), line = make("p", { className: "way" }, make("b", {}, way));
    found.words.forEach((word, t) => {
      const span = make("span", { title: signed(parts[t]) }, found.known[t] ? word : `(${word})`);
      span.style.backgroundColor = colour(parts[t], most);
      line.append(span, " ");
    });
    return line;
  }));
  showWords();
}

function showWords() {
  if (!answer) return;
  const name = at("value").value, values = answer.values[name];
  at("value-text").textContent = `${MEANING[name] ?? name}. Each stripe has up to ` +
    `${values[0].length} units; mean is the mean over them.`;
  const ways = Object.keys(answer.parts);
  const heads = ["word", name, "mean", ...(answer.kept ? ["kept"] : []), ...ways];
  at("words").tHead.replaceChildren(make("tr", {}, ...heads.map((head, i) =>
    make("th", { scope: "col", className: i > 1 ? "number" : "" }, head))));
  at("words").tBodies[0].replaceChildren(...answer.words.map((word, t) => {
    const mean = values[t].reduce((a, b) => a + b, 0) / values[t].length;
    const number = (text) => make("td", { className: "number" }, text);
    return make("tr", {},
      make("th", { scope: "row" }, answer.known[t] ? word : `(${word})`),
      make("td", {}, stripe(values[t], `${name}: mean ${mean.toFixed(2)}`)),
      number(mean.toFixed(2)),
      ...(answer.kept ? [number(`${Math.round(100 * answer.kept[t])} %`)] : []),
      ...ways.map((way) => number(signed(answer.parts[way][t]))));
  }));
}

function stripe(values, text) {
  const canvas = make("canvas", { width: values.length, height: 1, role: "img", "aria-label": text });
  const context = canvas.getContext("2d"), most = Math.max(1, largest(values));
  values.forEach((value, unit) => {
    context.fillStyle = colour(value / 0.55, most);
    context.fillRect(unit, 0, 1, 1);
  });
  return canvas;
}

function chooseModel() {
  const before = at("value").value;
  at("value").replaceChildren(...model().values.map((name) => make("option", {}, name)));
  if (model().values.includes(before)) at("value").value = before;
  sliders = model().gates.map((name) => {
    const how = make("select", { "aria-label": `${name}: how` },
      make("option", { value: "own" }, "the network's own"),
      make("option", { value: "set" }, "set to"), make("option", { value: "times" }, "multiplied by"));
    const slider = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 1, "aria-label": name });
    const output = make("output");
    how.addEventListener("change", () => { slider.value = 1; refresh(); });
    slider.addEventListener("input", () => { if (how.value === "own") how.value = "set"; refresh(); });
    return { name, how, slider, output };
  });
  at("gates").replaceChildren(...sliders.map(({ name, how, slider, output }) =>
    make("div", { className: "gate" }, make("span", {}, name), how, slider, output)));
  if (!sliders.length) at("gates").replaceChildren(make("p", {}, "This network has no gates."));
  at("own").hidden = !sliders.length;
  refresh();
}

settings = await ask("models", {});
at("model").replaceChildren(...settings.models.map(({ title }) => make("option", {}, title)));
at("example").append(...settings.examples.map((text) => make("option", { value: text }, text)));
at("typed").value = settings.examples[0];
at("model").addEventListener("change", chooseModel);
at("value").addEventListener("change", showWords);
at("typed").addEventListener("input", refresh);
at("example").addEventListener("change", ({ target }) => {
  if (target.value) at("typed").value = target.value;
  target.selectedIndex = 0;
  refresh();
});
at("own").addEventListener("click", () => {
  for (const { how, slider } of sliders) { how.value = "own"; slider.value = 1; }
  refresh();
});
chooseModel();
