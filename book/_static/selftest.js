/* Turn the readable self-test lists into radio buttons with an immediate explanation. */
(function () {
  "use strict";

  function shuffled(items) {
    const result = items.slice();
    for (let i = result.length - 1; i > 0; i -= 1) {
      const j = Math.floor(Math.random() * (i + 1));
      [result[i], result[j]] = [result[j], result[i]];
    }
    return result;
  }

  function buildQuestion(block, onAnswer) {
    const prompt = block.querySelector(".nn-prompt");
    const name = block.dataset.name;
    prompt.id = name + "-prompt";
    block.setAttribute("role", "radiogroup");
    block.setAttribute("aria-labelledby", prompt.id);
    let options = Array.from(block.querySelectorAll(":scope > .nn-option"));
    if (block.dataset.shuffle === "true") options = shuffled(options);
    const verdict = document.createElement("div");
    verdict.className = "nn-verdict";
    verdict.setAttribute("role", "status");
    options.forEach((option, index) => {
      const details = option.querySelector(".nn-why");
      const why = details.querySelector("div");
      const text = option.querySelector(".nn-option-text");
      const label = document.createElement("label");
      const radio = document.createElement("input");
      radio.type = "radio";
      radio.name = name;
      radio.value = String(index);
      label.append(radio, text);
      details.hidden = true;
      option.prepend(label);
      radio.addEventListener("change", () => {
        const right = option.dataset.correct === "true";
        options.forEach((other) => other.classList.remove("nn-right", "nn-wrong"));
        option.classList.add(right ? "nn-right" : "nn-wrong");
        verdict.className = "nn-verdict " + (right ? "nn-right" : "nn-wrong");
        verdict.replaceChildren(...Array.from(why.cloneNode(true).childNodes));
        onAnswer(right);
      });
      block.append(option);
    });
    block.append(verdict);
  }

  function buildTest(section) {
    const blocks = Array.from(section.querySelectorAll(".nn-question"));
    const first = new Array(blocks.length).fill(null);
    const score = document.createElement("p");
    score.className = "nn-score";
    score.setAttribute("role", "status");
    function tell() {
      const done = first.filter((answer) => answer !== null).length;
      const right = first.filter(Boolean).length;
      score.textContent = done === 0
        ? blocks.length + (blocks.length === 1 ? " question." : " questions.") + " Choose an answer to see why."
        : right + " of " + blocks.length + " right at the first try" +
          (done < blocks.length ? ", " + (blocks.length - done) + " to go." : ".");
    }
    blocks.forEach((block, index) => buildQuestion(block, (right) => {
      if (first[index] === null) first[index] = right;
      tell();
    }));
    section.append(score);
    section.classList.add("nn-live");
    tell();
  }

  function start() {
    document.querySelectorAll(".nn-selftest").forEach(buildTest);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
