/* Chapter 2: one activation, its slope, and what twenty of them leave of a gradient.
 *
 * <div class="nn-knob" data-knob="activation" data-params='{"name": "sigmoid", "x": 2}'></div>
 *
 *   y = f(x)    slope = f'(x)    remaining after k units = |f'(x)|^k
 */
(function () {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const START = { name: "sigmoid", x: 2 };
  const RANGE = 6;
  const FLAT = 0.05;
  const UNITS = 20;
  const WIDTH = 420;
  const HEIGHT = 300;
  const LOW = -1.6;
  const HIGH = 3.2;

  const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
  const density = (x) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);

  // P(Z <= x) of a standard normal Z; every term of the series is positive, so no digits are lost.
  function normal(x) {
    if (Math.abs(x) > 8) return x > 0 ? 1 : 0;
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
      term *= x * x / (2 * n + 1);
      sum += term;
    }
    return 0.5 + density(x) * sum;
  }

  const FUNCTIONS = {
    identity: ["identity", (x) => x, () => 1],
    sigmoid: ["sigmoid", sigmoid, (x) => sigmoid(x) * (1 - sigmoid(x))],
    tanh: ["tanh", Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
    relu: ["ReLU", (x) => Math.max(x, 0), (x) => (x > 0 ? 1 : 0)],
    leaky_relu: ["leaky ReLU", (x) => (x > 0 ? x : 0.01 * x), (x) => (x > 0 ? 1 : 0.01)],
    elu: ["ELU", (x) => (x > 0 ? x : Math.expm1(x)), (x) => (x > 0 ? 1 : Math.exp(x))],
    softplus: ["softplus", (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), sigmoid],
    silu: ["SiLU", (x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
    gelu: ["GELU", (x) => x * normal(x), (x) => normal(x) + x * density(x)],
  };

  function compute(name, x) {
    const [, f, slope] = FUNCTIONS[name];
    return { y: f(x), slope: slope(x), remaining: Math.abs(slope(x)) ** UNITS };
  }

  const px = (x) => ((x + RANGE) / (2 * RANGE)) * WIDTH;
  const py = (y) => ((HIGH - y) / (HIGH - LOW)) * HEIGHT;

  function make(tag, attributes, parent, text) {
    const element = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function html(tag, className, parent, content) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (content !== undefined) element.innerHTML = content;
    parent.append(element);
    return element;
  }

  function number(value) {
    const size = Math.abs(value);
    const text = size >= 1e4 || (size > 0 && size < 5e-4) ? value.toExponential(1) : value.toFixed(3);
    return text.replaceAll("-", "−").replace("e+", "e");
  }

  function path(f) {
    const points = [];
    for (let i = 0; i <= 240; i += 1) {
      const x = -RANGE + (i / 240) * 2 * RANGE;
      points.push((i ? "L" : "M") + px(x).toFixed(1) + " " + py(f(x)).toFixed(1));
    }
    return points.join("");
  }

  // The slope may jump at 0: two strokes, so that no vertical line joins them.
  function slopePath(slope) {
    const half = (from, to) => {
      const points = [];
      for (let i = 0; i <= 120; i += 1) {
        const x = from + (i / 120) * (to - from);
        points.push((i ? "L" : "M") + px(x).toFixed(1) + " " + py(slope(x)).toFixed(1));
      }
      return points.join("");
    };
    return half(-RANGE, -1e-9) + half(1e-9, RANGE);
  }

  // Where the curve is flat: stretches of the axis with a slope below FLAT.
  function flatStretches(slope) {
    const found = [];
    let start = null;
    for (let i = 0; i <= 480; i += 1) {
      const x = -RANGE + (i / 480) * 2 * RANGE;
      const flat = Math.abs(slope(x)) < FLAT;
      if (flat && start === null) start = x;
      if (start !== null && (!flat || i === 480)) { found.push([start, x]); start = null; }
    }
    return found.filter(([a, b]) => b - a > 0.5);
  }

  let serial = 0;

  function mount(root) {
    serial += 1;
    const state = { ...START, ...(root.dataset.params ? JSON.parse(root.dataset.params) : {}) };
    root.replaceChildren();
    const body = html("div", "nn-knob-body", root);
    const left = html("div", "", body);
    const right = html("div", "nn-knob-controls", body);

    const plane = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "The activation, its tangent at x, and its slope" }, left);
    const clip = "nn-activation-clip-" + serial;
    make("rect", { width: WIDTH, height: HEIGHT, rx: 4 }, make("clipPath", { id: clip }, make("defs", {}, plane)));
    const inside = make("g", { "clip-path": `url(#${clip})` }, plane);
    make("rect", { width: WIDTH, height: HEIGHT, fill: "var(--nn-paper)" }, inside);
    const flats = make("g", {}, inside);
    for (let x = -RANGE + 1; x < RANGE; x += 1) make("line", { x1: px(x), x2: px(x), y1: 0, y2: HEIGHT, stroke: "var(--nn-line)", "stroke-width": x === 0 ? 1.8 : 0.7 }, inside);
    for (let y = -1; y <= 3; y += 1) {
      make("line", { x1: 0, x2: WIDTH, y1: py(y), y2: py(y), stroke: "var(--nn-line)", "stroke-width": y === 0 ? 1.8 : 0.7 }, inside);
      if (y) make("text", { x: px(0) - 5, y: py(y) + 4, "text-anchor": "end", "font-size": 11, style: "fill: var(--nn-muted)" }, inside, String(y).replace("-", "−"));
    }
    for (const x of [-4, -2, 2, 4]) make("text", { x: px(x), y: py(0) + 14, "text-anchor": "middle", "font-size": 11, style: "fill: var(--nn-muted)" }, inside, String(x).replace("-", "−"));
    const slopeCurve = make("path", { fill: "none", stroke: "var(--nn-g)", "stroke-width": 2, "stroke-dasharray": "6 4" }, inside);
    const curve = make("path", { fill: "none", stroke: "var(--nn-y)", "stroke-width": 3 }, inside);
    const drop = make("line", { stroke: "var(--nn-x)", "stroke-width": 1.4, "stroke-dasharray": "2 3" }, inside);
    const tangent = make("line", { stroke: "var(--nn-g)", "stroke-width": 3, "stroke-linecap": "round" }, inside);
    const dot = make("circle", { r: 7, fill: "var(--nn-x)", class: "nn-handle" }, inside);
    make("rect", { x: 0.5, y: 0.5, width: WIDTH - 1, height: HEIGHT - 1, rx: 4, fill: "none", stroke: "var(--nn-line)" }, plane);

    const strip = make("svg", { viewBox: `0 0 ${WIDTH} 62`, role: "img", "aria-label": "A gradient of 1 on its way back through twenty such units" }, left);
    const lamps = [];
    for (let k = 1; k <= UNITS; k += 1) {
      const cx = WIDTH - (k - 0.5) * (WIDTH / UNITS);
      lamps.push(make("circle", { cx, cy: 20, r: 8, fill: "var(--nn-g)", stroke: "var(--nn-muted)", "stroke-width": 1 }, strip));
    }
    const captions = [1, 5, 10, 20].map((k) => {
      const cx = WIDTH - (k - 0.5) * (WIDTH / UNITS);
      const anchor = k === 1 ? "end" : k === 20 ? "start" : "middle";
      return [k, make("text", { x: k === 1 ? WIDTH - 2 : k === 20 ? 2 : cx, y: 46, "text-anchor": anchor, "font-size": 12 }, strip)];
    });
    make("text", { x: WIDTH / 2, y: 60, "text-anchor": "middle", "font-size": 11, style: "fill: var(--nn-muted)" }, strip, "← gradient, after 1, 5, 10 and 20 such units");

    const buttons = html("div", "nn-knob-buttons", right);
    buttons.style.marginTop = "0";
    const choices = Object.entries(FUNCTIONS).map(([name, [label]]) => {
      const button = html("button", "", buttons, label);
      button.type = "button";
      button.addEventListener("click", () => { state.name = name; draw(); });
      return [name, button];
    });
    const row = html("label", "nn-knob-control", right);
    row.style.setProperty("--knob", "var(--nn-x)");
    html("span", "nn-knob-name", row, "x");
    const input = html("input", "", row);
    Object.assign(input, { type: "range", min: -RANGE, max: RANGE, step: 0.05 });
    input.setAttribute("aria-label", "input x");
    input.addEventListener("input", () => { state.x = Number(input.value); draw(); });
    const output = html("output", "", row);
    const status = html("p", "nn-knob-status", right);
    status.setAttribute("role", "status");
    html("p", "nn-knob-legend", right, "Solid: the activation. Dashed: its slope, with the tangent at x. Grey: slope below 0.05, saturated. A lamp is as bright as the gradient that is left.");

    function draw() {
      const [label, f, slope] = FUNCTIONS[state.name];
      const now = compute(state.name, state.x);
      curve.setAttribute("d", path(f));
      slopeCurve.setAttribute("d", slopePath(slope));
      flats.replaceChildren();
      for (const [a, b] of flatStretches(slope)) make("rect", { x: px(a), y: 0, width: px(b) - px(a), height: HEIGHT, fill: "var(--nn-muted)", "fill-opacity": 0.14 }, flats);
      const cx = px(state.x);
      const cy = Math.min(Math.max(py(now.y), 8), HEIGHT - 8);
      dot.setAttribute("cx", cx); dot.setAttribute("cy", cy);
      for (const [key, value] of [["x1", cx], ["x2", cx], ["y1", py(0)], ["y2", cy]]) drop.setAttribute(key, value);
      const reach = 1.3 / Math.sqrt(1 + now.slope ** 2);
      for (const [key, value] of [["x1", px(state.x - reach)], ["x2", px(state.x + reach)], ["y1", py(now.y - reach * now.slope)], ["y2", py(now.y + reach * now.slope)]]) tangent.setAttribute(key, value);
      lamps.forEach((lamp, i) => lamp.setAttribute("fill-opacity", Math.min(1, Math.abs(now.slope) ** (i + 1)).toFixed(4)));
      captions.forEach(([k, text]) => { text.textContent = number(Math.abs(now.slope) ** k); });
      choices.forEach(([name, button]) => {
        button.classList.toggle("nn-primary", name === state.name);
        button.setAttribute("aria-pressed", String(name === state.name));
      });
      input.value = state.x;
      output.textContent = state.x.toFixed(2).replace("-", "−");
      const verdict = now.slope === 0 ? "Nothing comes back: for this input the unit can't learn."
        : Math.abs(now.slope) < FLAT ? "Saturated: almost nothing comes back."
          : now.remaining > 0.5 ? "The gradient survives." : "Each unit takes its share.";
      status.innerHTML = `${label}: y = <strong>${number(now.y)}</strong>, slope <strong>${number(now.slope)}</strong>. ${verdict}`;
      root.dataset.slope = String(now.slope);
    }

    function move(event) {
      const box = plane.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * 2 * RANGE - RANGE;
      state.x = Math.round(Math.min(RANGE, Math.max(-RANGE, x)) * 20) / 20;
      draw();
    }
    plane.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      plane.setPointerCapture(event.pointerId);
      move(event);
      plane.addEventListener("pointermove", move);
      const stop = () => plane.removeEventListener("pointermove", move);
      plane.addEventListener("pointerup", stop, { once: true });
      plane.addEventListener("pointercancel", stop, { once: true });
    });
    draw();
  }

  window.nnKnobs = window.nnKnobs || {};
  window.nnKnobs.activation = { compute, mount, names: Object.keys(FUNCTIONS) };
})();
