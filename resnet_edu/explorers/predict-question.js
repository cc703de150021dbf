/**
 * <predict-question>: the reader commits to an answer before the answer shows. The book's build writes
 * the question, its feedback, hints and answer as ordinary HTML inside the tag; this brings it alive.
 * Authors' texts are moved and cloned as nodes, never parsed again.
 */
(function (root) {
  "use strict";
  const RE = (root.ResnetEdu = root.ResnetEdu || {});
  if (RE.readNumber) return;

  const UNITS = { k: 1e3, K: 1e3, M: 1e6, G: 1e9, B: 1e9, T: 1e12 };

  /** What a reader types as a number: 11,689,512 or 0,5 or 1.8e9 or 3.6·10^9 or 11.7 M or 1/9. NaN if it is none. */
  function readNumber(text) {
    let clean = text.trim().replace(/[\s\u00a0\u202f_']/g, "").replace(/[−–]/g, "-");
    // Commas in groups of three are thousands, but 0,119 is a decimal fraction.
    if (/^-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?/.test(clean)) clean = clean.replace(/,/g, "");
    else clean = clean.replace(",", ".");
    const match = /^(-?(?:\d+\.?\d*|\.\d+))(?:\/(\d+\.?\d*))?(?:[eE]([+-]?\d+)|[·*x×]10\^?([+-]?\d+))?([kKMGBT])?$/.exec(clean);
    if (!match) return NaN;
    const [, number, divisor = "1", exponent, power, unit] = match;
    return (Number(number) / Number(divisor)) * 10 ** Number(exponent || power || 0) * (UNITS[unit] || 1);
  }

  /** Whether two numbers are the same within the tolerance, and within what a computer's fractions lose. */
  const near = (a, b, tolerance) => Math.abs(a - b) <= tolerance + 1e-9 * Math.max(1, Math.abs(b));

  /** Two items of a list change places. */
  function swapped(list, from, to) {
    const copy = [...list];
    [copy[from], copy[to]] = [copy[to], copy[from]];
    return copy;
  }

  Object.assign(RE, { readNumber, near });
  if (typeof module !== "undefined" && module.exports) module.exports = RE;
  if (typeof HTMLElement === "undefined") return; // node loads the functions above for its tests

  function h(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child != null));
    return node;
  }

  // A sandboxed frame, or a reader who blocks storage, throws where it is only looked at.
  const memory = {
    get(id) {
      try {
        return JSON.parse(localStorage.getItem(`resnet-edu:${id}`));
      } catch {
        return null;
      }
    },
    set(id, value) {
      try {
        if (value === null) localStorage.removeItem(`resnet-edu:${id}`);
        else localStorage.setItem(`resnet-edu:${id}`, JSON.stringify(value));
      } catch {
        // The answer is forgotten with the page, nothing else is lost.
      }
    },
  };

  class PredictQuestion extends HTMLElement {
    connectedCallback() {
      if (this.built) return;
      // A script that is not deferred meets the tag before what is inside it.
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.begin(), { once: true });
      else this.begin();
    }

    begin() {
      if (this.built) return;
      this.built = true;
      this.kind = this.getAttribute("type") || "number";
      this.prompt = this.querySelector(".predict-prompt");
      this.list = this.querySelector(".predict-options");
      this.items = this.list ? [...this.list.children] : [];
      this.hints = [...this.querySelectorAll(".predict-hint")];
      this.answer = this.querySelector(".predict-answer");
      const trouble = this.trouble();
      if (trouble) {
        this.classList.add("predict-plain");
        this.prepend(h("p", { class: "predict-message", role: "note" }, `This question cannot be answered here: ${trouble}`));
        return;
      }
      this.build();
      const kept = memory.get(this.id);
      if (kept) this.restore(kept);
      this.mask();
      // Nobody can answer on paper: there the words stand.
      let covered = false;
      addEventListener("beforeprint", () => { covered = Boolean(this.covered); this.unmask(); });
      addEventListener("afterprint", () => { if (covered) this.mask(); });
    }

    /** What keeps this tag from being a question, in a sentence for its author; empty if nothing does. */
    trouble() {
      if (!["number", "choice", "multiple", "order"].includes(this.kind)) {
        return `type must be number, choice, multiple or order, not “${this.kind}”.`;
      }
      if (!this.prompt) return "it has no prompt.";
      if (this.kind === "number") {
        this.right = Number(this.getAttribute("answer") || NaN);
        this.tolerance = Number(this.getAttribute("tolerance") || 0);
        if (Number.isNaN(this.right)) return `answer must be a number, not “${this.getAttribute("answer")}”.`;
        if (!(this.tolerance >= 0)) return `tolerance must be a number of at least 0, not “${this.getAttribute("tolerance")}”.`;
      } else if (this.items.length < 2) {
        return "it needs at least two items to choose from.";
      } else if (this.kind !== "order" && !this.items.some(isRight)) {
        return "none of its items is marked as right.";
      }
      return "";
    }

    build() {
      const promptId = `${this.id || `predict-${Math.random().toString(36).slice(2)}`}-prompt`;
      this.prompt.id ||= promptId;
      this.setAttribute("role", "group");
      this.setAttribute("aria-labelledby", this.prompt.id);

      this.status = h("span", { class: "predict-status" });
      this.again = h("button", { type: "button", class: "predict-again", hidden: true, onclick: () => this.reset() }, "Start again");
      this.prepend(h("div", { class: "predict-top" }, h("span", { class: "predict-mark" }, "Predict"), this.status, this.again));

      // No <form>: a sandboxed frame, such as Colab's, may not submit one.
      this.form = h("div", { class: "predict-form" });
      if (this.kind === "number") this.buildNumber();
      else if (this.kind === "order") this.buildOrder();
      else this.buildChoices();
      this.hintButton = this.hints.length
        ? h("button", { type: "button", class: "predict-button", onclick: () => this.hint() }, "Hint") : null;
      this.showButton = h("button", { type: "button", class: "predict-button", "aria-disabled": "true", onclick: () => this.show() }, "Show answer");
      this.form.append(h("div", { class: "predict-buttons" },
        h("button", { type: "button", class: "predict-button predict-check", onclick: () => this.check() }, "Check"), this.hintButton, this.showButton));
      this.feedback = h("div", { class: "predict-reply", role: "status" });
      this.insertBefore(this.form, this.hints[0] || this.answer || null);
      this.form.after(this.feedback);
      for (const hint of this.hints) hint.hidden = true;
      if (this.answer) this.answer.hidden = true;
    }

    /* ---- the kinds of question ------------------------------------------------------------------ */

    buildNumber() {
      const unit = this.getAttribute("unit") || "";
      // "text" and not "number": a number field swallows what it does not understand, such as 11,689,512.
      this.input = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", class: "predict-input",
        "aria-label": unit ? `Your answer, in ${unit}` : "Your answer",
        onkeydown: (event) => event.key === "Enter" && !event.isComposing && this.check() });
      this.form.append(h("div", { class: "predict-field" }, this.input, unit ? h("span", { class: "predict-unit" }, unit) : null));
    }

    buildChoices() {
      this.list.setAttribute("role", this.kind === "choice" ? "radiogroup" : "group");
      this.list.setAttribute("aria-labelledby", this.prompt.id);
      this.items.forEach((item, index) => {
        const text = item.querySelector(".predict-text");
        text.id ||= `${this.prompt.id}-${index}`;
        const input = h("input", { type: this.kind === "choice" ? "radio" : "checkbox", name: `${this.prompt.id}-choice`, value: index,
          "aria-labelledby": text.id, onchange: () => this.mark() });
        item.setAttribute("role", "presentation");
        item.classList.add("predict-item");
        item.prepend(input);
        item.addEventListener("click", (event) => {
          if (event.target === input || event.target.closest("a, button")) return;
          input.click();
          input.focus();
        });
      });
    }

    buildOrder() {
      this.items.forEach((item) => {
        const words = () => item.querySelector(".predict-text").textContent.trim();
        const move = (by, label, path) => {
          const button = h("button", { type: "button", class: "predict-move", onclick: () => this.move(item, by) });
          button.setAttribute("aria-label", `${label}: ${words()}`);
          const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
          drawing.setAttribute("viewBox", "0 0 16 16");
          drawing.setAttribute("aria-hidden", "true");
          const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
          line.setAttribute("d", path);
          drawing.append(line);
          button.append(drawing);
          return button;
        };
        item.append(h("span", { class: "predict-moves" }, move(-1, "Move up", "M3.5 10 8 5.5 12.5 10"), move(1, "Move down", "M3.5 6 8 10.5 12.5 6")));
      });
      this.placeItems(this.items);
    }

    move(item, by) {
      const from = this.items.indexOf(item);
      const to = from + by;
      if (to < 0 || to >= this.items.length) return;
      const pressed = document.activeElement;
      this.placeItems(swapped(this.items, from, to));
      pressed.focus();
      this.mark();
      this.reply("", [`Now in place ${to + 1} of ${this.items.length}.`], "predict-quiet");
    }

    placeItems(items) {
      this.items = items;
      this.list.append(...items);
      items.forEach((item, index) => {
        const [up, down] = item.querySelectorAll(".predict-move");
        up.setAttribute("aria-disabled", String(index === 0));
        down.setAttribute("aria-disabled", String(index === items.length - 1));
      });
    }

    /* ---- answering ------------------------------------------------------------------------------ */

    /** The reader's answer as it is kept, or null if there is none yet. */
    given() {
      if (this.kind === "number") return this.input.value.trim() || null;
      if (this.kind === "order") return this.items.map(({ dataset }) => dataset.key).join(" ");
      const chosen = this.items.map((item, index) => (item.querySelector("input").checked ? index : -1)).filter((index) => index >= 0);
      return chosen.length ? chosen.join(" ") : null;
    }

    check() {
      const given = this.given();
      if (given === null) {
        const ask = { number: "Type a number first. A wrong one costs nothing.", choice: "Choose one first. A wrong one costs nothing." };
        this.reply("", [ask[this.kind] || "Choose at least one first. A wrong one costs nothing."], "predict-quiet");
        return;
      }
      const verdict = { number: this.checkNumber, order: this.checkOrder, choice: this.checkChoices, multiple: this.checkChoices }[this.kind].call(this, given);
      if (!verdict) return;
      this.commit(verdict.right);
      this.reply(verdict.right ? "Right." : "Not yet.", verdict.says, verdict.right ? "predict-right" : "predict-not-yet");
      if (verdict.right) this.openAnswer();
      const kept = memory.get(this.id);
      // Whether the first answer was right, which the page of the reader's progress asks about again.
      const first = typeof kept?.given === "string" ? kept.first ?? kept.right : verdict.right;
      this.remember({ given, right: verdict.right, first, asked: this.words() });
    }

    /** A question is known by its place on the page, and may move when the page is written again: not so its words. */
    words() {
      let sum = 0;
      for (const letter of this.prompt.textContent.replace(/\s+/g, " ")) sum = (Math.imul(sum, 31) + letter.codePointAt(0)) >>> 0;
      return sum.toString(36);
    }

    remember(value) {
      memory.set(this.id, value);
      this.dispatchEvent(new CustomEvent("answered", { bubbles: true }));
    }

    checkNumber(given) {
      const value = readNumber(given);
      if (Number.isNaN(value)) {
        this.reply("", ["This is not a number that can be read. Write 56, 0.25, 11,689,512 or 1.8e9."], "predict-quiet");
        return null;
      }
      if (near(value, this.right, this.tolerance)) return { right: true, says: [] };
      const known = [...this.querySelectorAll(".predict-wrong > li")].find(({ dataset }) => near(value, Number(dataset.answer), 0));
      return { right: false, says: known ? clones(known) : [value < this.right ? "It is more than that." : "It is less than that."] };
    }

    checkOrder(given) {
      const keys = this.items.map(({ dataset }) => Number(dataset.key));
      const inPlace = keys.filter((key, index) => key === index + 1).length;
      if (inPlace === keys.length) return { right: true, says: [] };
      const known = [...this.querySelectorAll(".predict-wrong > li")].find(({ dataset }) => dataset.answer === given);
      return { right: false, says: known ? clones(known) : [`${inPlace} of ${keys.length} are in their place.`] };
    }

    checkChoices() {
      const chosen = this.items.filter((item) => item.querySelector("input").checked);
      const missing = this.items.filter((item) => isRight(item) && !chosen.includes(item)).length;
      const wrong = chosen.filter((item) => !isRight(item));
      const says = chosen.flatMap((item) => clones(item.querySelector(".predict-feedback")));
      if (this.kind === "multiple") {
        if (wrong.length) says.unshift(`${wrong.length} of your choices ${wrong.length > 1 ? "do" : "does"} not belong.`);
        else if (missing) says.unshift(`What you chose is right, and ${missing} more ${missing > 1 ? "belong" : "belongs"} to it.`);
      }
      return { right: !wrong.length && !missing, says };
    }

    /** From the first answer on the solution may be seen; before it, it may not. */
    commit(right) {
      this.showButton.removeAttribute("aria-disabled");
      this.again.hidden = false;
      this.status.textContent = right ? "✓ Right" : "Not yet";
      this.dataset.state = right ? "right" : "wrong";
      // Each choice carries its own mark, as far as it was made.
      for (const item of this.items) {
        const chosen = item.querySelector("input")?.checked;
        if (chosen) item.dataset.mark = isRight(item) ? "right" : "wrong";
        else delete item.dataset.mark;
      }
      if (right) this.unmask();
    }

    /* ---- what would give the answer away --------------------------------------------------------- */

    /** Cover the words of `masks` in what stands above: title, prose, labels and descriptions of pictures. */
    mask() {
      const words = (this.getAttribute("masks") || "").split("|").map((word) => word.trim()).filter(Boolean);
      const page = this.closest("article, main, body");
      if (!words.length || !page || this.dataset.state === "right" || this.covered) return;
      const plain = words.sort((a, b) => b.length - a.length).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      const found = new RegExp(`(?<![\\w.,])(?:${plain.join("|")})(?![\\w]|[.,]\\d)`, "g");
      const cover = (text) => text.replace(found, (word) => word.replace(/\S/g, "▒"));
      const before = (node) => this.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_PRECEDING;
      this.covered = [];
      const keep = (node, name, text) => {
        const hidden = cover(text);
        if (hidden === text) return;
        this.covered.push([node, name, text]);
        if (name) node.setAttribute(name, name === "alt" || name === "aria-label" ? text.replace(found, "…") : hidden);
        else node.data = hidden;
      };
      // The page's own title stands in the list of chapters, too.
      const places = [page, ...document.querySelectorAll(".bd-sidebar-primary .current > a.reference, .bd-toc-nav .nav-link[href='#']")];
      for (const place of places) {
        const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
          const node = texts.currentNode;
          if ((place !== page || before(node)) && !node.parentElement.closest("pre, script, style, math, predict-question, details.book-code")) keep(node, "", node.data);
        }
      }
      for (const node of page.querySelectorAll("[alt], [aria-label]")) {
        if (!before(node) || node.closest("predict-question")) continue;
        for (const name of ["alt", "aria-label"]) if (node.hasAttribute(name)) keep(node, name, node.getAttribute(name));
      }
      if (this.covered.length && !this.dataset.state) this.status.textContent = COVERED;
    }

    unmask() {
      for (const [node, name, text] of this.covered || []) {
        if (name) node.setAttribute(name, text);
        else node.data = text;
      }
      this.covered = null;
      if (this.status.textContent === COVERED) this.status.textContent = "";
    }

    /** A changed answer has not been checked. */
    mark() {
      if (this.dataset.state === "wrong") this.reply("", [], "");
      for (const item of this.items) delete item.dataset.mark;
    }

    reply(head, says, look) {
      this.feedback.className = `predict-reply ${look}`;
      this.feedback.replaceChildren(...(head ? [h("strong", {}, head), " "] : []), ...says);
    }

    hint() {
      const next = this.hints.find((hint) => hint.hidden);
      if (!next) return;
      next.hidden = false;
      next.open = true;
      const left = this.hints.filter((hint) => hint.hidden).length;
      this.hintButton.textContent = left ? "Next hint" : "No more hints";
      this.hintButton.setAttribute("aria-disabled", String(!left));
      next.querySelector("summary").focus();
    }

    show() {
      if (this.showButton.hasAttribute("aria-disabled")) {
        this.reply("", ["Commit to an answer first. A wrong one costs nothing, and it is what makes the right one stay."], "predict-quiet");
        return;
      }
      this.openAnswer();
      this.answer?.querySelector("summary").focus();
    }

    openAnswer() {
      this.unmask();
      if (!this.answer) return;
      this.answer.hidden = false;
      this.answer.open = true;
    }

    /* ---- the next visit ------------------------------------------------------------------------- */

    /** Put back the answer of the last visit, without its feedback: nothing on the page may move. */
    restore({ given, right, asked }) {
      if (asked && asked !== this.words()) memory.set(this.id, null); // another question stood here
      else if (typeof given === "string") this.putBack(given, right);
    }

    putBack(given, right) {
      const parts = given.split(" ");
      if (this.kind === "number") {
        this.input.value = given;
      } else if (this.kind === "order") {
        const items = parts.map((key) => this.items.find(({ dataset }) => dataset.key === key));
        if (items.length !== this.items.length || items.includes(undefined)) return; // the question has changed
        this.placeItems(items);
      } else {
        const inputs = parts.map((index) => this.items[index]?.querySelector("input"));
        if (inputs.includes(undefined)) return;
        for (const input of inputs) input.checked = true;
      }
      this.commit(right === true);
    }

    reset() {
      const again = memory.get(this.id)?.first === false;
      this.remember(again ? { first: false, asked: this.words() } : null);
      delete this.dataset.state;
      this.status.textContent = "";
      this.reply("", [again ? "Cleared. It stays in your review until you answer it right at once." : "Forgotten."], "predict-quiet");
      this.showButton.setAttribute("aria-disabled", "true");
      this.hints.forEach((hint) => (hint.hidden = true));
      if (this.hintButton) {
        this.hintButton.textContent = "Hint";
        this.hintButton.removeAttribute("aria-disabled");
      }
      if (this.answer) this.answer.hidden = true;
      for (const item of this.items) {
        const input = item.querySelector("input");
        if (input) input.checked = false;
        delete item.dataset.mark;
      }
      this.mask();
      if (this.input) this.input.value = "";
      // The focus must not fall off the page with the button that disappears.
      (this.input || this.querySelector("input, .predict-move, .predict-check")).focus();
      this.again.hidden = true;
    }
  }

  const COVERED = "▒▒ hidden until you answer";
  const isRight = ({ dataset }) => dataset.correct === "true";
  const clones = (node) => (node ? [...node.childNodes].map((child) => child.cloneNode(true)) : []);

  if (!customElements.get("predict-question")) customElements.define("predict-question", PredictQuestion);
})(globalThis);
