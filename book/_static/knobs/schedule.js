/* Chapter 9: shape a schedule and see what it does to the loss of a noisy quadratic.
 *
 * <div class="nn-knob" data-knob="schedule" data-params='{"shape": "constant", "peak": 0.5}'></div>
 *
 *   loss = (1/2) (c1 w1^2 + c2 w2^2), gradients with noise of variance NOISE in each weight.
 *   v <- (1 - rate c)^2 v + rate^2 NOISE is the mean of w^2: no run has to be drawn to know it.
 */
(function () {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const STEPS = 600;
  const CURVATURES = [1, 0.05];
  const NOISE = 0.04;
  const START = [20, 400]; // mean of w^2 at the start: both directions begin with a loss of 10
  const SHAPES = [["constant", "constant"], ["stair", "stair"], ["exponential", "exponential"], ["cosine", "cosine"]];
  const DEFAULTS = { shape: "constant", peak: 0.5, last: 0.01, warmup: 0 };
  const WIDTH = 620;
  const LEFT = 62;
  const RIGHT = 14;
  const TOP = [32, 132]; // from, to: the panel of the rate
  const BOTTOM = [166, 358]; // the panel of the loss
  const LOSS = [-4, 2]; // powers of ten

  // The learning rate of each update. The shapes of nnlib.schedules, after a warm-up.
  function rates(p) {
    const down = STEPS - p.warmup;
    return Array.from({ length: STEPS }, (_, step) => {
      if (step < p.warmup) return (p.peak * (step + 1)) / (p.warmup + 1);
      const k = step - p.warmup;
      if (p.shape === "stair") return p.peak * Math.sqrt(p.last) ** Math.floor(k / Math.ceil(down / 3));
      if (p.shape === "exponential") return p.peak * p.last ** (k / down);
      if (p.shape === "cosine") return p.peak * (p.last + ((1 - p.last) * (1 + Math.cos((Math.PI * k) / down))) / 2);
      return p.peak;
    });
  }

  // The expected loss before each update and after the last.
  function expected(list) {
    let v = START.slice();
    const losses = [];
    for (let k = 0; k <= list.length; k += 1) {
      losses.push(0.5 * (CURVATURES[0] * v[0] + CURVATURES[1] * v[1]));
      if (k < list.length) v = v.map((value, i) => (1 - list[k] * CURVATURES[i]) ** 2 * value + list[k] ** 2 * NOISE);
    }
    return losses;
  }

  // One run, always the same: a small generator with a fixed seed, and Box and Muller's normal numbers.
  function oneRun(list) {
    let state = 7;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    let w = START.map(Math.sqrt);
    const losses = [];
    for (let k = 0; k <= list.length; k += 1) {
      losses.push(0.5 * (CURVATURES[0] * w[0] ** 2 + CURVATURES[1] * w[1] ** 2));
      if (k === list.length) break;
      const size = Math.sqrt(-2 * Math.log(1 - uniform()) * NOISE);
      const angle = 2 * Math.PI * uniform();
      const noise = [size * Math.cos(angle), size * Math.sin(angle)];
      w = w.map((value, i) => value - list[k] * (CURVATURES[i] * value + noise[i]));
    }
    return losses;
  }

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

  const px = (step) => LEFT + (step / STEPS) * (WIDTH - LEFT - RIGHT);
  const short = (value) => (value >= 1000 ? value.toExponential(0) : String(Number(value.toPrecision(2))));
  const path = (values, y) => values.map((value, k) => `${k ? "L" : "M"}${px(k).toFixed(1)} ${y(value).toFixed(1)}`).join("");

  function py(loss) {
    const way = (Math.log10(Math.min(Math.max(loss, 1e-300), 1e300)) - LOSS[0]) / (LOSS[1] - LOSS[0]);
    return BOTTOM[1] - Math.min(Math.max(way, 0), 1) * (BOTTOM[1] - BOTTOM[0]);
  }

  function mount(root) {
    const p = { ...DEFAULTS, ...(root.dataset.params ? JSON.parse(root.dataset.params) : {}) };
    const initial = { ...p };
    root.replaceChildren();
    // On a narrow page the picture shrinks; its words must not.
    const big = root.clientWidth > 0 && root.clientWidth < 480 ? 1.6 : 1;
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${BOTTOM[1] + 22 * big}`, role: "img", "aria-label": "Above: the learning rate of each update. Below: the expected loss, one run, and the loss with a constant rate" }, root);
    const word = (x, y, text, more) => make("text", { x, y, "font-size": 14 * big, style: "fill: var(--nn-muted)", ...more }, svg, text);
    word(LEFT, TOP[0] - 7, "learning rate", { style: "fill: var(--nn-w)" });
    word(LEFT, BOTTOM[0] - 8, "loss", { style: "fill: var(--nn-x)" });
    word(WIDTH - RIGHT, BOTTOM[1] + 18 * big, "update", { "text-anchor": "end" });
    for (let power = LOSS[0]; power <= LOSS[1]; power += 1) {
      make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: py(10 ** power), y2: py(10 ** power), stroke: "var(--nn-line)", "stroke-width": 0.8 }, svg);
      if (power % 2 === 0) word(LEFT - 8, py(10 ** power) + 5 * big, power < -2 ? "10⁻⁴" : short(10 ** power), { "text-anchor": "end" });
    }
    make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: TOP[1], y2: TOP[1], stroke: "var(--nn-line)", "stroke-width": 1.4 }, svg);
    word(LEFT - 8, TOP[1] + 5 * big, "0", { "text-anchor": "end" });
    const highest = word(LEFT - 8, TOP[0] + 10 * big, "", { "text-anchor": "end" });
    const line = (stroke, width, dashes) => make("path", { fill: "none", stroke, "stroke-width": width, "stroke-dasharray": dashes || "none" }, svg);
    const constant = line("var(--nn-muted)", 2, "7 5");
    const run = line("var(--nn-x)", 1);
    run.setAttribute("opacity", 0.45);
    const loss = line("var(--nn-x)", 2.8);
    const rate = line("var(--nn-w)", 2.8);

    const buttons = html("div", "nn-knob-buttons", root);
    const choices = SHAPES.map(([key, name]) => {
      const button = html("button", "", buttons, name);
      button.type = "button";
      button.addEventListener("click", () => { p.shape = key; draw(); });
      return [key, button];
    });
    const grid = html("div", "nn-knob-grid", root);
    const controls = [
      ["peak", "peak", -2.5, 0.5, 0.05, "highest learning rate", (v) => 10 ** v, (v) => Math.log10(v)],
      ["last", "last", -3, 0, 0.1, "last learning rate as a share of the highest", (v) => 10 ** v, (v) => Math.log10(v)],
      ["warmup", "warm", 0, 300, 10, "updates of warm-up", Number, Number],
    ].map(([key, label, low, high, stride, spoken, read, write]) => {
      const row = html("label", "nn-knob-control", grid);
      row.style.setProperty("--knob", "var(--nn-w)");
      html("span", "nn-knob-name", row, label);
      const input = html("input", "", row);
      Object.assign(input, { type: "range", min: low, max: high, step: stride });
      input.setAttribute("aria-label", spoken);
      input.addEventListener("input", () => { p[key] = read(input.value); draw(); });
      return [key, input, html("output", "", row), write];
    });
    const reset = html("button", "", buttons, "Reset");
    reset.type = "button";
    reset.addEventListener("click", () => { Object.assign(p, initial); draw(); });
    const status = html("p", "nn-knob-status", root);
    status.setAttribute("role", "status");
    html("p", "nn-knob-legend", root, "Thick: the mean over all possible runs. Thin: one run. Dashed: a constant rate at the peak.");

    function draw() {
      const list = rates(p);
      const mine = expected(list);
      const flat = expected(list.map(() => p.peak));
      rate.setAttribute("d", path(list, (value) => TOP[1] - (value / p.peak) * (TOP[1] - TOP[0])));
      loss.setAttribute("d", path(mine, py));
      run.setAttribute("d", path(oneRun(list), py));
      constant.setAttribute("d", path(flat, py));
      highest.textContent = short(p.peak);
      for (const [key, button] of choices) {
        button.classList.toggle("nn-primary", key === p.shape);
        button.setAttribute("aria-pressed", String(key === p.shape));
      }
      for (const [key, input, output, write] of controls) {
        input.value = write(p[key]);
        input.disabled = key === "last" && p.shape === "constant";
        output.textContent = short(p[key]);
      }
      const end = mine[STEPS];
      status.innerHTML = end > mine[0]
        ? "Too large: above 2 divided by the curvature, here 2, each step lands further out than the one before."
        : `Expected loss after ${STEPS} updates: <strong>${short(end)}</strong>. With a constant rate at the peak: <strong>${flat[STEPS] > flat[0] ? "it diverges" : short(flat[STEPS])}</strong>.`;
      root.dataset.end = end;
    }
    draw();
  }

  window.nnKnobs = window.nnKnobs || {};
  window.nnKnobs.schedule = { rates, expected, mount, curvatures: CURVATURES, noise: NOISE, start: START, steps: STEPS };
})();
