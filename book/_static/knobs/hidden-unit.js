/* Chapter 5: one hidden unit, forward and backward.
 *
 * <div class="nn-knob" data-knob="hidden-unit" data-params='{"x": 1, "w1": 0.5}'></div>
 *
 *   z = w1 x + b1    h = tanh(z)    yhat = w2 h + b2    loss = (yhat - t)^2 / 2
 */
(function () {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const START = { x: 1.5, w1: 0.8, b1: -0.4, w2: 1.2, b2: 0.3, t: 1, lr: 0.3 };
  const LEARNED = ["w1", "b1", "w2", "b2"];
  const CONTROLS = [
    ["x", "x", "var(--nn-x)", -3, 3, "input x"],
    ["t", "t", "var(--nn-e)", -3, 3, "target t"],
    ["w1", "w<sub>1</sub>", "var(--nn-w)", -3, 3, "weight 1"],
    ["w2", "w<sub>2</sub>", "var(--nn-w)", -3, 3, "weight 2"],
    ["b1", "b<sub>1</sub>", "var(--nn-b)", -3, 3, "bias 1"],
    ["b2", "b<sub>2</sub>", "var(--nn-b)", -3, 3, "bias 2"],
    ["lr", "η", "var(--nn-ink)", 0.01, 2, "learning rate"],
  ];

  function compute(p) {
    const z = p.w1 * p.x + p.b1;
    const h = Math.tanh(z);
    const yhat = p.w2 * h + p.b2;
    const loss = 0.5 * (yhat - p.t) ** 2;
    const dyhat = yhat - p.t;
    const dh = dyhat * p.w2;
    const dz = dh * (1 - h * h);
    return { z, h, yhat, loss, dyhat, dw2: dyhat * h, db2: dyhat, dh, dz, dw1: dz * p.x, db1: dz, dx: dz * p.w1 };
  }

  function step(p, learningRate) {
    const g = compute(p);
    const next = { ...p };
    for (const key of LEARNED) next[key] = p[key] - learningRate * g["d" + key];
    return next;
  }

  // Nodes and edges for a wide and for a narrow page. An edge carries a value and its gradient.
  const WIDE = {
    width: 820, height: 310,
    nodes: { x: [50, 160], z: [215, 160], h: [385, 160], yhat: [560, 160], loss: [735, 160], w1: [150, 50], b1: [150, 270], w2: [495, 50], b2: [495, 270], t: [670, 270] },
  };
  const NARROW = {
    width: 340, height: 560,
    nodes: { x: [170, 34], z: [170, 150], h: [170, 270], yhat: [170, 390], loss: [170, 516], w1: [40, 92], b1: [300, 92], w2: [40, 332], b2: [300, 332], t: [300, 458] },
  };
  const EDGES = [["x", "z", "dx"], ["w1", "z", "dw1"], ["b1", "z", "db1"], ["z", "h", "dz"], ["h", "yhat", "dh"], ["w2", "yhat", "dw2"], ["b2", "yhat", "db2"], ["yhat", "loss", "dyhat"], ["t", "loss", null]];
  const LOOKS = {
    x: ["x", "var(--nn-x)"], w1: ["w₁", "var(--nn-w)"], b1: ["b₁", "var(--nn-b)"], z: ["z", "var(--nn-ink)"], h: ["h", "var(--nn-ink)"],
    w2: ["w₂", "var(--nn-w)"], b2: ["b₂", "var(--nn-b)"], yhat: ["ŷ", "var(--nn-y)"], t: ["t", "var(--nn-e)"], loss: ["L", "var(--nn-e)"],
  };
  const FORMULAS = { z: "w₁x + b₁", h: "tanh z", yhat: "w₂h + b₂", loss: "½(ŷ − t)²" };

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
    if (parent) parent.append(element);
    return element;
  }

  function number(value) {
    if (!Number.isFinite(value)) return "∞";
    const size = Math.abs(value);
    const text = size >= 1000 || (size > 0 && size < 0.0005) ? value.toExponential(1) : value.toFixed(3);
    return text.replace("-", "−");
  }

  function drawGraph(svg, layout, p) {
    const g = compute(p);
    const values = { ...p, ...g };
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${layout.width} ${layout.height}`);
    const narrow = layout === NARROW;
    const radius = narrow ? 21 : 24;
    for (const [from, to, gradient] of EDGES) {
      const [x1, y1] = layout.nodes[from];
      const [x2, y2] = layout.nodes[to];
      const length = Math.hypot(x2 - x1, y2 - y1);
      const ux = (x2 - x1) / length;
      const uy = (y2 - y1) / length;
      const start = [x1 + ux * radius, y1 + uy * radius];
      const end = [x2 - ux * (radius + 7), y2 - uy * (radius + 7)];
      make("line", { x1: start[0], y1: start[1], x2: end[0], y2: end[1], stroke: "var(--nn-muted)", "stroke-width": 1.6 }, svg);
      const tip = [x2 - ux * radius, y2 - uy * radius];
      const wing = (s) => `${tip[0] - ux * 9 - uy * 4.5 * s},${tip[1] - uy * 9 + ux * 4.5 * s}`;
      make("polygon", { points: `${tip[0]},${tip[1]} ${wing(1)} ${wing(-1)}`, fill: "var(--nn-muted)" }, svg);
      // Forward value above the edge, gradient below it (beside it where the edge is vertical).
      let above; let below; let anchor = "middle"; let anchorBelow = "middle";
      const mid = [(start[0] + end[0]) / 2, (start[1] + end[1]) / 2];
      if (Math.abs(uy) < 0.1) {
        above = [mid[0], mid[1] - 10];
        below = [mid[0], mid[1] + 20];
      } else if (Math.abs(ux) < 0.1) {
        above = [mid[0] - 9, mid[1] + 5]; anchor = "end";
        below = [mid[0] + 9, mid[1] + 5]; anchorBelow = "start";
      } else {
        // Parameters carry both beside their own node: away from the crossing lines.
        const up = narrow ? y1 - radius - 22 : y1 - 3;
        const left = narrow ? x1 : x1 - radius - 8;
        above = [left, up];
        below = narrow ? [left, y1 + radius + 17] : [left, y1 + 17];
        if (narrow) above = [left, y1 - radius - 7];
        anchor = anchorBelow = narrow ? "middle" : "end";
      }
      const size = narrow ? 14 : 15;
      make("text", { x: above[0], y: above[1], "text-anchor": anchor, "font-size": size, style: `fill: ${LOOKS[from][1]}` }, svg, number(values[from]));
      if (gradient) make("text", { x: below[0], y: below[1], "text-anchor": anchorBelow, "font-size": size, style: "fill: var(--nn-g)", "font-style": "italic", "data-gradient": gradient }, svg, number(g[gradient]));
    }
    for (const [name, [cx, cy]] of Object.entries(layout.nodes)) {
      const [label, colour] = LOOKS[name];
      make("circle", { cx, cy, r: radius, fill: "var(--nn-paper)", stroke: colour, "stroke-width": 2.6 }, svg);
      make("text", { x: cx, y: cy + 6, "text-anchor": "middle", "font-size": 19, "font-style": "italic", style: `fill: ${colour}` }, svg, label);
      if (FORMULAS[name]) {
        const at = narrow ? { x: cx + radius + 8, y: cy + 5, "text-anchor": "start" } : { x: cx + (name === "h" ? 0 : 4), y: cy + radius + 20, "text-anchor": name === "h" ? "middle" : "start" };
        make("text", { ...at, "font-size": 14, style: "fill: var(--nn-muted)" }, svg, FORMULAS[name]);
      }
    }
    const [lx, ly] = layout.nodes.loss;
    make("text", { x: narrow ? lx - radius - 8 : lx, y: narrow ? ly + 5 : ly - radius - 10, "text-anchor": narrow ? "end" : "middle", "font-size": 16, "font-weight": 700 }, svg, number(g.loss));
    return g;
  }

  function mount(root) {
    const initial = { ...START, ...(root.dataset.params ? JSON.parse(root.dataset.params) : {}) };
    let p = { ...initial };
    let steps = 0;
    root.replaceChildren();
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "Computational graph of the network with one hidden unit: values forward, gradients backward");
    root.append(svg);
    html("p", "nn-knob-legend", root, 'Upright numbers are values. <em class="nn-g">Slanted numbers</em> are the loss\'s gradients with respect to them.');
    const grid = html("div", "nn-knob-grid", root);
    const inputs = {};
    const outputs = {};
    for (const [key, label, colour, low, high, spoken] of CONTROLS) {
      const row = html("label", "nn-knob-control", grid);
      row.style.setProperty("--knob", colour);
      html("span", "nn-knob-name", row, label);
      const input = html("input", "", row);
      Object.assign(input, { type: "range", min: low, max: high, step: 0.01 });
      input.setAttribute("aria-label", spoken);
      input.addEventListener("input", () => { p[key] = Number(input.value); draw(""); });
      inputs[key] = input;
      outputs[key] = html("output", "", row);
    }
    const buttons = html("div", "nn-knob-buttons", root);
    const learn = html("button", "nn-primary", buttons, "Take one gradient step");
    const reset = html("button", "", buttons, "Reset");
    learn.type = reset.type = "button";
    const status = html("p", "nn-knob-status", root);
    status.setAttribute("role", "status");

    function draw(message) {
      const narrow = root.clientWidth > 0 && root.clientWidth < 560;
      const g = drawGraph(svg, narrow ? NARROW : WIDE, p);
      for (const [key] of CONTROLS) {
        inputs[key].value = p[key];
        outputs[key].textContent = number(p[key]).replace(/0$/, "");
      }
      learn.disabled = !Number.isFinite(g.loss);
      status.innerHTML = message || `Loss <strong>${number(g.loss)}</strong>.`;
      root.dataset.loss = String(g.loss);
    }

    learn.addEventListener("click", () => {
      const before = compute(p).loss;
      p = step(p, p.lr);
      steps += 1;
      const after = compute(p).loss;
      const verdict = after > before ? " The step was too long: the loss went up." : "";
      draw(`Step ${steps}: the loss went from <strong>${number(before)}</strong> to <strong>${number(after)}</strong>.${verdict}`);
    });
    reset.addEventListener("click", () => { p = { ...initial }; steps = 0; draw(""); });
    if (window.ResizeObserver) {
      let width = root.clientWidth;
      new ResizeObserver(() => {
        if (root.clientWidth !== width) { width = root.clientWidth; draw(status.innerHTML); }
      }).observe(root);
    }
    draw("");
  }

  window.nnKnobs = window.nnKnobs || {};
  window.nnKnobs.hiddenUnit = { compute, step, mount };
})();
