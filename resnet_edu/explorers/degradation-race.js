/**
 * <degradation-race depth="56" seed="0" shortcut="A">: two networks that differ in their shortcuts alone train in the
 * reader's browser, side by side, on the same digits in the same order (He et al. 2015, Figures 1 and 6).
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  const { h, svg, set, say, choice, select, stepper, whole, oneOf, line } = RE;

  const DEPTHS = [8, 20, 32, 44, 56, 110, 218];
  const EVERY_DEPTH = [8, 20, 32, 44, 56, 110];
  // The colors of the chapter's own figure.
  const NETS = {
    plain: { name: "plain", color: line("second"), dash: "7 4" },
    residual: { name: "residual", color: line("first"), dash: null },
  };
  const MARKS = { plain: "circle", residual: "square" };
  const PREDICTIONS = [["plain", "Plain"], ["residual", "Residual"], ["same", "No difference"]];
  const WIDTHS = { narrow: [4, 8, 16], wide: [8, 16, 32] };
  const BRANCH = ["conv3", "bn", "relu", "conv3", "bn"];

  const LOOK = `${RE.TRAINER_LOOK}
.panels { display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 1fr); }
.nets { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
.net { border: 1px solid var(--rule); border-inline-start: 4px solid var(--line); border-radius: 8px; padding: .55rem .8rem; min-width: 0; }
.net b { display: block; }
.net .error { font-size: 24px; line-height: 1.25; font-weight: 650; display: block; }
.net small { color: var(--muted); font-size: 13px; display: block; min-height: 2.9em; }
@container (max-width: 480px) { /* one below the other, with room for what a run says */
  .nets { grid-template-columns: minmax(0, 1fr); }
  .net { display: grid; grid-template-columns: 1fr auto; align-items: baseline; }
  .net small { grid-column: span 2; }
  .say { min-height: 6.2em; }
  .body > .note { min-height: 5.8em; }
}
@container (max-width: 340px) {
  .net small { min-height: 4.4em; }
  .say { min-height: 7.8em; }
  .body > .note { min-height: 7.3em; }
}
@container (min-width: 560px) {
  .panels { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .panels .curves { grid-column: span 2; }
}
`;

  const FIELDS = {
    depth: { is: whole(8, 218), value: 56 },
    seed: { is: whole(0, 9999), value: 0 },
    shortcut: { is: oneOf("A", "B"), value: "A" },
    widths: { is: oneOf("narrow", "wide"), value: "narrow" },
    epochs: { is: whole(1, 40), value: 8 },
    compact: { is: () => true, value: false }, // one chart, for a cover
  };

  class DegradationRace extends RE.Trainer {
    static look = LOOK;
    static fields = FIELDS;

    check({ depth }) {
      if ((depth - 2) % 6) throw new RE.SettingError(`depth must be 6n + 2, such as 20 or 56, got ${depth}.`);
    }

    build(card) {
      this.halt();
      Object.assign(this.state, { rate: "0.03", warmup: 0, norm: "on", gamma: "1", images: "all", prediction: null });
      this.runs = null;
      this.history = []; // curves of earlier runs with the same choices
      this.results = []; // {depth, seed, plain, residual}: what is drawn against depth
      this.speed = null;
      const again = (changes) => {
        this.stop();
        this.history = [];
        if (!("depth" in changes || "seed" in changes)) this.results = [];
        this.runs = null;
        this.update(changes);
      };
      const depths = [...new Set([...DEPTHS, this.state.depth])].sort((a, b) => a - b);
      this.controls = {
        depth: select("Layers", depths.map((d) => [d, String(d)]), (depth) => again({ depth: Number(depth) })),
        seed: stepper("Seed", { min: 0, max: 9999 }, (seed) => again({ seed })),
        shortcut: choice("Shortcut of the residual net", [["A", "Option A"], ["B", "Option B"]], (shortcut) => again({ shortcut })),
      };
      this.more = {
        widths: choice("Channels", [["narrow", "4, 8, 16"], ["wide", "8, 16, 32"]], (widths) => again({ widths })),
        norm: choice("Batch norm", [["on", "on"], ["off", "off"]], (norm) => again({ norm })),
        rate: choice("Learning rate", ["0.003", "0.01", "0.03", "0.1"].map((r) => [r, r]), (rate) => again({ rate })),
        warmup: stepper("Warm-up, epochs", { min: 0, max: 4 }, (warmup) => again({ warmup })),
        gamma: choice("Last γ of a branch starts at", [["1", "1"], ["0", "0"]], (gamma) => again({ gamma })),
        epochs: stepper("Epochs", { min: 1, max: 40 }, (epochs) => again({ epochs })),
        images: choice("Images", [["256", "256"], ["704", "704"], ["all", "all 1,415"]], (images) => again({ images })),
      };
      this.ask = choice("First predict: which ends with the lower error on its own training images?", PREDICTIONS,
        (prediction) => this.update({ prediction }));
      const button = (words, act, main) => h("button", { type: "button", class: main ? "button main" : "button", onclick: act }, words);
      this.buttons = {
        go: button("Start", () => this.press(), true),
        step: button("Half an epoch", () => this.step()),
        again: button("Another seed", () => {
          this.stop();
          this.update({ seed: this.state.seed + 1 });
          this.race([this.state]);
        }),
        ten: button("Ten seeds", () => this.race(Array.from({ length: 10 }, (_, i) => ({ ...this.state, seed: this.state.seed + i })))),
        depths: button("Every depth", () => this.race(EVERY_DEPTH.map((depth) => ({ ...this.state, depth })))),
      };
      const panel = (name, title) => {
        const picture = svg("svg", { role: "img", "aria-label": "Nothing has trained yet." });
        return { picture, node: h("div", { class: `panel ${name}` }, h("p", { class: "name" }, title), picture) };
      };
      this.curves = panel("curves", "Training error");
      this.profile = panel("profile", "Gradient in every convolution");
      this.against = panel("against", "Final training error against depth");
      this.nets = Object.fromEntries(Object.entries(NETS).map(([key, { name, color }]) => {
        const [error, detail] = [h("span", { class: "error" }), h("small", {})];
        return [key, { error, detail, node: h("div", { class: "net", style: `--line:${color}` }, h("b", {}, name), error, detail) }];
      }));
      this.message = h("p", { class: "say" });
      this.keeper = RE.keeper((words) => this.tell(words));
      this.note = h("p", { class: "note" });
      this.python = h("pre", { tabindex: 0 });
      this.table = h("div", {});
      const small = this.state.compact;
      set(this.buttons.depths, { hidden: small });
      card.append(...[
        !small && h("div", { class: "controls" }, Object.values(this.controls).map(({ node }) => node)),
        h("div", { class: "body" },
          this.ask.node,
          h("div", { class: "row" }, Object.values(this.buttons)),
          this.note,
          h("div", { class: "nets" }, Object.values(this.nets).map(({ node }) => node)),
          h("div", { class: "panels" }, this.curves.node, small ? null : [this.profile.node, this.against.node]),
          this.message),
        !small && this.keeper.node,
        !small && h("details", {}, h("summary", {}, "More choices"),
          h("div", {}, h("div", { class: "controls" }, Object.values(this.more).map(({ node }) => node)),
            h("p", { class: "note" }, "Both networks get every choice alike. Changing one starts over."))),
        !small && h("details", {}, h("summary", {}, "The numbers"), h("div", {}, this.table)),
        !small && h("details", {}, h("summary", {}, "As Python"), h("div", {}, this.python,
          h("p", { class: "row" }, RE.copyButton(() => this.python.textContent)))),
      ].filter(Boolean));
      this.watch();
    }

    arrive() {
      RE.engine().then(() => (this.ready = true), (error) => (this.failed = error.message)).finally(() => this.later());
    }

    /* ---- running ------------------------------------------------------------------------------- */

    settings(state, net) {
      const keep = (operations) => (state.norm === "on" ? operations : operations.filter((name) => name !== "bn"));
      const shortcut = net === "plain" ? null : [state.shortcut === "A" ? "match" : "project"];
      return {
        program: { branch: keep(BRANCH), shortcut, after: ["relu"], head: [] },
        depth: state.depth, seed: state.seed, widths: WIDTHS[state.widths], epochs: state.epochs, rate: Number(state.rate),
        warmup: state.warmup, zeroGamma: state.gamma === "0", images: state.images === "all" ? null : Number(state.images),
      };
    }

    press() {
      if (!this.runs || this.over) this.race([this.state]);
      else this.pause(!this.paused);
    }

    pause(paused) {
      if (!this.runs || this.over) return;
      this.paused = paused;
      for (const run of Object.values(this.runs)) run.handle?.order(paused ? "pause" : "go");
      this.later();
    }

    step() {
      if (!this.runs || this.over) this.race([this.state], true);
      else {
        this.paused = true;
        for (const run of Object.values(this.runs)) if (!run.end) run.handle.order("step", run.half ?? 11);
      }
      this.later();
    }

    stop() {
      this.queue = [];
      for (const run of Object.values(this.runs ?? {})) run.handle?.stop();
      this.over = true;
      this.paused = false;
    }

    halt() {
      this.stop();
      if (this.live) this.later?.();
    }

    /** Off the screen it waits; it goes on only if it was not paused by hand. */
    sleep(away) {
      if (!this.runs || this.over) return;
      if (away && !this.paused) {
        this.asleep = true;
        this.pause(true);
      } else if (!away && this.asleep) {
        this.asleep = false;
        this.pause(false);
      }
    }

    /** One race after the other: each two networks at a time. */
    async race(list, stepping = false) {
      await RE.engine();
      this.stop();
      this.claim();
      this.queue = [...list];
      this.races = list.length;
      this.began = performance.now();
      this.next(stepping);
    }

    next(stepping = false) {
      const state = this.queue.shift();
      if (this.runs && this.runs.plain.end) this.remember();
      this.over = false;
      this.paused = stepping;
      this.racing = { ...state };
      const before = this.runs;
      this.runs = {};
      for (const net of Object.keys(NETS)) {
        const run = { points: [], norms: before?.[net].norms ?? [], end: null, begun: performance.now() };
        this.runs[net] = run;
        const told = (message) => this.hear(run, message);
        run.handle = RE.net.start(this.settings(state, net), told);
        if (stepping) run.handle.order("step", 11);
      }
      this.later();
    }

    hear(run, message) {
      if (!Object.values(this.runs ?? {}).includes(run)) return; // of a run that was stopped
      if (message.type === "where") run.worker = message.worker;
      if (message.type === "ready") Object.assign(run, { total: message.total, half: Math.floor(message.perEpoch / 2), kernels: message.kernels });
      if (message.type === "norms") {
        run.first ??= message.norms;
        run.norms = message.norms;
      }
      if (message.type === "point") {
        run.points.push(message);
        run.norms = message.norms;
      }
      if (message.type === "end") run.end = message;
      if (message.type === "error") run.end = { outcome: "error", message: message.message };
      if (Object.values(this.runs).every(({ end }) => end)) this.finish();
      this.later();
    }

    finish() {
      const { plain, residual } = this.runs;
      const { depth, seed } = this.racing;
      if (!plain.end.message && !residual.end.message) {
        this.results = this.results.filter((row) => row.depth !== depth || row.seed !== seed);
        this.results.push({ depth, seed, plain: error(plain.end), residual: error(residual.end), seconds: [plain.end.seconds, residual.end.seconds] });
        const units = depth * (this.state.widths === "wide" ? 3.3 : 1) * this.state.epochs * this.imageCount();
        this.speed = (performance.now() - Math.min(plain.begun, residual.begun)) / units;
      }
      if (this.queue.length) return this.next();
      this.over = true;
      this.tell(this.account());
    }

    /** Curves of a finished run stay as faint lines. */
    remember() {
      const { depth } = this.racing;
      for (const net of Object.keys(NETS)) this.history.push({ net, depth, points: this.runs[net].points });
      if (this.history.length > 40) this.history.splice(0, this.history.length - 40);
    }

    imageCount() {
      return this.state.images === "all" ? 1408 : Number(this.state.images);
    }

    estimate(state = this.state, races = 1) {
      if (!this.speed) return null;
      return (this.speed * state.depth * (state.widths === "wide" ? 3.3 : 1) * state.epochs * this.imageCount() * races) / 1000;
    }

    /* ---- showing ------------------------------------------------------------------------------- */

    render() {
      const { state } = this;
      for (const [name, control] of Object.entries({ ...this.controls, ...this.more })) control.set(state[name]);
      this.ask.set(state.prediction);
      const running = this.runs && !this.over;
      const free = this.ready && state.prediction;
      say(this.buttons.go, !running ? "Start" : this.paused ? "Go on" : "Pause");
      this.buttons.go.disabled = !free;
      this.buttons.step.disabled = !free || this.races > 1 && running;
      this.buttons.again.disabled = !free || !this.runs;
      for (const name of ["ten", "depths"]) this.buttons[name].disabled = !free || running;
      const slow = this.runs && Object.values(this.runs).some(({ kernels }) => kernels?.startsWith("JavaScript"));
      const single = this.runs && Object.values(this.runs).some(({ worker }) => worker === false);
      const seconds = this.estimate();
      say(this.note, this.failed ? `The engine did not load: ${this.failed}. Reload the page to try again.`
        : !this.ready ? "The engine comes as you come near: 60 kilobytes."
          : !state.prediction ? "Choose what you expect, then start."
            : [
              `Two networks of ${state.depth} layers, the same ${this.imageCount().toLocaleString("en")} digits in the same order, ${state.epochs} ${state.epochs === 1 ? "epoch" : "epochs"}, in this browser. Nothing is sent.`,
              seconds && !running ? `About ${amount(seconds)} here; ten seeds ${amount(10 * seconds)}.` : "",
              slow ? "WebAssembly's SIMD is missing here, so it takes about seven times as long." : "",
              single ? "This page may not start workers, so it trains between two frames." : "",
            ].filter(Boolean).join(" "));
      for (const net of Object.keys(NETS)) this.showNet(net);
      this.drawCurves();
      this.drawProfile();
      this.drawAgainst();
      say(this.message, this.account());
      this.keeper.set(!this.over || !this.runs ? [] : Object.entries(this.runs).filter(([, { end }]) => end?.network && end.outcome !== "diverged").map(([net, { end }]) => {
        const words = `${NETS[net].name} network of ${this.racing.depth} layers, seed ${this.racing.seed}`;
        return [`the ${NETS[net].name} network`, end.network, { words, test: 100 - end.testError }];
      }));
      say(this.python, this.asPython());
      this.showTable();
    }

    showNet(net) {
      const { error: big, detail } = this.nets[net];
      const run = this.runs?.[net];
      const last = run?.points[run.points.length - 1];
      if (!run) {
        say(big, "–");
        say(detail, "not trained yet");
      } else if (run.end) {
        const { outcome, message, testError, trainLoss, seconds } = run.end;
        say(big, message ? "stopped" : outcome === "diverged" ? "not a number" : percent(error(run.end)));
        say(detail, message ?? `of all training images; ${percent(testError)} of unseen writers’ digits; loss ${figure(trainLoss)}; ${seconds.toFixed(1)}\u00a0s`);
      } else if (!last) {
        say(big, "…");
        say(detail, "starting");
      } else {
        const speed = last.images / last.seconds;
        const left = ((run.total - last.step) * (last.seconds / last.step));
        say(big, percent(last.error));
        say(detail, `loss ${figure(last.loss)}; ${Math.round(speed).toLocaleString("en")} images per second; ${this.paused ? "paused" : `${amount(left)} left`}`);
      }
    }

    drawCurves() {
      const width = this.curves.node.clientWidth;
      if (width < RE.NARROWEST) return;
      const height = width > 480 ? 280 : 240;
      const { epochs, depth } = this.state;
      const series = this.history.filter((run) => run.depth === (this.racing?.depth ?? depth))
        .map(({ net, points }) => ({ ...NETS[net], points: curve(points), faint: true }));
      for (const net of Object.keys(NETS)) {
        const points = curve(this.runs?.[net].points ?? []);
        if (points.length) series.push({ ...NETS[net], points, label: NETS[net].name });
      }
      const words = Object.keys(NETS).map((net) => {
        const last = this.runs?.[net].points.slice(-1)[0];
        return last ? `${net} at ${percent(last.error)} after ${last.epoch.toFixed(1)} epochs` : `${net} not started`;
      }).join(", ");
      RE.chart(this.curves.picture, width, height, {
        x: { min: 0, max: epochs, ticks: RE.ticks(0, epochs, Math.min(8, epochs)).map((t) => [t, String(t)]), title: "epochs" },
        y: { min: 0, max: 100, ticks: [0, 25, 50, 75, 100].map((t) => [t, `${t} %`]), title: "error on the training images, as they come" },
        series, words: `Training error against epochs: ${words}.`,
      });
    }

    drawProfile() {
      const width = this.profile.node.clientWidth;
      if (width < RE.NARROWEST) return;
      const norms = Object.keys(NETS).map((net) => this.runs?.[net].norms ?? []);
      const first = Object.keys(NETS).map((net) => this.runs?.[net].first ?? []);
      const all = [...norms, ...first].flat().filter((v) => Number.isFinite(v) && v > 0);
      const low = Math.floor(Math.log10(Math.min(...all, 0.1)));
      const high = Math.max(Math.ceil(Math.log10(Math.max(...all, 1))), low + 2);
      const every = Math.ceil((high - low) / 5);
      const powers = Array.from({ length: Math.floor((high - low) / every) + 1 }, (_, i) => low + i * every);
      const count = Math.max(...norms.map((list) => list.length), this.state.depth - 1);
      RE.chart(this.profile.picture, width, 200, {
        x: { min: 0, max: count - 1, ticks: [[0, "first"], [count - 1, "last"]], title: "" },
        y: { min: 10 ** low, max: 10 ** high, log: true, ticks: powers.map((p) => [10 ** p, `10${raised(p)}`]), title: "its norm now; thin: in the first step" },
        series: [true, false].flatMap((faint) => Object.keys(NETS).map((net, i) => ({
          ...NETS[net], faint, points: (faint ? first : norms)[i].map((v, n) => [n, v]),
        }))),
        words: norms.every((list) => list.length) && first.every((list) => list.length)
          ? `Gradient norm from the first convolution to the last: ${Object.keys(NETS).map((net, i) => `${net} from ${figure(norms[i][0])} to ${figure(norms[i][norms[i].length - 1])}, in the first step from ${figure(first[i][0])} to ${figure(first[i][first[i].length - 1])}`).join("; ")}.`
          : "The size of the gradient in each convolution; empty before training.",
      });
    }

    drawAgainst() {
      const width = this.against.node.clientWidth;
      if (width < RE.NARROWEST) return;
      const depths = [...new Set([...EVERY_DEPTH, this.state.depth, ...this.results.map((row) => row.depth)])].sort((a, b) => a - b);
      const at = (depth) => depths.indexOf(depth);
      const series = [];
      for (const net of Object.keys(NETS)) {
        const medians = depths.map((depth) => [at(depth), median(this.results.filter((row) => row.depth === depth).map((row) => row[net]))])
          .filter(([, value]) => value !== null);
        if (medians.length > 1) series.push({ ...NETS[net], points: medians });
        series.push({ ...NETS[net], points: this.results.map((row) => [at(row.depth), row[net]]), mark: MARKS[net] });
      }
      RE.chart(this.against.picture, width, 200, {
        x: { min: -0.4, max: depths.length - 0.6, ticks: depths.map((d, i) => [i, String(d)]), title: "layers" },
        y: { min: 0, max: 100, ticks: [0, 50, 100].map((t) => [t, `${t} %`]), title: "marks: seeds; line: their medians" },
        series,
        words: this.results.length ? `Final training error against depth. ${this.summary()}` : "Final training error against depth; empty before training.",
      });
    }

    /** Median of each net at each depth, in words. */
    summary() {
      const depths = [...new Set(this.results.map((row) => row.depth))].sort((a, b) => a - b);
      return depths.map((depth) => {
        const rows = this.results.filter((row) => row.depth === depth);
        const both = Object.keys(NETS).map((net) => `${net} ${percent(median(rows.map((row) => row[net])))}`).join(", ");
        return `${depth} layers${rows.length > 1 ? `, median of ${rows.length} seeds` : ""}: ${both}.`;
      }).join(" ");
    }

    account() {
      if (!this.runs) return "";
      if (!this.over) {
        const left = this.queue.length;
        return this.races > 1 ? `Race ${this.races - left} of ${this.races}: ${this.racing.depth} layers, seed ${this.racing.seed}.` : "";
      }
      const { plain, residual } = this.runs;
      if (!plain.end || !residual.end) return "Stopped.";
      const cures = [["plain", plain.end], ["residual", residual.end]].map(([net, end]) => cure(net, end)).filter(Boolean);
      const [a, b] = [error(plain.end), error(residual.end)];
      const lower = Math.abs(a - b) < 1 ? "same" : a < b ? "plain" : "residual";
      const words = { plain: "the plain network", residual: "the residual network", same: "no difference" };
      const first = this.races > 1 ? this.summary()
        : `${this.racing.depth} layers, seed ${this.racing.seed}: plain ${percent(a)}, residual ${percent(b)} of the training images wrong.`;
      const seeds = this.results.filter((row) => row.depth === this.racing.depth);
      const better = seeds.filter((row) => row.residual < row.plain - 1).length;
      return [
        first,
        `You predicted ${words[this.state.prediction]}${this.races > 1 ? "" : lower === this.state.prediction ? ", and so it is" : `; here it was ${words[lower]}`}.`,
        seeds.length > 1 ? `At ${this.racing.depth} layers the residual network was better in ${better} of ${seeds.length} seeds.` : "",
        ...cures,
      ].filter(Boolean).join(" ");
    }

    showTable() {
      const key = JSON.stringify(this.results);
      if (key === this.shown) return;
      this.shown = key;
      const cell = (tag, text) => h(tag, tag === "th" ? { scope: "col" } : {}, text);
      const rows = [...this.results].sort((a, b) => a.depth - b.depth || a.seed - b.seed);
      this.table.replaceChildren(rows.length
        ? h("table", {}, h("thead", {}, h("tr", {}, ["layers", "seed", "plain", "residual", "seconds"].map((t) => cell("th", t)))),
          h("tbody", {}, rows.map((row) => h("tr", {}, [row.depth, row.seed, percent(row.plain), percent(row.residual), row.seconds.map((s) => s.toFixed(1)).join(" and ")].map((t) => cell("td", String(t)))))))
        : h("p", { class: "note" }, "Every race that you run adds a row: training error in eval mode over all its training images."));
    }

    /** The same choices as lines of resnet_edu.training, where it has them. */
    asPython() {
      const { depth, seed, widths, epochs, rate, warmup, norm, gamma, images, shortcut } = this.state;
      const missing = [[shortcut === "B", "option B"], [norm === "off", "no batch norm"], [gamma === "0", "γ = 0"], [images !== "all", "fewer images"]]
        .filter(([is]) => is).map(([, words]) => words);
      if (missing.length) return `# TrainConfig has no choice for: ${missing.join(", ")}.`;
      const more = warmup ? `, warmup=${warmup}` : "";
      return [
        "from resnet_edu.training import TrainConfig, train",
        "",
        `for model in ("cifar_plain${depth}", "cifar${depth}"):`,
        `    config = TrainConfig(model=model, widths=(${WIDTHS[widths].join(", ")}), epochs=${epochs}, batch=64, lr=${rate}, seed=${seed}${more})`,
        "    run = train(config, progress=False)",
        '    print(model, f"{run.history[-1][\'train_error\']:.1f} %")',
      ].join("\n");
    }
  }

  /** A diverged run got everything wrong that it could not tell. */
  const error = (end) => (end.outcome === "diverged" ? 90 : end.trainError ?? NaN);
  const percent = (value) => (Number.isFinite(value) ? `${value < 9.95 ? value.toFixed(1) : Math.round(value)}\u00a0%` : "–");
  const figure = (value) => (Number.isFinite(value) ? Number(value).toPrecision(2).replace(/e([+-])0?/, "e$1") : "not a number");
  const amount = (seconds) => (seconds < 10 ? `${Math.max(seconds, 0.1).toFixed(1)}\u00a0s` : seconds < 90 ? `${Math.round(seconds)}\u00a0s` : `${Math.round(seconds / 60)}\u00a0min`);
  const raised = (power) => String(power).replace(/./g, (sign) => ({ "-": "⁻" })[sign] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]);
  const curve = (points) => points.map(({ epoch, error: e }) => [epoch, e]);
  function median(values) {
    if (!values.length) return null;
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
  function cure(net, { outcome, message }) {
    if (message) return `The ${net} network stopped: ${message}.`;
    if (outcome === "diverged") return `The ${net} network’s loss stopped being a number. Take a lower rate, or turn batch norm on.`;
    if (outcome === "dead") return `The ${net} network is close to guessing: among ten digits that is 90 % wrong. Take a lower rate, some warm-up or fewer layers.`;
    return "";
  }

  RE.define("degradation-race", DegradationRace);
})(globalThis);
