// Draws the figures of a page, in the page's colours, and again when these or its width change.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: value("--line"), zerolinecolor: value("--line"), linecolor: value("--line") };
    return { ink: value("--ink"), axis };
  };
  const draw = (figure) => {
    const area = figure.querySelector(".plot-area");
    const { data, layout = {}, frames = [] } = JSON.parse(figure.querySelector("script").textContent);
    const { ink, axis } = colours();
    const own = { ...layout, paper_bgcolor: "transparent", plot_bgcolor: "transparent", autosize: true };
    delete own.template;
    delete own.width;
    own.font = { ...layout.font, color: ink };
    own.margin = { l: 56, r: 16, t: layout.title ? 48 : 20, b: 48, ...layout.margin };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      own[name] = { automargin: true, ...axis, ...layout[name] };
    }
    if (area.clientWidth < 520) {
      own.legend = { ...layout.legend, orientation: "h", x: 0, y: -0.25 };
    }
    Plotly.newPlot(area, data, own, { responsive: true, displaylogo: false, displayModeBar: false })
      .then(() => { if (frames.length) Plotly.addFrames(area, frames); });
  };
  const drawAll = () => {
    if (window.Plotly) document.querySelectorAll("figure.plot").forEach(draw);
  };
  document.addEventListener("DOMContentLoaded", drawAll);
  dark.addEventListener("change", drawAll);
})();
