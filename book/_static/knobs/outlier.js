/* Chapter 4: one line through nine points, for three losses. Drag any point.
 *
 * <div class="nn-knob" data-knob="outlier" data-params='{"height": 8, "delta": 1}'></div>
 *
 *   squared: normal equations    absolute: best line through two points    Huber: reweighting
 */
(function () {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const X = [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1];
  const NEAR = [1.05, 1.37, 1.55, 1.55, 2.14, 2.32, 2.42, 2.84];
  const START = { height: 8, delta: 1 };
  const LOW = -3;
  const HIGH = 11;
  const WIDTH = 620;
  const HEIGHT = 360;
  const LINES = [
    ["squared", "squared error", "var(--nn-w)", "none"],
    ["absolute", "absolute error", "var(--nn-x)", "9 5"],
    ["huber", "Huber", "var(--nn-b)", "2.5 4"],
  ];

  // Weighted least squares: the line [a, b] that minimises sum w (t - a - b x)^2.
  function weighted(x, t, w) {
    const total = w.reduce((sum, v) => sum + v, 0);
    const mean = (v) => v.reduce((sum, value, i) => sum + w[i] * value, 0) / total;
    const mx = mean(x);
    const mt = mean(t);
    let top = 0;
    let bottom = 0;
    x.forEach((value, i) => { top += w[i] * (value - mx) * (t[i] - mt); bottom += w[i] * (value - mx) ** 2; });
    return [mt - (top / bottom) * mx, top / bottom];
  }

  function squared(x, t) { return weighted(x, t, x.map(() => 1)); }

  // Some line through two of the points minimises the sum of absolute errors: try them all.
  function absolute(x, t) {
    let best = [0, 0];
    let least = Infinity;
    for (let i = 0; i < x.length; i += 1) {
      for (let j = i + 1; j < x.length; j += 1) {
        const b = (t[j] - t[i]) / (x[j] - x[i]);
        const a = t[i] - b * x[i];
        const cost = x.reduce((sum, value, k) => sum + Math.abs(t[k] - a - b * value), 0);
        if (cost < least - 1e-9) { least = cost; best = [a, b]; }
      }
    }
    return best;
  }

  // A far point weighs delta / |e|, so that it pulls with delta.
  function huber(x, t, delta) {
    let line = squared(x, t);
    for (let round = 0; round < 200; round += 1) {
      const w = x.map((value, i) => Math.min(1, delta / Math.max(Math.abs(t[i] - line[0] - line[1] * value), 1e-12)));
      line = weighted(x, t, w);
    }
    return line;
  }

  function fit(t, delta) {
    return { squared: squared(X, t), absolute: absolute(X, t), huber: huber(X, t, delta) };
  }

  const px = (x) => 50 + ((x + 1.12) / 2.24) * (WIDTH - 66);
  const py = (t) => 14 + ((HIGH - t) / (HIGH - LOW)) * (HEIGHT - 46);

  function make(tag, attributes, parent, text) {
    const element = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  }

  function html(tag, className, parent, content) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (content !== undefined) element.innerHTML = content;
    if (parent) parent.append(element);
    return element;
  }

  const written = (value) => value.toFixed(2).replace("-", "−");

  function mount(root) {
    const initial = { ...START, ...(root.dataset.params ? JSON.parse(root.dataset.params) : {}) };
    let t = [...NEAR, initial.height];
    let delta = initial.delta;
    root.replaceChildren();
    // On a narrow page the picture shrinks; its words must not.
    const big = root.clientWidth > 0 && root.clientWidth < 480 ? 1.7 : 1;
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Nine points and the lines fitted to them with squared, absolute and Huber's loss" }, root);
    svg.style.touchAction = "pan-x";
    for (let v = -2; v <= 10; v += 2) {
      make("line", { x1: px(-1.12), x2: px(1.12), y1: py(v), y2: py(v), stroke: "var(--nn-line)", "stroke-width": v === 0 ? 1.6 : 0.8 }, svg);
      make("text", { x: 40, y: py(v) + 5 * big, "text-anchor": "end", "font-size": 14 * big, style: "fill: var(--nn-muted)" }, svg, String(v).replace("-", "−"));
    }
    make("text", { x: px(1.12), y: HEIGHT - 6, "text-anchor": "end", "font-size": 15 * big, "font-style": "italic" }, svg, "x");
    make("text", { x: big > 1 ? 2 : 14, y: 16 * big, "font-size": 15 * big, "font-style": "italic" }, svg, "t");
    const drawn = {};
    LINES.forEach(([key, name, colour, dashes], i) => {
      drawn[key] = make("line", { stroke: colour, "stroke-width": 2.8, "stroke-dasharray": dashes, "data-line": key }, svg);
      make("line", { x1: 70, x2: 112, y1: (30 + 22 * i) * big, y2: (30 + 22 * i) * big, stroke: colour, "stroke-width": 2.8, "stroke-dasharray": dashes }, svg);
      make("text", { x: 122, y: (35 + 22 * i) * big, "font-size": 15 * big, style: `fill: ${colour}` }, svg, name);
    });
    const marks = X.map((x, i) => make("circle", { cx: px(x), r: (i === 8 ? 9 : 6.5) * Math.sqrt(big), fill: i === 8 ? "var(--nn-g)" : "var(--nn-ink)", class: "nn-handle", "data-point": i }, svg));

    const grid = html("div", "nn-knob-grid", root);
    const controls = {};
    for (const [key, label, low, high, colour, spoken] of [["height", "t<sub>9</sub>", -2.5, 10.5, "var(--nn-g)", "height of the ninth point"], ["delta", "δ", 0.1, 5, "var(--nn-b)", "delta of Huber's loss"]]) {
      const row = html("label", "nn-knob-control", grid);
      row.style.setProperty("--knob", colour);
      html("span", "nn-knob-name", row, label);
      const input = html("input", "", row);
      Object.assign(input, { type: "range", min: low, max: high, step: 0.1 });
      input.setAttribute("aria-label", spoken);
      input.addEventListener("input", () => {
        if (key === "height") t[8] = Number(input.value); else delta = Number(input.value);
        draw();
      });
      controls[key] = [input, html("output", "", row)];
    }
    const buttons = html("div", "nn-knob-buttons", root);
    const reset = html("button", "", buttons, "Reset");
    reset.type = "button";
    reset.addEventListener("click", () => { t = [...NEAR, initial.height]; delta = initial.delta; draw(); });
    const status = html("p", "nn-knob-status", root);
    status.setAttribute("role", "status");

    function draw() {
      const lines = fit(t, delta);
      for (const [key] of LINES) {
        const [a, b] = lines[key];
        for (const [end, x] of [["1", -1], ["2", 1]]) {
          drawn[key].setAttribute("x" + end, px(x));
          drawn[key].setAttribute("y" + end, py(a + b * x));
        }
      }
      marks.forEach((mark, i) => mark.setAttribute("cy", py(t[i])));
      for (const [key, value] of [["height", t[8]], ["delta", delta]]) {
        controls[key][0].value = value;
        controls[key][1].textContent = written(value);
      }
      status.innerHTML = "Slope: " + LINES.map(([key, name]) => `${name} <strong>${written(lines[key][1])}</strong>`).join(", ") + ". The eight small points alone lie near a slope of 1.";
      root.dataset.slopes = JSON.stringify(LINES.map(([key]) => lines[key][1]));
    }

    marks.forEach((mark, i) => {
      mark.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        mark.setPointerCapture(event.pointerId);
        const move = (e) => {
          const box = svg.getBoundingClientRect();
          const y = ((e.clientY - box.top) / box.height) * HEIGHT;
          const value = HIGH - ((y - 14) / (HEIGHT - 46)) * (HIGH - LOW);
          t[i] = Math.min(10.5, Math.max(-2.5, value));
          draw();
        };
        const stop = () => {
          mark.removeEventListener("pointermove", move);
          mark.removeEventListener("pointerup", stop);
          mark.removeEventListener("pointercancel", stop);
        };
        mark.addEventListener("pointermove", move);
        mark.addEventListener("pointerup", stop);
        mark.addEventListener("pointercancel", stop);
      });
    });
    draw();
  }

  window.nnKnobs = window.nnKnobs || {};
  window.nnKnobs.outlier = { fit, mount, x: X, near: NEAR };
})();
