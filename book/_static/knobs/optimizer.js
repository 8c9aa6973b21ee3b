/* Chapter 8: six optimizers on one landscape. Drag the start, change the learning rate, play.
 *
 * <div class="nn-knob" data-knob="optimizer" data-params='{"rate": 0.05, "steps": 60}'></div>
 *
 * The rules are those of nnlib, with its defaults: momentum 0.9, alpha 0.99, betas 0.9 and 0.999.
 */
(function () {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const WIDTH = 620;
  const HEIGHT = 388;
  const LONGEST = 400;
  const START = { landscape: "ravine" };

  // Each landscape: name, loss and gradient, the box that is shown, where the start is, its lowest point.
  const LANDSCAPES = {
    ravine: {
      name: "ravine",
      loss: (x, y) => 0.5 * (x * x + 25 * y * y),
      gradient: (x, y) => [x, 25 * y],
      box: [-2.6, 2.6, -1.6, 1.6], start: [-2.3, 0.9], rate: 0.07, steps: 60, best: [[0, 0]],
    },
    valley: {
      name: "curved valley",
      loss: (x, y) => 0.5 * (1 - x) ** 2 + 5 * (y - x * x) ** 2,
      gradient: (x, y) => [x - 1 - 20 * x * (y - x * x), 10 * (y - x * x)],
      box: [-2.1, 2.1, -0.7, 1.9], start: [-1.2, 0.2], rate: 0.02, steps: 120, best: [[1, 1]],
    },
    saddle: {
      name: "saddle",
      loss: (x, y) => 0.5 * x * x - 0.5 * y * y + 0.25 * y ** 4,
      gradient: (x, y) => [x, y ** 3 - y],
      box: [-2.6, 2.6, -1.6, 1.6], start: [-2.2, 0.001], rate: 0.05, steps: 60, best: [[0, 1], [0, -1]],
    },
    basins: {
      name: "two basins",
      loss: (x, y) => 0.25 * (x * x - 2.2) ** 2 - 0.45 * x + 1.5 * y * y,
      gradient: (x, y) => [x * (x * x - 2.2) - 0.45, 3 * y],
      box: [-2.6, 2.6, -1.6, 1.6], start: [-2.3, 1.1], rate: 0.05, steps: 100, best: [[1.57653, 0]],
    },
  };

  // Each rule makes a function (gradient, memory of that coordinate, step number) -> step to subtract.
  const RULES = {
    sgd: { name: "gradient descent", colour: "var(--nn-ink)", dash: "none", on: true, step: (g) => g },
    momentum: { name: "momentum", colour: "var(--nn-w)", dash: "8 4", on: true,
      step: (g, m) => (m.v = 0.9 * (m.v || 0) + g) },
    nesterov: { name: "Nesterov", colour: "var(--nn-y)", dash: "8 3 2 3", on: false,
      step: (g, m) => { m.v = 0.9 * (m.v || 0) + g; return g + 0.9 * m.v; } },
    adagrad: { name: "AdaGrad", colour: "var(--nn-g)", dash: "3 3", on: false,
      step: (g, m) => { m.s = (m.s || 0) + g * g; return g / (Math.sqrt(m.s) + 1e-10); } },
    rmsprop: { name: "RMSProp", colour: "var(--nn-b)", dash: "2 3", on: false,
      step: (g, m) => { m.s = 0.99 * (m.s || 0) + (1 - 0.99) * g * g; return g / (Math.sqrt(m.s) + 1e-8); } },
    adam: { name: "Adam", colour: "var(--nn-x)", dash: "none", on: true,
      step: (g, m, t) => {
        m.m = 0.9 * (m.m || 0) + (1 - 0.9) * g;
        m.s = 0.999 * (m.s || 0) + (1 - 0.999) * g * g;
        return m.m / (1 - 0.9 ** t) / (Math.sqrt(m.s / (1 - 0.999 ** t)) + 1e-8);
      } },
  };

  // All points of one rule; it ends early where the numbers leave every bound.
  function path(landscape, rule, start, rate, steps) {
    const { gradient } = LANDSCAPES[landscape];
    const memories = [{}, {}];
    const points = [[...start]];
    for (let t = 1; t <= steps; t += 1) {
      const before = points[t - 1];
      const slope = gradient(...before);
      const next = before.map((value, i) => value - rate * RULES[rule].step(slope[i], memories[i], t));
      if (!next.every((value) => Math.abs(value) < 1e6)) break;
      points.push(next);
    }
    return points;
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

  // Lines of equal loss, cell by cell: where a level crosses the sides of a cell, join the crossings.
  function contours(landscape, levels) {
    const { loss, box: [x0, x1, y0, y1] } = LANDSCAPES[landscape];
    const [nx, ny] = [104, 64];
    const at = (i, j) => [x0 + (i / nx) * (x1 - x0), y0 + (j / ny) * (y1 - y0)];
    const values = Array.from({ length: nx + 1 }, (_, i) => Array.from({ length: ny + 1 }, (_, j) => loss(...at(i, j))));
    return levels.map((level) => {
      const parts = [];
      for (let i = 0; i < nx; i += 1) {
        for (let j = 0; j < ny; j += 1) {
          const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
          const crossings = [];
          corners.forEach((one, k) => {
            const other = corners[(k + 1) % 4];
            const a = values[one[0]][one[1]] - level;
            const b = values[other[0]][other[1]] - level;
            if ((a < 0) === (b < 0)) return;
            const [p, q] = [at(...one), at(...other)];
            crossings.push(p.map((value, n) => value + (a / (a - b)) * (q[n] - value)));
          });
          for (let k = 0; k + 1 < crossings.length; k += 2) parts.push([crossings[k], crossings[k + 1]]);
        }
      }
      return parts;
    });
  }

  function short(value) {
    if (!(Math.abs(value) < 1e4)) return "too large";
    const text = Math.abs(value) < 0.001 && value !== 0 ? value.toExponential(0) : String(Number(value.toPrecision(3)));
    return text.replace("-", "−").replace("e−", " · 10<sup>−").replace(/(10<sup>.*)$/, "$1</sup>");
  }

  function mount(root) {
    const initial = { ...START, ...(root.dataset.params ? JSON.parse(root.dataset.params) : {}) };
    let { landscape } = initial;
    let { rate, steps } = { ...LANDSCAPES[landscape], ...initial };
    let start = [...LANDSCAPES[landscape].start];
    const shown = Object.fromEntries(Object.entries(RULES).map(([key, rule]) => [key, rule.on]));
    let timer = 0;
    root.replaceChildren();
    const big = root.clientWidth > 0 && root.clientWidth < 480 ? 1.7 : 1;
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Lines of equal loss and the paths of the optimizers from the start" }, root);
    svg.style.touchAction = "pan-y";
    const clip = `nn-optimizer-${Math.random().toString(36).slice(2)}`;
    make("rect", { width: WIDTH, height: HEIGHT }, make("clipPath", { id: clip }, make("defs", {}, svg)));
    const ground = make("g", {}, svg);
    const paths = make("g", { "clip-path": `url(#${clip})` }, svg);
    const drawn = {};
    for (const [key, rule] of Object.entries(RULES)) {
      drawn[key] = [
        make("polyline", { fill: "none", stroke: rule.colour, "stroke-width": key === "sgd" ? 1.8 : 2.8, "stroke-dasharray": rule.dash, "stroke-linejoin": "round", "data-rule": key }, paths),
        make("circle", { r: 5 * Math.sqrt(big), fill: rule.colour, stroke: "var(--nn-paper)", "stroke-width": 1.5 }, paths),
      ];
    }
    const handle = make("circle", { r: 10 * Math.sqrt(big), fill: "var(--nn-paper)", stroke: "var(--nn-ink)", "stroke-width": 3, class: "nn-handle" }, svg);

    const buttons = html("div", "nn-knob-buttons", root);
    const play = html("button", "nn-primary", buttons, "Play");
    const switches = {};
    for (const [key, rule] of Object.entries(RULES)) {
      const button = switches[key] = html("button", "", buttons, `<svg width="26" height="10" aria-hidden="true" style="display:inline-block;width:26px;vertical-align:middle"><line x1="0" x2="26" y1="5" y2="5" stroke="${rule.colour}" stroke-width="3" stroke-dasharray="${rule.dash}"/></svg> ${rule.name}`);
      button.dataset.rule = key;
      button.addEventListener("click", () => { shown[key] = !shown[key]; draw(); });
    }
    const places = html("div", "nn-knob-buttons", root);
    const choices = {};
    for (const [key, place] of Object.entries(LANDSCAPES)) {
      choices[key] = html("button", "", places, place.name);
      choices[key].addEventListener("click", () => {
        stop();
        ({ rate, steps } = place);
        [landscape, start] = [key, [...place.start]];
        background();
        draw();
      });
    }
    root.querySelectorAll("button").forEach((button) => { button.type = "button"; });

    const grid = html("div", "nn-knob-grid", root);
    const inputs = {};
    const control = (key, label, low, high, step, spoken, set) => {
      const row = html("label", "nn-knob-control", grid);
      html("span", "nn-knob-name", row, label);
      const input = html("input", "", row);
      Object.assign(input, { type: "range", min: low, max: high, step });
      input.setAttribute("aria-label", spoken);
      input.addEventListener("input", () => { set(Number(input.value)); draw(); });
      inputs[key] = [input, html("output", "", row)];
    };
    control("rate", "η", -3, 0, 0.02, "learning rate", (value) => { rate = 10 ** value; });
    control("steps", "t", 0, LONGEST, 1, "number of steps", (value) => { stop(); steps = value; });
    control("x", "w<sub>1</sub>", 0, 1, 0.01, "start, first weight", (value) => { start[0] = between(0, value); });
    control("y", "w<sub>2</sub>", 0, 1, 0.01, "start, second weight", (value) => { start[1] = between(1, value); });
    const status = html("p", "nn-knob-status", root);
    status.setAttribute("role", "status");

    const box = () => LANDSCAPES[landscape].box;
    const between = (axis, share) => box()[2 * axis] + share * (box()[2 * axis + 1] - box()[2 * axis]);
    const share = (axis, value) => (value - box()[2 * axis]) / (box()[2 * axis + 1] - box()[2 * axis]);
    const px = (x) => share(0, x) * WIDTH;
    const py = (y) => (1 - share(1, y)) * HEIGHT;

    function background() {
      ground.replaceChildren();
      const place = LANDSCAPES[landscape];
      const least = Math.min(...place.best.map((point) => place.loss(...point)));
      const levels = [0.02, 0.1, 0.3, 0.7, 1.4, 2.5, 4.2, 7, 11, 17, 26].map((height) => least + height);
      contours(landscape, levels).forEach((parts, k) => {
        const d = parts.map(([p, q]) => `M${px(p[0]).toFixed(1)} ${py(p[1]).toFixed(1)}L${px(q[0]).toFixed(1)} ${py(q[1]).toFixed(1)}`).join("");
        make("path", { d, fill: "none", stroke: "var(--nn-muted)", "stroke-width": 1, opacity: 0.75 - 0.045 * k }, ground);
      });
      for (const [x, y] of place.best) {
        make("path", { d: `M${px(x) - 8} ${py(y)}h16M${px(x)} ${py(y) - 8}v16`, stroke: "var(--nn-ink)", "stroke-width": 2.5 }, ground);
      }
    }

    function draw() {
      const told = [];
      const losses = {};
      for (const key of Object.keys(RULES)) {
        const points = path(landscape, key, start, rate, steps);
        const end = points[points.length - 1];
        const loss = LANDSCAPES[landscape].loss(...end);
        // Far outside, a drawn line would only trouble the browser.
        const text = points.map(([x, y]) => `${Math.max(-9e3, Math.min(9e3, px(x))).toFixed(1)},${Math.max(-9e3, Math.min(9e3, py(y))).toFixed(1)}`);
        losses[key] = points.length <= steps ? null : loss;
        drawn[key][0].setAttribute("points", text.join(" "));
        [drawn[key][1].cx.baseVal.value, drawn[key][1].cy.baseVal.value] = text[text.length - 1].split(",").map(Number);
        drawn[key].forEach((element) => { element.style.display = shown[key] ? "" : "none"; });
        switches[key].setAttribute("aria-pressed", shown[key]);
        switches[key].style.opacity = shown[key] ? 1 : 0.55;
        if (shown[key]) told.push(`${RULES[key].name} <strong>${losses[key] === null ? "diverged" : short(loss)}</strong>`);
      }
      for (const key of Object.keys(LANDSCAPES)) {
        choices[key].setAttribute("aria-pressed", key === landscape);
        choices[key].style.opacity = key === landscape ? 1 : 0.55;
      }
      handle.setAttribute("cx", px(start[0]));
      handle.setAttribute("cy", py(start[1]));
      for (const [key, value, text] of [["rate", Math.log10(rate), rate.toPrecision(2)], ["steps", steps, String(steps)], ["x", share(0, start[0]), start[0].toFixed(2)], ["y", share(1, start[1]), start[1].toFixed(2)]]) {
        inputs[key][0].value = value;
        inputs[key][1].textContent = text.replace("-", "−");
        inputs[key][0].setAttribute("aria-valuetext", text);
      }
      status.innerHTML = `Loss after ${steps} steps: ${told.join(", ") || "switch an optimizer on"}.`;
      root.dataset.losses = JSON.stringify(losses);
      play.textContent = timer ? "Stop" : "Play";
    }

    function stop() {
      clearInterval(timer);
      timer = 0;
    }

    play.addEventListener("click", () => {
      if (timer) { stop(); draw(); return; }
      const goal = Math.max(steps, 40);
      steps = 0;
      timer = setInterval(() => {
        steps += 1;
        if (steps >= goal) stop();
        draw();
      }, 60);
      draw();
    });
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
      const move = (e) => {
        const frame = svg.getBoundingClientRect();
        start = [(e.clientX - frame.left) / frame.width, 1 - (e.clientY - frame.top) / frame.height]
          .map((value, axis) => between(axis, Math.min(0.99, Math.max(0.01, value))));
        draw();
      };
      const end = () => ["pointermove", "pointerup", "pointercancel"].forEach((type, k) => handle.removeEventListener(type, [move, end, end][k]));
      handle.addEventListener("pointermove", move);
      handle.addEventListener("pointerup", end);
      handle.addEventListener("pointercancel", end);
    });
    handle.style.touchAction = "none";
    background();
    draw();
  }

  window.nnKnobs = window.nnKnobs || {};
  window.nnKnobs.optimizer = { landscapes: LANDSCAPES, rules: RULES, path, contours, mount };
})();
