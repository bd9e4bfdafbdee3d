"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")].map((place) => ({
    place,
    figure: JSON.parse(place.nextElementSibling.textContent),
  }));

  // "var(--best)" anywhere in a figure becomes the colour that the style sheet gives it now
  const coloured = (value, style) => {
    if (typeof value === "string") {
      const name = /^var\((--[\w-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
    }
    return value;
  };

  const axis = (style) => ({
    gridcolor: style.getPropertyValue("--rule").trim(),
    linecolor: style.getPropertyValue("--rule").trim(),
    zerolinecolor: style.getPropertyValue("--rule").trim(),
    automargin: true,
    fixedrange: true,
  });

  const draw = () => {
    const style = getComputedStyle(root);
    for (const { place, figure } of plots) {
      const { data, layout } = coloured(figure, style);
      delete layout.template;
      for (const key of ["xaxis", "yaxis", "xaxis2", "yaxis2"]) {
        if (layout[key]) layout[key] = { ...axis(style), ...layout[key] };
      }
      Plotly.react(place, data, {
        ...layout,
        autosize: true,
        margin: { l: 8, r: 12, t: 16, b: 8 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: style.getPropertyValue("--soft").trim() },
        hoverlabel: { bgcolor: style.getPropertyValue("--card").trim(), font: { color: style.getPropertyValue("--text").trim() } },
      }, { displayModeBar: false, responsive: true });
    }
  };

  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    draw();
  });
  dark.addEventListener("change", draw);

  const more = document.getElementById("more");
  more?.addEventListener("click", () => {
    document.getElementById("rest").hidden = false;
    more.remove();
  });
  draw();
})();
