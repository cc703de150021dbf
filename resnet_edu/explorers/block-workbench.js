/**
 * <block-workbench preset="original" depth="56">: assemble a block from pieces, see its diagram and its code, and train it
 * 20 to 218 layers deep in this browser. Presets are the blocks of He et al. 2016, Tables 1 and 2.
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  const { h, svg, set, say, choice, select, oneOf, line, color, inkOn } = RE;

  const PIECES = {
    conv3: "conv 3×3", conv1: "conv 1×1", bn: "batch norm", relu: "ReLU", match: "match (A)", project: "project (B)",
    scale: "scale", gain: "learned gain", dropout: "dropout",
  };
  const FOR = {
    branch: Object.keys(PIECES).filter((name) => !["match", "project"].includes(name)),
    shortcut: Object.keys(PIECES),
    after: ["bn", "relu", "scale", "gain", "dropout", "conv3", "conv1"],
    head: ["bn", "relu"],
  };
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
  /** Below this training error, in percent, a network has learned the digits. */
  const LEARNED = 10;
  const CHALLENGES = [
    ["Repair a block that dies at 110 layers: start from “both scaled”, keep a scale on the branch, and train 110 layers to under 10 %.",
      (row) => row.depth === 110 && row.error < LEARNED && has(row.program, "scale", ["branch"])],
    ["Train 56 layers without any batch norm to under 10 %.", (row) => row.depth >= 56 && row.error < LEARNED && !has(row.program, "bn")],
    ["Find out what the last ReLU costs: train 218 layers to under 5 %.", (row) => row.depth === 218 && row.error < 5],
    ["Stay under 2 % at 56 layers with less than two thirds of the original’s parameters.",
      (row) => row.depth === 56 && row.error < 2 && row.parameters < (2 / 3) * 54214],
  ];

  const LOOK = `${RE.TRAINER_LOOK}
.bench { display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 1fr); }
.path { border: 1px solid var(--rule); border-radius: 10px; padding: .6rem .8rem .8rem; min-width: 0; }
.path legend { margin: 0; padding: 0 .3rem; }
.pieces { list-style: none; margin: 0 0 .5rem; padding: 0; display: grid; gap: .35rem; }
.pieces li { display: flex; align-items: center; gap: .35rem; border: 1px solid var(--edge); border-radius: 8px; padding: .15rem .15rem .15rem .7rem; min-height: 40px; }
.pieces li span { flex: 1; }
.pieces button { width: 40px; height: 38px; border: 0; background: none; border-radius: 7px; cursor: pointer; font-size: 16px; }
.pieces button:hover:not(:disabled) { background: var(--soft); }
.pieces button:disabled { color: var(--rule); cursor: default; }
.pieces input { width: 4.2rem; height: 34px; }
.wrong { color: var(--wrong); font-weight: 650; }
.drawing svg { height: auto; }
.board { overflow-x: auto; }
.board button.sort { border: 0; background: none; padding: .3rem 0; cursor: pointer; text-decoration: underline; text-underline-offset: .2em; color: inherit; min-height: 34px; }
.challenges { margin: 0; padding: 0; list-style: none; display: grid; gap: .4rem; }
.challenges li { display: grid; grid-template-columns: 5.2rem minmax(0, 1fr); gap: .5rem; }
.bench .path { margin: 0; align-self: start; }
@container (min-width: 640px) {
  .bench { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .paths { display: contents; }
  .drawing { grid-column: 2; grid-row: 1; }
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
      Object.assign(this.state, { seeds: "3", rate: "0.03", prediction: null, sort: "error" });
      this.board = this.remembered();
      this.running = null;
      const button = (words, act, main) => h("button", { type: "button", class: main ? "button main" : "button", onclick: act }, words);
      this.presets = h("div", {});
      this.paths = h("div", { class: "paths" });
      this.picture = svg("svg", { role: "img", "aria-label": "The block, drawn when you come near." });
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
      this.code = h("pre", { tabindex: 0 });
      this.table = h("div", { class: "board" });
      this.challenges = h("ul", { class: "challenges" });
      this.panel = h("div", { class: "panel" }, h("p", { class: "name" }, "Training error"), this.curves);
      card.append(
        h("div", { class: "controls" }, this.presets, Object.values(this.controls).map(({ node }) => node)),
        h("div", { class: "body" },
          h("div", { class: "bench" }, this.paths, h("div", { class: "drawing" }, this.picture)),
          this.verdict, this.facts, this.ask.node, h("div", { class: "row" }, this.go), this.panel, this.outcome),
        h("details", {}, h("summary", {}, "As Python"), h("div", {}, this.code, h("p", { class: "row" }, RE.copyButton(() => this.code.textContent)))),
        h("details", { open: true }, h("summary", {}, "The board: every block that you tried"), h("div", {}, this.table,
          h("p", { class: "row" }, button("Save as a file", () => this.save()), button("Forget the board", () => this.forget())),
          h("p", { class: "note" }, "Kept in this browser only. Nothing is sent."))),
        h("details", {}, h("summary", {}, "Challenges"), h("div", {}, this.challenges)));
      this.watch();
    }

    arrive() {
      RE.engine(["source"]).then((net) => {
        if (!Object.hasOwn(net.PRESETS, this.state.preset)) {
          this.refuse(`There is no preset “${this.state.preset}”. There are ${Object.keys(net.PRESETS).join(", ")}.`);
          return;
        }
        this.net = net;
        const list = select("Start from", [["own", "a block of your own"], ...Object.keys(net.PRESETS).map((name) => [name, name])],
          (name) => name !== "own" && this.load(name));
        this.preset = list;
        this.presets.replaceChildren(list.node);
        this.load(this.state.preset);
      }, (error) => {
        this.failed = error.message;
        this.later();
      });
    }

    load(name) {
      this.program = structuredClone(this.net.checkProgram(this.net.PRESETS[name]));
      this.changed();
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
      const add = select(`Add ${title.toLowerCase()}`, [["", "add a piece …"], ...FOR[path].map((name) => [name, PIECES[name]])], (name) => {
        if (!name) return;
        list.push(name in START ? [name, START[name]] : name);
        this.edited(path);
      });
      add.node.firstChild.classList.add("hidden");
      box.append(items, add.node);
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
      return h("li", {}, h("span", {}, words), number,
        act("earlier", "↑", i === 0, swap(i - 1)), act("later", "↓", i === list.length - 1, swap(i + 1)), act("take out", "×", false, () => list.splice(i, 1)));
    }

    /** After a change the focus stays in the same path. */
    edited(path, i) {
      this.changed();
      const box = this.paths.children[Object.keys(PATHS).indexOf(path)];
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
      const names = (path) => (path ?? []).map((operation) => [operation].flat()[0]);
      const all = [...names(branch), ...names(shortcut), ...names(after)];
      const found = [];
      if (!all.includes("relu")) found.push("There is no ReLU in the block: with the stem’s alone, the network is almost linear.");
      if (!all.includes("bn")) found.push("There is no batch norm: nothing holds the scale of the maps. Will the loss stay a number?");
      if (shortcut && names(after).includes("bn")) found.push("The norm after the addition rescales the shortcut in every block.");
      if (names(shortcut).some((name) => ["scale", "dropout", "gain"].includes(name))) found.push("What is done to the shortcut is done once for every block: after 27 blocks, 27 times over.");
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
      const same = "The paper’s number is the test error of 110 layers on CIFAR-10 after 164 epochs; this is the training error on small digits after eight, so only the direction compares.";
      const good = paper !== "fail" && Number(paper) < 7.5;
      const said = paper === "fail" ? "The paper reports that it failed, with more than 20 % error" : `The paper reports ${paper} %, against 6.61 % of the original`;
      return `${said}. ${good === learned ? "Both point the same way." : "Here the two differ."} ${same}`;
    }

    stop() {
      for (const handle of this.running?.handles ?? []) handle.stop();
      this.running = null;
      this.later?.();
    }

    halt() {
      if (this.live) this.stop();
    }

    sleep(away) {
      for (const handle of this.running?.handles ?? []) handle.order(away ? "pause" : "go");
    }

    /* ---- the board ------------------------------------------------------------------------------- */

    remembered() {
      try {
        const rows = JSON.parse(localStorage.getItem(STORE) ?? "[]");
        return Array.isArray(rows) ? rows.filter((row) => row && typeof row.error === "number" && row.program) : [];
      } catch {
        return []; // storage that is closed or holds something else
      }
    }

    remember() {
      try {
        localStorage.setItem(STORE, JSON.stringify(this.board.slice(-200)));
      } catch {
        // Private windows may refuse; the board then lasts as long as the page.
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
      const text = JSON.stringify({ made: "resnet-edu board, version 1", rows: this.board }, null, 1);
      const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      h("a", { href: address, download: "blocks.json" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    }

    showBoard() {
      const { sort } = this.state;
      const rows = [...this.board].sort((a, b) => (typeof a[sort] === "string" ? a[sort].localeCompare(b[sort]) : a[sort] - b[sort]));
      const key = JSON.stringify([rows, sort]);
      if (key === this.shown) return;
      this.shown = key;
      const columns = [["name", "block"], ["depth", "layers"], ["error", "training error"], ["parameters", "parameters"], ["seconds", "seconds"]];
      const head = columns.map(([field, words]) => h("th", { scope: "col", "aria-sort": field === sort ? "ascending" : null },
        h("button", { type: "button", class: "sort", onclick: () => this.update({ sort: field }) }, words)));
      this.table.replaceChildren(rows.length ? h("table", {},
        h("thead", {}, h("tr", {}, head)),
        h("tbody", {}, rows.map((row) => h("tr", {}, [
          row.name === "own" ? inWords(row.program) : row.name, row.depth,
          `${percent(row.error)}${row.errors.length > 1 ? ` (${row.errors.length} seeds)` : ""}`, RE.grouped(row.parameters), row.seconds.toFixed(1),
        ].map((text) => h("td", {}, String(text))))))) : h("p", { class: "note" }, "Train a block, and it stands here."));
      this.challenges.replaceChildren(...CHALLENGES.map(([words, met]) =>
        h("li", {}, h("b", {}, this.board.some(met) ? "✓ met" : "open"), h("span", {}, words))));
    }

    /* ---- showing --------------------------------------------------------------------------------- */

    render() {
      for (const [name, control] of Object.entries(this.controls)) control.set(this.state[name]);
      this.ask.set(this.state.prediction);
      this.showBoard();
      if (!this.program) {
        say(this.verdict, this.failed ? `The engine did not load: ${this.failed}. Reload the page to try again.` : "The engine comes as you come near: 70 kilobytes.");
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
      this.draw(refusal);
      this.drawCurves();
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

    /** The branch down the left, the shortcut around it, the plus where they meet. */
    draw(refusal) {
      const { branch, shortcut, after } = this.program;
      const width = 320;
      const mid = 110;
      const right = 250;
      const rowHeight = 34;
      const top = 34;
      const plus = top + 20 + rowHeight * Math.max(branch.length, (shortcut ?? []).length, 1);
      const height = plus + 40 + rowHeight * after.length;
      const parts = [];
      const box = (x, y, operation, room) => {
        const [name, value] = [operation].flat();
        const conv = name.startsWith("conv");
        const words = PIECES[name] + (value === undefined ? "" : ` ${name === "gain" ? `from ${value}` : value}`);
        parts.push(svg("rect", { x: x - 62, y: y - 12, width: 124, height: 24, rx: 6, fill: conv ? color(room) : "var(--page)", stroke: conv ? line(room) : "var(--edge)" }),
          svg("text", { x, y: y + 4, "text-anchor": "middle", style: conv ? `fill:${inkOn(room)}` : null }, words));
      };
      const paint = refusal ? line("error") : "var(--edge)";
      parts.push(svg("text", { x: mid, y: 14, "text-anchor": "middle", "font-weight": 600 }, "x"),
        svg("path", { d: `M${mid} 20V${height - 6}`, stroke: "var(--edge)", "stroke-width": 1.6 }));
      if (shortcut) {
        const kind = shortcut.some((operation) => ["conv1", "conv3", "project"].includes([operation].flat()[0])) ? "projection" : "identity";
        parts.push(svg("path", { d: `M${mid} 26H${right}V${plus}H${mid + 14}`, fill: "none", stroke: refusal ? line("error") : line(kind), "stroke-width": 2.6, "stroke-dasharray": kind === "projection" ? "7 5" : null }));
        shortcut.forEach((operation, i) => box(right, top + 24 + rowHeight * i, operation, "layer3"));
      }
      branch.forEach((operation, i) => box(mid, top + 24 + rowHeight * i, operation, "layer2"));
      if (shortcut) {
        parts.push(svg("circle", { cx: mid, cy: plus, r: 12, fill: "var(--page)", stroke: paint, "stroke-width": 2 }),
          svg("text", { x: mid, y: plus + 5, "text-anchor": "middle", style: "font-size:17px" }, refusal ? "≠" : "+"));
      }
      after.forEach((operation, i) => box(mid, plus + 34 + rowHeight * i, operation, "layer2"));
      const words = (path) => (path.length ? path.map((operation) => PIECES[[operation].flat()[0]]).join(", ") : "nothing");
      set(this.picture, {
        viewBox: `0 0 ${width} ${height}`, width, height,
        "aria-label": `A block. On the branch: ${words(branch)}. ${shortcut === null ? "No shortcut." : `On the shortcut: ${shortcut.length ? words(shortcut) : "nothing, the identity"}.`} After: ${words(after)}.`,
      });
      this.picture.replaceChildren(...parts);
    }
  }

  function has(program, wanted, paths = ["branch", "shortcut", "after", "head"]) {
    return paths.some((path) => (program[path] ?? []).some((operation) => [operation].flat()[0] === wanted));
  }
  const percent = (value) => `${value < 9.95 ? value.toFixed(1) : Math.round(value)}\u00a0%`;
  const short = (path) => path.map((operation) => [operation].flat().join(" ")).join("·");
  const inWords = ({ branch, shortcut, after }) =>
    `${short(branch) || "x"}${shortcut === null ? "" : ` + ${short(shortcut) || "x"}`}${after.length ? ` → ${short(after)}` : ""}`;
  const pythonDict = (program) => JSON.stringify(program).replaceAll("null", "None").replaceAll(",", ", ").replaceAll(":", ": ");

  RE.define("block-workbench", BlockWorkbench);
})(globalThis);
