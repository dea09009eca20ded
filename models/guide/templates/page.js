// Draws the figures of a page, in the page's colours, and again when these or its width change.
// Plotly's own sliders, menus and play buttons can't be reached by keyboard and are too small for
// fingers: the page's controls do what they would.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const NARROW = 520;
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: value("--line"), zerolinecolor: value("--line"), linecolor: value("--line") };
    return { ink: value("--ink"), axis };
  };

  // Below the axis, in as many rows as there is width for, instead of on top of it.
  const legendBelow = (area, data, layout, own) => {
    const names = data.filter((trace) => trace.showlegend !== false && trace.name);
    if (!names.length || layout.showlegend === false || (data.length < 2 && !layout.showlegend)) return 0;
    const entry = 50 + 7 * Math.max(...names.map(({ name }) => name.length));
    const height = 20 * Math.ceil(names.length / Math.max(1, Math.floor(area.clientWidth / entry)));
    own.legend = { ...layout.legend, orientation: "h", x: 0, xanchor: "left", yref: "container", y: 0, yanchor: "bottom" };
    own.margin.b += height + 8;
    return height + 8;
  };

  // Names below an axis lean to the left, where there is room for them; how high they are.
  const leanNames = (data, own) => {
    let height = 0;
    for (const trace of data) {
      const axis = (trace.xaxis ?? "x").replace("x", "xaxis");
      const names = own[axis]?.ticktext ?? (typeof trace.x?.[0] === "string" ? trace.x : []);
      const longest = Math.max(0, ...names.map((name) => String(name).length));
      if (longest > 6) {
        own[axis] = { tickangle: -45, ...own[axis] };
        height = Math.max(height, Math.min(5 * longest, 150) - 20);
      }
    }
    own.margin.b += Math.max(height, 0);
    return Math.max(height, 0);
  };

  const draw = (figure) => {
    const area = figure.querySelector(".plot-area");
    const { data, layout = {}, frames = [] } = JSON.parse(figure.querySelector("script").textContent);
    const { ink, axis } = colours();
    const own = { ...layout, paper_bgcolor: "transparent", plot_bgcolor: "transparent", autosize: true };
    for (const name of ["template", "width", "sliders", "updatemenus"]) delete own[name];
    own.font = { ...layout.font, color: ink };
    const top = layout.title ? 48 : 20;
    own.margin = { l: 56, r: 16, t: top, b: 52, ...layout.margin };
    if (layout.sliders || layout.updatemenus) { // the room for them isn't needed
      own.margin.t = top;
      delete own.height;
    }
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      own[name] = { automargin: true, ...axis, ...layout[name] };
    }
    area.style.height = "";
    if (area.clientWidth < NARROW) {
      const height = Math.max(area.clientHeight, own.height ?? 0);
      const below = leanNames(data, own) + legendBelow(area, data, layout, own);
      area.style.height = `${height + below}px`;
      delete own.height;
    }
    figure.dataset.narrow = area.clientWidth < NARROW;
    Plotly.newPlot(area, data, own, { responsive: true, displaylogo: false, displayModeBar: false })
      .then(() => { if (frames.length) return Plotly.addFrames(area, frames); })
      .then(() => { if (!figure.querySelector(".plot-controls")) addControls(figure, area, layout); });
  };

  const act = (area, { method = "restyle", args = [] }) => {
    if (method !== "skip") Plotly[method](area, ...JSON.parse(JSON.stringify(args)));
  };

  const addControls = (figure, area, layout) => {
    const controls = make("div", { className: "plot-controls" });
    for (const slider of layout.sliders ?? []) controls.append(...sliderControls(area, slider));
    for (const menu of layout.updatemenus ?? []) {
      const buttons = (menu.buttons ?? []).filter(({ method }) =>
        !(method === "animate" && layout.sliders)); // play and pause: a slider has a button for it
      if (menu.type === "buttons") {
        controls.append(...buttons.map((button) => make("button", {
          type: "button", textContent: button.label, onclick: () => act(area, button),
        })));
      } else if (buttons.length) {
        const list = make("select", { onchange: () => act(area, buttons[list.selectedIndex]) },
          ...buttons.map(({ label }) => make("option", {}, label)));
        list.selectedIndex = menu.active ?? 0;
        controls.append(make("label", {}, "show ", list));
      }
    }
    if (controls.childElementCount) area.after(controls);
  };

  const sliderControls = (area, { steps = [], active = 0, currentvalue = {} }) => {
    const range = make("input", { type: "range", min: 0, max: steps.length - 1, step: 1 });
    range.value = active;
    const output = make("output");
    const show = (i) => {
      range.value = i;
      const label = steps[i].label ?? String(i + 1);
      output.textContent = label;
      range.setAttribute("aria-valuetext", label);
    };
    const go = (i) => { show(i); act(area, steps[i]); };
    let playing;
    const stop = () => {
      clearInterval(playing);
      playing = undefined;
      play.textContent = "play";
    };
    const play = make("button", { type: "button", textContent: "play" });
    play.addEventListener("click", () => {
      if (playing) return stop();
      if (Number(range.value) === steps.length - 1) go(0);
      play.textContent = "stop";
      playing = setInterval(() => {
        if (Number(range.value) >= steps.length - 1) stop();
        else go(Number(range.value) + 1);
      }, 700);
    });
    range.addEventListener("input", () => { stop(); go(Number(range.value)); });
    show(active);
    return [play, make("label", {}, currentvalue.prefix || "step ", range, output)];
  };

  const drawAll = () => {
    if (window.Plotly) document.querySelectorAll("figure.plot").forEach(draw);
  };
  document.addEventListener("DOMContentLoaded", drawAll);
  dark.addEventListener("change", drawAll);
  window.addEventListener("resize", () => {
    for (const figure of document.querySelectorAll("figure.plot")) {
      const narrow = String(figure.querySelector(".plot-area").clientWidth < NARROW);
      if (window.Plotly && figure.dataset.narrow !== narrow) draw(figure);
    }
  });
})();
