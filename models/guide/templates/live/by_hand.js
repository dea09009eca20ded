// One unit whose gates are set by hand.
import { ask, colour, latest, make, signed } from "./ask.js";

const at = (id) => document.getElementById(id);
const { cells } = await ask("models", {});
const WHEN = [["first", "at the first word"], ["later", "afterwards"]];
let sliders = {};

const cell = () => at("cell").value;

function refresh() {
  const asked = { cell: cell(), noise: Number(at("noise").value), first: {}, later: {} };
  for (const [when] of WHEN) {
    for (const [name, { slider, output }] of Object.entries(sliders[when])) {
      asked[when][name] = Number(slider.value);
      output.value = asked[when][name].toFixed(2);
    }
  }
  request(asked);
}

const request = latest("by-hand", show, (said) => { at("by-hand-refusal").textContent = said; });

function show({ inputs, values, gradient }) {
  at("by-hand-refusal").textContent = "";
  const end = values.hidden.length - 1;
  at("by-hand-answer").textContent =
    `After ${end + 1} words the hidden state is ${signed(values.hidden[end])}; it depends on the ` +
    `first word with slope ${gradient[0].toFixed(3)}, on the last with ${gradient[end].toFixed(3)}.`;
  const state = cell() === "LSTM" ? ["cell", "hidden"] : ["hidden"];
  const heads = ["word", "x", ...cells[cell()].gates, "candidate", ...state, "", "slope"];
  at("steps").tHead.replaceChildren(make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head))));
  at("steps").tBodies[0].replaceChildren(...inputs.map((x, t) => {
    const number = (value) => make("td", { className: "number" }, signed(value));
    const carried = values[state[0]][t], bar = make("span", { className: "bar" });
    bar.style.width = `${Math.min(Math.abs(carried), 2) * 50}%`;
    bar.style.backgroundColor = colour(carried / 0.55, 1);
    return make("tr", {},
      make("th", { scope: "row" }, String(t + 1)), number(x),
      ...cells[cell()].gates.map((name) => make("td", { className: "number" }, values[name][t].toFixed(2))),
      number(values.candidate[t]), ...state.map((name) => number(values[name][t])),
      make("td", { className: "bar-cell" }, bar), make("td", { className: "number" }, gradient[t].toFixed(3)));
  }));
}

function usePreset(name) {
  const [text, first, later] = cells[cell()].presets[name];
  at("preset-text").textContent = text;
  for (const [when, gates] of [["first", first], ["later", later]]) {
    for (const [gate, value] of Object.entries(gates)) sliders[when][gate].slider.value = value;
  }
  press(name);
  refresh();
}

function press(name) {
  for (const button of at("presets").children) {
    button.setAttribute("aria-pressed", String(button.textContent === name));
  }
}

function chooseCell() {
  const { gates, presets } = cells[cell()];
  at("presets").replaceChildren(...Object.keys(presets).map((name) => {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => usePreset(name));
    return button;
  }));
  const rows = [];
  for (const [when, said] of WHEN) {
    sliders[when] = {};
    for (const name of gates) {
      const id = `${when}-${name}`;
      const slider = make("input", { type: "range", id, min: 0, max: 1, step: 0.05, value: 1 });
      const output = make("output", {});
      slider.addEventListener("input", () => { press(""); at("preset-text").textContent = ""; refresh(); });
      sliders[when][name] = { slider, output };
      rows.push(make("div", { className: "gate by-hand-gate" },
        make("label", { htmlFor: id }, `${name} ${said}`), slider, output));
    }
  }
  at("by-hand-gates").replaceChildren(...rows);
  usePreset(Object.keys(presets)[0]);
}

at("cell").replaceChildren(...Object.keys(cells).map((name) => make("option", {}, name)));
at("cell").addEventListener("change", chooseCell);
at("noise").addEventListener("input", refresh);
chooseCell();
