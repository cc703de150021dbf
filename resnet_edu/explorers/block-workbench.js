/**
 * <block-workbench preset="original" depth="56">: assemble a block from pieces, see its diagram and its code, and train it
 * 20 to 218 layers deep in this browser. Presets are the blocks of He et al. 2016, Tables 1 and 2.
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  const { h, svg, set, say, choice, select, oneOf, line } = RE;
  const { PIECES, FOR, LEARNED, nameOf, percent } = RE.blocks;
  const PATHS = { branch: "On the branch", shortcut: "On the shortcut", after: "After the addition", head: "Once, after the last block" };
  const START = { scale: 0.5, gain: 0, dropout: 0.5 };
  const DEPTHS = ["20", "56", "110", "218"];
  /** CIFAR-10 test error in percent with 110 layers, He et al. 2016, Tables 1 and 2; "fail" is more than 20. */
  const PAPER = {
    original: "6.61", "full pre-activation": "6.37", "batch norm after the addition": "8.17",
    "ReLU before the addition": "7.84", "ReLU-only pre-activation": "6.71", "1×1 convolution shortcut": "12.22",
    "scaled shortcut": "fail", "both scaled": "12.35", "dropout on the shortcut": "fail",
  };
  const STORE = "resnet-edu-board";
  /** Pixels that a pointer moves before it drags, and the band at the screen's edge where the page scrolls along. */
  const DRAG = 5;
  const EDGE = 90;
  const CHALLENGES = [
    ["Repair a block that dies at 110 layers: start from “both scaled”, keep a scale on the branch, and train 110 layers to under 10 %.",
      (row) => row.depth === 110 && row.error < LEARNED && has(row.program, "scale", ["branch"])],
    ["Train 56 layers without any batch norm to under 10 %.", (row) => row.depth >= 56 && row.error < LEARNED && !has(row.program, "bn")],
    ["Find out what the last ReLU costs: train 218 layers to under 5 %.", (row) => row.depth === 218 && row.error < 5],
    ["Stay under 2 % at 56 layers with less than two thirds of the original’s parameters.",
      (row) => row.depth === 56 && row.error < 2 && row.parameters < (2 / 3) * 54214],
  ];

  const LOOK = `${RE.TRAINER_LOOK}${RE.blocks.LOOK}
.bench { display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 1fr); }
.path { border: 1px solid var(--rule); border-radius: 8px; padding: .6rem .8rem .8rem; min-width: 0; }
.path legend { margin: 0; padding: 0 .3rem; }
.pieces { list-style: none; margin: 0 0 .5rem; padding: 0; display: grid; gap: .35rem; }
.pieces li { display: flex; align-items: center; gap: .35rem; border: 1px solid var(--edge); border-radius: 8px; padding: 0 0 0 .7rem; min-height: 44px; }
.pieces li span { flex: 1; }
.pieces button { width: 44px; height: 44px; border: 0; background: none; border-radius: 7px; cursor: pointer; font-size: 16px; }
.pieces button:hover:not(:disabled) { background: var(--soft); }
.pieces button:disabled { color: var(--rule); cursor: default; }
.pieces input { width: 4.2rem; height: 44px; border-radius: 7px; }
.adding { display: flex; gap: .4rem; }
.adding .control { flex: 1; min-width: 0; }
.wrong { color: var(--wrong); font-weight: 650; }
.drawing svg { height: auto; }
.tray { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; border: 1px dashed var(--rule); border-radius: 8px; padding: .6rem .8rem; }
.tray p { flex: 1 1 100%; margin: 0; font-size: 13.5px; color: var(--muted); }
.piece { border: 1px solid var(--edge); border-radius: 8px; padding: 0 .7rem; min-height: 44px; display: inline-flex; align-items: center; background: var(--page); cursor: grab; user-select: none; -webkit-user-select: none; touch-action: none; }
.piece.conv { background: var(--re-layer2, #62b89c); color: var(--re-layer2-ink, #14161a); border-color: transparent; }
.pieces .grip { flex: none; width: 44px; height: 44px; margin-inline: -.7rem -.35rem; cursor: grab; touch-action: none; display: grid; place-items: center; color: var(--muted); }
.pieces li { user-select: none; -webkit-user-select: none; }
@media (hover: hover) { .pieces li { cursor: grab; } }
.bench.dragging { cursor: grabbing; }
.dragging .path.open, .dragging .tray.open { outline: 2px dashed var(--accent); outline-offset: 1px; }
.dragging .path.open .pieces { min-height: 46px; }
.dragging .path:not(.open) { opacity: .45; }
.path.here, .tray.here { background: color-mix(in srgb, var(--accent) 9%, var(--page)); }
.pieces li.from { opacity: .35; }
.pieces li.drop { border: 2px dashed var(--accent); color: var(--muted); background: var(--page); }
.ghost { position: absolute; z-index: 2; pointer-events: none; box-shadow: 0 4px 14px #0004; left: 0; top: 0; }
.saving { align-items: end; margin-top: .9rem; }
.saving input { height: 44px; background: var(--page); border: 1px solid var(--edge); border-radius: 8px; padding: 0 .6rem; width: 11rem; }
.saving label { font-size: 13px; color: var(--muted); }
.saving + .note { margin-top: .6rem; }
.challenges { margin: 0; padding: 0; list-style: none; display: grid; gap: .4rem; }
.challenges li { display: grid; grid-template-columns: 5.2rem minmax(0, 1fr); gap: .5rem; }
.bench .path { margin: 0; align-self: start; }
@container (min-width: 640px) {
  .bench { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .paths { display: contents; }
  .drawing { grid-column: 2; grid-row: 2; }
}
@container (max-width: 639px) { .paths { display: grid; gap: .9rem; } }
`;

  class BlockWorkbench extends RE.Trainer {
    static look = LOOK;
    static fields = {
      preset: { is: (name, text) => text, value: "original" },
      depth: { is: oneOf(...DEPTHS), value: "56" },
    };

    build(card) {
      this.halt();
      Object.assign(this.state, { seeds: "3", rate: "0.03", prediction: null, sort: { by: "error", down: false } });
      this.board = this.remembered();
      this.keeps = true;
      this.running = this.net = this.dragged = null;
      const button = (words, act, main) => h("button", { type: "button", class: main ? "button main" : "button", onclick: act }, words);
      this.presets = h("div", {});
      this.paths = h("div", { class: "paths" });
      // Doubles the lists under the paths, which are the keyboard's way.
      this.tray = h("div", { class: "tray", "aria-hidden": "true" }, h("p", {}), Object.keys(PIECES).map((name) => {
        const operation = name in START ? [name, START[name]] : name;
        return h("span", { class: `piece${name.startsWith("conv") ? " conv" : ""}`, "data-piece": name, onpointerdown: (event) => this.grab(event, { operation }) }, PIECES[name]);
      }));
      this.bench = h("div", { class: "bench" }, this.tray, this.paths, h("div", { class: "drawing" }, (this.picture = svg("svg", { role: "img", "aria-label": "The block, drawn when you come near." }))));
      this.bench.addEventListener("pointermove", (event) => this.drag(event));
      this.bench.addEventListener("pointerup", () => this.drop());
      this.bench.addEventListener("pointercancel", () => this.drop(false));
      this.verdict = h("p", { class: "say" });
      this.facts = h("p", { class: "note" });
      this.controls = {
        depth: choice("Layers", DEPTHS.map((d) => [d, d]), (depth) => this.update({ depth, prediction: null })),
        seeds: choice("Seeds", ["1", "3", "10"].map((n) => [n, n]), (seeds) => this.update({ seeds })),
        rate: choice("Learning rate", ["0.01", "0.03", "0.1"].map((r) => [r, r]), (rate) => this.update({ rate, prediction: null })),
      };
      this.ask = choice(`First predict: will it learn, with less than ${LEARNED} % training error?`, [["yes", "It learns"], ["no", "It does not"]],
        (prediction) => this.update({ prediction }));
      this.go = button("Train", () => (this.running ? this.stop() : this.train()), true);
      this.curves = svg("svg", { role: "img", "aria-label": "Nothing has trained yet." });
      this.outcome = h("p", { class: "say" });
      this.keeper = RE.keeper((words) => this.tell(words));
      this.code = h("pre", { tabindex: 0 });
      this.table = h("div", { class: "board" });
      this.group = h("input", { type: "text", maxlength: 60, autocomplete: "off" });
      this.challenges = h("ul", { class: "challenges" });
      this.panel = h("div", { class: "panel" }, h("p", { class: "name" }, "Training error"), this.curves);
      card.append(
        h("div", { class: "controls" }, this.presets, Object.values(this.controls).map(({ node }) => node)),
        h("div", { class: "body" },
          this.bench, this.verdict, this.facts, this.ask.node, h("div", { class: "row" }, this.go), this.panel, this.outcome),
        this.keeper.node,
        h("details", {}, h("summary", {}, "As Python"), h("div", {}, this.code, h("p", { class: "row" }, RE.copyButton(() => this.code.textContent)))),
        h("details", { open: true }, h("summary", {}, "The board: every block that you tried"), h("div", {}, this.table,
          h("div", { class: "row saving" }, h("label", { class: "control" }, "Your group, for the file", this.group),
            button("Save as a file", () => this.save()), button("Forget the board", () => this.forget())),
          (this.keeping = h("p", { class: "note" })))),
        h("details", {}, h("summary", {}, "Challenges"), h("div", {}, this.challenges)));
      this.watch();
    }

    arrive(then = null) {
      if (this.net) {
        then?.();
        return;
      }
      RE.engine(["source"]).then((net) => {
        if (this.net) return then?.();
        if (!Object.hasOwn(net.PRESETS, this.state.preset)) {
          this.refuse(`There is no preset “${this.state.preset}”. There are ${Object.keys(net.PRESETS).join(", ")}.`);
          return null;
        }
        this.net = net;
        const list = select("Start from", [["own", "a block of your own"], ...Object.keys(net.PRESETS).map((name) => [name, name])],
          (name) => name !== "own" && this.load(name));
        this.preset = list;
        this.presets.replaceChildren(list.node);
        this.load(this.state.preset);
        return then?.();
      }, (error) => {
        this.failed = error.message;
        this.later();
      });
    }

    load(name) {
      this.program = structuredClone(this.net.checkProgram(this.net.PRESETS[name]));
      this.changed();
    }

    /** A block from a board, with its depth and rate, on the bench. */
    take({ program, depth, rate }) {
      this.scrollIntoView({ block: "start" });
      this.arrive(() => {
        this.program = structuredClone(program);
        this.state.depth = DEPTHS.includes(String(depth)) ? String(depth) : this.state.depth;
        this.state.rate = String(rate);
        this.changed();
        this.tell(`On the bench: ${RE.blocks.title({ name: this.name, program })}, ${this.state.depth} layers.`);
      });
    }

    changed() {
      this.stop();
      this.curve = null;
      this.update({ prediction: null });
      this.buildPaths();
    }

    /** The preset that the block is, if it is one. */
    get name() {
      const mine = JSON.stringify(this.program);
      return Object.keys(this.net.PRESETS).find((name) => JSON.stringify(this.net.checkProgram(this.net.PRESETS[name])) === mine) ?? "own";
    }

    /* ---- the pieces ------------------------------------------------------------------------------ */

    buildPaths() {
      this.paths.replaceChildren(...Object.entries(PATHS).map(([path, title]) => this.pathNode(path, title)));
    }

    pathNode(path, title) {
      const list = this.program[path];
      const box = h("fieldset", { class: "path" }, h("legend", {}, title));
      if (path === "shortcut") {
        const way = choice("", [["yes", "a shortcut"], ["no", "none: a plain block"]], (value) => {
          this.program.shortcut = value === "yes" ? ["match"] : null;
          this.changed();
        });
        way.set(list === null ? "no" : "yes");
        way.node.firstChild.remove();
        set(way.node, { "aria-label": "Shortcut" });
        box.append(h("div", { style: "margin-bottom:.5rem" }, way.node));
        if (list === null) return box;
      }
      const items = h("ul", { class: "pieces" }, list.map((operation, i) => this.pieceNode(path, list, operation, i)));
      const put = (name) => {
        list.push(name in START ? [name, START[name]] : name);
        this.edited(path);
      };
      // An arrow or a letter changes a closed list at once: by keyboard the piece comes with the button, by pointer with the choice.
      let typed = false;
      const chosen = () => add.node.querySelector("select").value;
      const button = h("button", { type: "button", class: "button", disabled: true, "aria-label": `Add it ${title.toLowerCase()}`, onclick: () => put(chosen()) }, "Add");
      const add = select(`Add ${title.toLowerCase()}`, [["", "add a piece …"], ...FOR[path].map((name) => [name, PIECES[name]])], (name) => {
        button.disabled = !name;
        if (name && !typed) put(name);
      });
      add.node.firstChild.classList.add("hidden");
      add.node.addEventListener("keydown", () => (typed = true));
      add.node.addEventListener("pointerdown", () => (typed = false));
      box.append(items, h("div", { class: "adding" }, add.node, button));
      return box;
    }

    pieceNode(path, list, operation, i) {
      const [name, value] = [operation].flat();
      const words = PIECES[name];
      const act = (label, sign, disabled, change) =>
        h("button", { type: "button", "aria-label": `${words}: ${label}`, disabled, onclick: () => {
          change();
          this.edited(path, i);
        } }, sign);
      const swap = (j) => () => ([list[i], list[j]] = [list[j], list[i]]);
      const number = value === undefined ? null : h("input", {
        type: "number", step: 0.1, min: name === "dropout" ? 0 : -4, max: name === "dropout" ? 0.95 : 4, value, "aria-label": `${words}, its number`,
        onchange: (event) => {
          if (event.target.checkValidity() && event.target.value !== "") list[i] = [name, Number(event.target.value)];
          this.changed();
        },
      });
      const grab = (any) => (event) => {
        // A finger on the words scrolls the page; on the grip it drags.
        if (any || (event.pointerType === "mouse" && !event.target.closest("button, input"))) this.grab(event, { operation, path, i });
      };
      return h("li", { onpointerdown: grab(false) },
        h("span", { class: "grip", "aria-hidden": "true", onpointerdown: grab(true) }, "⠿"), h("span", {}, words), number,
        act("earlier", "↑", i === 0, swap(i - 1)), act("later", "↓", i === list.length - 1, swap(i + 1)), act("take out", "×", false, () => list.splice(i, 1)));
    }

    /* ---- dragging: {operation, path, i} of a piece on a path, {operation} of a new one ---------------- */

    grab(event, what) {
      if (event.button > 0 || this.dragged || !this.program) return;
      event.stopPropagation();
      if (event.pointerType === "mouse") event.preventDefault(); // no text is selected on the way
      this.bench.setPointerCapture(event.pointerId);
      this.dragged = { ...what, x: event.clientX, y: event.clientY, start: [event.clientX, event.clientY] };
      this.escape = (key) => key.key === "Escape" && this.drop(false);
      document.addEventListener("keydown", this.escape);
    }

    drag(event) {
      const { dragged } = this;
      if (!dragged) return;
      [dragged.x, dragged.y] = [event.clientX, event.clientY];
      if (!dragged.ghost) {
        if (Math.hypot(dragged.x - dragged.start[0], dragged.y - dragged.start[1]) < DRAG) return;
        this.lift();
      }
      this.aim();
    }

    /** From here on it is a drag: show what is in the hand and where it may go. */
    lift() {
      const { dragged } = this;
      const name = nameOf(dragged.operation);
      dragged.ghost = h("span", { class: `piece ghost${name.startsWith("conv") ? " conv" : ""}` }, PIECES[name]);
      dragged.place = h("li", { class: "drop" }, "here");
      this.bench.parentElement.parentElement.append(dragged.ghost);
      this.bench.classList.add("dragging");
      [...this.paths.children].forEach((box, at) => box.classList.toggle("open", FOR[Object.keys(PATHS)[at]].includes(name)));
      if (dragged.path) {
        this.tray.classList.add("open");
        this.box(dragged.path).querySelectorAll("li")[dragged.i].classList.add("from");
      }
      say(this.tray.firstChild, dragged.path ? "Drop it here to take it out." : "Drop it where a place opens.");
      const along = () => {
        if (this.dragged !== dragged) return;
        // Below a fixed header and above the screen's end the page moves along.
        const by = dragged.y < EDGE ? -12 : dragged.y > innerHeight - EDGE ? 12 : 0;
        if (by) {
          scrollBy({ top: by, behavior: "instant" });
          this.aim();
        }
        requestAnimationFrame(along);
      };
      along();
    }

    box(path) {
      return this.paths.children[Object.keys(PATHS).indexOf(path)];
    }

    /** Where it would land: a place on a path, the tray, or nowhere. */
    aim() {
      const { dragged } = this;
      const card = this.shadowRoot.querySelector(".card").getBoundingClientRect();
      dragged.ghost.style.transform = `translate(${dragged.x - card.left + 8}px, ${dragged.y - card.top - 20}px)`;
      const inside = (node) => {
        const { left, right, top, bottom } = node.getBoundingClientRect();
        return dragged.x >= left - 6 && dragged.x <= right + 6 && dragged.y >= top - 6 && dragged.y <= bottom + 6;
      };
      dragged.out = Boolean(dragged.path) && inside(this.tray);
      this.tray.classList.toggle("here", dragged.out);
      dragged.to = null;
      for (const path of Object.keys(PATHS)) {
        const box = this.box(path);
        const here = box.classList.contains("open") && inside(box);
        box.classList.toggle("here", here);
        if (!here) continue;
        const items = [...box.querySelectorAll("li:not(.drop)")];
        const before = items.findIndex((item) => {
          const { top, bottom } = item.getBoundingClientRect();
          return dragged.y < (top + bottom) / 2;
        });
        dragged.to = { path, i: before < 0 ? items.length : before };
        const list = box.querySelector(".pieces");
        if (list) list.insertBefore(dragged.place, items[dragged.to.i] ?? null);
      }
      if (!dragged.to) dragged.place.remove();
    }

    /** Let go: put the piece where it is, or, where nothing is open or the drag was broken off, leave all as it was. */
    drop(done = true) {
      const { dragged } = this;
      if (!dragged) return;
      this.dragged = null;
      document.removeEventListener("keydown", this.escape);
      if (!dragged.ghost) return;
      dragged.ghost.remove();
      dragged.place.remove();
      this.bench.classList.remove("dragging");
      this.tray.classList.remove("open", "here");
      const { operation, path, i, to, out } = dragged;
      if (done && (to || out)) {
        if (path) this.program[path].splice(i, 1);
        if (to) {
          const list = (this.program[to.path] ??= []);
          list.splice(to.i - (path === to.path && i < to.i ? 1 : 0), 0, structuredClone(operation));
        }
        this.changed();
        this.tell(`${PIECES[nameOf(operation)]} ${out ? "taken out" : `put ${PATHS[to.path].toLowerCase()}, place ${to.i + 1}`}.`);
      } else this.buildPaths();
      this.later();
    }

    /** After a change the focus stays in the same path. */
    edited(path, i) {
      this.changed();
      const box = this.box(path);
      const items = box.querySelectorAll("li");
      (items[Math.min(i ?? items.length - 1, items.length - 1)]?.querySelector("button:not(:disabled)") ?? box.querySelector("select"))?.focus();
    }

    /** Where a network of this block cannot be built: the sentence; else null. Every transition is tried. */
    refusal() {
      try {
        for (const [before, after, stride, side] of [[4, 4, 1, 8], [4, 8, 2, 8], [8, 16, 2, 4]]) this.net.planBlock(this.program, before, after, stride, side);
        return null;
      } catch (error) {
        if (!(error instanceof this.net.ProgramError)) throw error;
        return error.message;
      }
    }

    /** What is odd and yet allowed. */
    oddities() {
      const { branch, shortcut, after } = this.program;
      const blocks = (this.state.depth - 2) / 2;
      const names = (path) => (path ?? []).map(nameOf);
      const all = [...names(branch), ...names(shortcut), ...names(after)];
      const found = [];
      if (!all.includes("relu")) found.push("There is no ReLU in the block: with the stem’s alone, the network is almost linear.");
      if (!all.includes("bn")) found.push("There is no batch norm: nothing holds the scale of the maps. Will the loss stay a number?");
      if (shortcut && names(after).includes("bn")) found.push("The norm after the addition rescales the shortcut in every block.");
      if (names(shortcut).some((name) => ["scale", "dropout", "gain"].includes(name))) found.push(`What is done to the shortcut is done once for every block: after ${blocks} blocks, ${blocks} times over.`);
      if (shortcut && names(shortcut).some((name) => name.startsWith("conv"))) found.push("A convolution on every shortcut is option C, and no longer an identity.");
      if (!names(branch).some((name) => name.startsWith("conv"))) found.push("There is no convolution on the branch.");
      return found;
    }

    parameters() {
      let total = 9 * 4 + 2 * 4 + 16 * 10 + 10;
      const count = (operations) => operations.reduce((sum, { name, inChannels, channels, stride }) => sum + ({
        conv3: 9 * inChannels * channels, conv1: inChannels * channels, bn: 2 * channels, gain: 1,
        project: stride === 1 && inChannels === channels ? 0 : inChannels * channels + 2 * channels,
      }[name] ?? 0), 0);
      const blocks = (this.state.depth - 2) / 6;
      let [at, side] = [4, 8];
      for (const width of [4, 8, 16]) {
        for (let i = 0; i < blocks; i++) {
          const stride = width > 4 && i === 0 ? 2 : 1;
          const plan = this.net.planBlock(this.program, at, width, stride, side);
          total += count(plan.branch) + count(plan.shortcut ?? []) + count(plan.after);
          [at, side] = plan.end;
        }
      }
      return total + count(this.net.layout(this.program.head, 16, 16, 1));
    }

    /* ---- training -------------------------------------------------------------------------------- */

    async train() {
      this.claim();
      const { depth, seeds, rate } = this.state;
      const jobs = Array.from({ length: Number(seeds) }, (_, seed) => ({ seed }));
      const run = { program: structuredClone(this.program), name: this.name, depth: Number(depth), rate: Number(rate), parameters: this.parameters(), jobs, waiting: [...jobs], handles: new Set() };
      this.running = this.curve = run;
      for (let i = 0; i < 2; i++) this.launch(run); // two workers at most
      this.later();
    }

    launch(run) {
      const job = run.waiting.shift();
      if (!job) return;
      job.points = [];
      const settings = { program: run.program, depth: run.depth, rate: run.rate, seed: job.seed };
      const handle = this.net.start(settings, (message) => {
        if (this.running !== run) return;
        if (message.type === "point") job.points.push([message.epoch, message.error]);
        if (message.type === "end" || message.type === "error") {
          job.end = message;
          run.handles.delete(handle);
          if (run.jobs.every(({ end }) => end)) this.finish(run);
          else this.launch(run);
        }
        this.later();
      });
      run.handles.add(handle);
    }

    finish(run) {
      this.running = null;
      const ends = run.jobs.map(({ end }) => end);
      if (ends.some(({ type }) => type === "error")) {
        run.words = `It stopped: ${ends.find(({ type }) => type === "error").message}.`;
        return;
      }
      const errors = ends.map((end) => (end.outcome === "diverged" ? 90 : end.trainError)).sort((a, b) => a - b);
      const error = errors.length % 2 ? errors[errors.length >> 1] : (errors[errors.length / 2 - 1] + errors[errors.length / 2]) / 2;
      const row = {
        name: run.name, program: run.program, depth: run.depth, rate: run.rate, parameters: run.parameters, error,
        errors, seconds: ends.reduce((sum, end) => sum + end.seconds, 0) / ends.length, diverged: ends.filter(({ outcome }) => outcome === "diverged").length,
      };
      this.board.push(row);
      this.remember();
      // Of several seeds, the one in the middle can be kept.
      const [middle] = ends.filter(({ outcome }) => outcome !== "diverged").sort((a, b) => Math.abs(a.trainError - error) - Math.abs(b.trainError - error));
      run.kept = middle && [["this network", middle.network, { words: `${RE.blocks.title(row)}, ${row.depth} layers`, test: 100 - middle.testError }]];
      for (const end of ends) delete end.network;
      const learned = error < LEARNED;
      const paper = PAPER[run.name];
      run.words = [
        `${run.depth} layers, ${errors.length === 1 ? "one seed" : `${errors.length} seeds`}: training error ${errors.map(percent).join(", ")}.`,
        row.diverged ? `In ${row.diverged} of them the loss stopped being a number: take a lower rate, a batch norm, or a gain that starts at 0.` : "",
        `You predicted that it ${this.state.prediction === "yes" ? "learns" : "does not learn"}; it ${learned ? "does" : "does not"}.`,
        paper ? this.beside(paper, learned) : "",
      ].filter(Boolean).join(" ");
      this.tell(run.words);
    }

    /** The paper's number beside what was just measured, in a plain word. */
    beside(paper, learned) {
      const above = paper === PAPER.original ? "" : `, against ${PAPER.original}\u00a0% of the original`;
      const same = "The paper’s number is the test error of 110 layers on CIFAR-10 after 164 epochs; this is the training error on small digits after eight, so only the direction compares.";
      const good = paper !== "fail" && Number(paper) < 7.5;
      const said = paper === "fail" ? "The paper reports that it failed, with more than 20 % error" : `The paper reports ${paper}\u00a0%${above}`;
      return `${said}. ${good === learned ? "Both point the same way." : "Here the two differ."} ${same}`;
    }

    stop() {
      for (const handle of this.running?.handles ?? []) handle.stop();
      this.running = null;
      this.later?.();
    }

    halt() {
      if (!this.live) return;
      this.drop(false);
      this.stop();
    }

    sleep(away) {
      for (const handle of this.running?.handles ?? []) handle.order(away ? "pause" : "go");
    }

    /* ---- the board ------------------------------------------------------------------------------- */

    remembered() {
      try {
        const rows = JSON.parse(localStorage.getItem(STORE) ?? "[]");
        return Array.isArray(rows) ? rows.filter(RE.blocks.isRow) : [];
      } catch {
        return []; // storage that is closed or holds something else
      }
    }

    remember() {
      this.keeps = true;
      try {
        localStorage.setItem(STORE, JSON.stringify(this.board.slice(-200)));
      } catch {
        this.keeps = false; // private windows and frames of other origins may refuse
      }
    }

    forget() {
      this.board = [];
      try {
        localStorage.removeItem(STORE);
      } catch {
        // There was nothing to forget.
      }
      this.tell("The board is empty.");
      this.later();
    }

    save() {
      const group = this.group.value.trim();
      const name = ["blocks", group.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-")].filter(Boolean).join("-");
      RE.download(`${name}.json`, "application/json", JSON.stringify({ made: RE.blocks.MADE, group, rows: this.board }, null, 1));
    }

    showBoard() {
      const { sort } = this.state;
      const key = JSON.stringify([this.board, sort]);
      if (key === this.shown) return;
      this.shown = key;
      this.table.replaceChildren(this.board.length
        ? RE.blocks.table(this.board, sort, (by) => this.update({ sort: by }), (row) => this.take(row))
        : h("p", { class: "note" }, "Train a block, and it stands here."));
      this.challenges.replaceChildren(...CHALLENGES.map(([words, met]) =>
        h("li", {}, h("b", {}, this.board.some(met) ? "✓ met" : "open"), h("span", {}, words))));
    }

    /* ---- showing --------------------------------------------------------------------------------- */

    render() {
      for (const [name, control] of Object.entries(this.controls)) control.set(this.state[name]);
      this.ask.set(this.state.prediction);
      this.showBoard();
      if (!this.program) {
        say(this.verdict, this.failed ? `The engine did not load: ${this.failed}. Reload the page to try again.` : "The engine comes as you come near: 60 kilobytes.");
        this.go.disabled = true;
        return;
      }
      this.preset.set(this.name);
      const refusal = this.refusal();
      set(this.verdict, { class: refusal ? "say wrong" : "say" });
      say(this.verdict, refusal ?? (this.oddities().join(" ") || "It fits: both ends of every addition have the same shape."));
      const paper = PAPER[this.name];
      say(this.facts, refusal ? "" : [
        `${RE.grouped(this.parameters())} parameters in ${this.state.depth} layers.`,
        paper ? (paper === "fail" ? "The 2016 paper reports that 110 layers of it failed on CIFAR-10." : `The 2016 paper reports ${paper} % test error on CIFAR-10 with 110 layers.`) : "",
      ].join(" "));
      say(this.code, refusal ? "" : `${this.net.programSource(this.program)}\n\n# Trained like any other network:\n# from resnet_edu import programs\n# model = programs.network(${pythonDict(this.program)}, layers=(${Array(3).fill((this.state.depth - 2) / 6).join(", ")}))`);
      say(this.go, this.running ? "Stop" : "Train");
      this.go.disabled = !this.running && (Boolean(refusal) || !this.state.prediction);
      RE.blocks.draw(this.picture, this.program, { refused: Boolean(refusal) });
      say(this.tray.firstChild, this.dragged?.ghost ? this.tray.firstChild.textContent : "Drag a piece to its place.");
      this.drawCurves();
      this.keeper.set(this.curve?.kept ?? []);
      say(this.keeping, `${this.keeps ? "Kept in this browser only." : "This browser keeps nothing here: the board lasts as long as the page, or save it as a file."} Nothing is sent. A press on a block puts it on the bench.`);
      say(this.outcome, this.curve?.words ?? (this.running ? `Seed ${this.running.jobs.filter(({ end }) => end).length + 1} of ${this.running.jobs.length}.` : ""));
    }

    drawCurves() {
      const width = this.panel.clientWidth;
      if (width < RE.NARROWEST) return;
      const points = (this.curve?.jobs ?? []).map((job) => job.points ?? []);
      RE.chart(this.curves, width, 220, {
        x: { min: 0, max: 8, ticks: [0, 2, 4, 6, 8].map((t) => [t, String(t)]), title: "epochs" },
        y: { min: 0, max: 100, ticks: [0, 25, 50, 75, 100].map((t) => [t, `${t} %`]), title: "error on the training images, one line for each seed" },
        series: points.map((each) => ({ color: line("first"), dash: null, points: each })),
        words: points.some((each) => each.length) ? `Training error against epochs, ${points.length} seeds; the last points: ${points.filter((each) => each.length).map((each) => percent(each[each.length - 1][1])).join(", ")}.` : "Training error against epochs; empty before training.",
      });
    }
  }

  function has(program, wanted, paths = ["branch", "shortcut", "after", "head"]) {
    return paths.some((path) => (program[path] ?? []).some((operation) => nameOf(operation) === wanted));
  }
  const pythonDict = (program) => JSON.stringify(program).replaceAll("null", "None").replaceAll(",", ", ").replaceAll(":", ": ");

  RE.define("block-workbench", BlockWorkbench);
})(globalThis);
