/**
 * <live-resnet>: draw a digit and walk with it through every room of a trained network of 14 layers. Every block shows
 * what its shortcut carries, what its branch adds, and their sum; each can be switched, and the answer changes at once.
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  const { h, svg, set, say, choice, select, whole, COLORS } = RE;

  const PAD = 220;
  const ROWS = [["identity", "identity"], ["residual", "branch"], ["output", "sum"]];
  const FACTORS = [["0", "off"], ["0.5", "½"], ["1", "1"], ["2", "2"]];

  const LOOK = `${RE.TRAINER_LOOK}
.top { display: grid; gap: 1rem 1.5rem; grid-template-columns: ${PAD}px minmax(0, 1fr); }
.pad { position: relative; width: ${PAD}px; }
.pad svg { display: block; width: ${PAD}px; height: ${PAD}px; border: 1.5px solid var(--edge); border-radius: 8px; touch-action: none; cursor: crosshair; background: var(--page); }
.pad p { font-size: 13px; color: var(--muted); margin: .4rem 0 0; }
.ways { display: flex; flex-wrap: wrap; gap: .75rem; }
.ways figure { margin: 0; }
.ways figcaption, .block figcaption { font-size: 12.5px; color: var(--muted); }
.ways svg, .ways canvas { display: block; width: 76px; height: 76px; border: 1px solid var(--rule); border-radius: 6px; }
canvas { image-rendering: pixelated; }
.bars { display: grid; grid-template-columns: 1rem minmax(0, 1fr) 3.8rem; gap: 1px .6rem; align-items: center; font-size: 13.5px; }
.bars i { display: block; height: 12px; border-radius: 3px; background: var(--edge); min-width: 1px; }
.bars .first i { background: var(--re-head-line, ${COLORS.head[2]}); }
.bars > div { display: contents; }
.bars span:last-child { text-align: end; color: var(--muted); white-space: nowrap; }
.answer { font-size: 1.05em; margin: 0 0 .5rem; min-height: 1.5em; }
.blocks { display: grid; gap: .9rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)); }
.block { border: 1px solid var(--rule); border-top: 4px solid var(--line); border-radius: 8px; padding: .6rem .8rem .8rem; min-width: 0; }
.block .name { margin: 0 0 .4rem; font-size: 14px; font-weight: 650; }
.block figure { margin: 0 0 .35rem; display: grid; grid-template-columns: 4.6rem minmax(0, 1fr); gap: .6rem; align-items: center; }
.block figure canvas { width: 100%; height: auto; border: 1px solid var(--rule); border-radius: 4px; }
.block .row { gap: .5rem .8rem; margin-top: .5rem; }
.block .segments span { padding: 0 .4rem; }
.block .result { font-size: 13.5px; margin: .5rem 0 0; min-height: 1.5em; }
.result.changed { font-weight: 650; }
.own[hidden] { display: none; }
.files { position: relative; overflow: hidden; }
.files input { position: absolute; inset: -1px; opacity: 0; cursor: pointer; font-size: 0; width: calc(100% + 2px); }
.files:focus-within { outline: 3px solid var(--accent); outline-offset: 2px; }
.all { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; align-items: end; }
@container (max-width: 560px) { .top { grid-template-columns: minmax(0, 1fr); } .pad { margin-inline: auto; } }
`;

  class LiveResnet extends RE.Trainer {
    static look = LOOK;
    static fields = { digit: { is: whole(0, 381), value: 0 } };

    build(card) {
      Object.assign(this.state, { network: "residual", layer: "layer1", noise: 0, swap: false, branch: {}, shortcut: {}, zero: {} });
      this.strokes = [];
      this.counts = null;
      this.source = "digit";
      this.pen = { x: PAD / 2, y: PAD / 2, down: false };
      const button = (words, act) => h("button", { type: "button", class: "button", onclick: act }, words);
      this.paper = svg("svg", {
        viewBox: `0 0 ${PAD} ${PAD}`, tabindex: 0, role: "application",
        "aria-label": "Paper to draw a digit on. With the keyboard: arrow keys move the pen, space puts it down and lifts it, Backspace clears.",
        onpointerdown: (event) => this.press(event), onpointermove: (event) => this.move(event),
        onpointerup: () => this.lift(), onpointercancel: () => this.lift(), onkeydown: (event) => this.key(event),
      });
      this.ways = ["upright", "scaled", "313 pixels", "counted"].map((words, i) => {
        const picture = i < 2 ? svg("svg", { viewBox: "0 0 32 32", "aria-hidden": "true" }) : h("canvas", { width: i === 2 ? 32 : 8, height: i === 2 ? 32 : 8, "aria-hidden": "true" });
        return { picture, node: h("figure", {}, picture, h("figcaption", {}, words)) };
      });
      this.cover = h("canvas", { width: 8, height: 8, "aria-hidden": "true" });
      this.bars = Array.from({ length: 10 }, (_, digit) => {
        const [bar, share] = [h("i", {}), h("span", {})];
        return { bar, share, node: h("div", {}, h("span", {}, String(digit)), bar, share) };
      });
      this.answer = h("p", { class: "answer" });
      this.note = h("p", { class: "note" });
      this.grid = h("div", { class: "blocks" });
      const file = h("input", { type: "file", accept: ".json,application/json", onchange: async () => {
        const [chosen] = file.files;
        file.value = "";
        if (chosen) this.openOwn(await chosen.text());
      } });
      this.ownWords = h("p", { class: "note" });
      this.forgetting = button("Forget it", () => {
        RE.kept.forget();
        this.dropOwn("Forgotten. This browser keeps no network.");
      });
      this.own = h("div", { class: "row own" }, this.ownWords, h("label", { class: "button files" }, "Open a file", file), this.forgetting);
      this.controls = {
        network: choice("Network", [["residual", "Residual"], ["plain", "Plain twin"], ["own", "Your own"]], (network) => this.switchTo(network)),
        layer: choice("Blocks of", ["layer1", "layer2", "layer3"].map((name) => [name, name]), (layer) => this.update({ layer })),
        noise: choice("Noise on the image", [["0", "none"], ["0.5", "½"], ["1", "1"]], (noise) => this.update({ noise: Number(noise) })),
        swap: choice("Blocks of layer1", [["no", "in order"], ["yes", "swapped"]], (swap) => this.update({ swap: swap === "yes" })),
      };
      card.append(
        h("div", { class: "controls" },
          button("Next test digit", () => this.take((this.state.digit + 1) % 382)),
          button("Blank", () => this.plain(() => 0)),
          button("Noise", () => {
            const draw = RE.net.random(Math.floor(performance.now()));
            this.plain(() => Math.floor(17 * draw.uniform()));
          }),
          button("Clear", () => this.clear())),
        h("div", { class: "body" },
          h("div", { class: "top" },
            h("div", { class: "pad" }, this.paper, h("p", {}, "Draw a digit. Keys: arrows move, space draws.")),
            h("div", {}, this.answer, h("div", { class: "bars" }, this.bars.map(({ node }) => node)))),
          h("div", { class: "ways" }, this.ways.map(({ node }) => node),
            h("figure", {}, this.cover, h("figcaption", {}, "what matters"))),
          this.note, this.own,
          h("div", { class: "all" }, Object.values(this.controls).map(({ node }) => node), button("Undo all changes", () => this.undo())),
          this.grid));
      this.watch();
    }

    arrive() {
      this.opening ??= RE.engine(["drawing", "weights", "inside"]).then(async (net) => {
        // In pieces, with time for a frame between them: a slow phone still scrolls.
        this.data = net.digits();
        await pause();
        const residual = await net.Inside.open("residual", this.data);
        do await pause(); while (!residual.advance(net.INTACT));
        this.insides = { residual };
        this.buildBlocks();
        await pause();
        if (!this.counts) this.take(this.state.digit);
      }).catch((error) => (this.failed = error.message)).finally(() => this.later());
    }

    get inside() {
      return this.insides?.[this.state.network];
    }

    async switchTo(network) {
      if (!this.insides) return;
      if (network === "plain" && !this.insides.plain) {
        await RE.engine(["weights-plain"]);
        this.insides.plain = await RE.net.Inside.open("plain", this.data);
      }
      if (network === "own" && !this.insides.own) {
        const found = RE.kept.read();
        if (!found) {
          this.dropOwn("None is kept here. Let one train in chapter 1 or on the bench, press Keep, and come back; or open its file.");
          return;
        }
        if (!(await this.takeOwn(found, "Kept in this browser only: "))) return;
      }
      this.show(network);
    }

    /** From now on the rooms are those of this network, untouched. */
    show(network) {
      this.state.network = network;
      this.buildBlocks();
      this.undo();
    }

    /** A network that was trained elsewhere; true if it could be opened. */
    async takeOwn(found, where) {
      try {
        this.insides.own = await RE.net.Inside.packed(found, this.data);
      } catch (error) {
        this.dropOwn(`This network cannot be opened: ${error.message}.`);
        return false;
      }
      this.ownFound = found;
      this.ownSaid = `${where}${found.words}.`;
      return true;
    }

    async openOwn(text) {
      try {
        if (await this.takeOwn(RE.readNetwork(text), "From a file: ")) this.show("own");
      } catch (error) {
        this.dropOwn(error.message);
      }
    }

    dropOwn(words) {
      delete this.insides.own;
      this.ownFound = null;
      this.ownSaid = words;
      this.tell(words);
      this.asked = true;
      if (this.state.network === "own") this.show("residual");
      else this.later();
    }

    undo() {
      this.update({ branch: {}, shortcut: {}, zero: {}, swap: false, noise: 0 });
    }

    /* ---- the image ----------------------------------------------------------------------------- */

    point(event) {
      const box = this.paper.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * PAD, ((event.clientY - box.top) / box.height) * PAD];
    }

    press(event) {
      event.preventDefault();
      this.paper.focus();
      this.paper.setPointerCapture(event.pointerId);
      if (this.source !== "drawn") this.strokes = [];
      this.strokes.push([this.point(event)]);
      this.drawing = true;
      this.drawn();
    }

    move(event) {
      if (!this.drawing) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.strokes[this.strokes.length - 1].push(this.point(each));
      this.drawn();
    }

    lift() {
      this.drawing = false;
    }

    key(event) {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const { pen } = this;
      if (step) {
        pen.x = RE.clamp(pen.x + step[0] * 12, 4, PAD - 4);
        pen.y = RE.clamp(pen.y + step[1] * 12, 4, PAD - 4);
        if (pen.down) {
          this.strokes[this.strokes.length - 1].push([pen.x, pen.y]);
          this.drawn();
        } else this.later();
      } else if (event.key === " ") {
        pen.down = !pen.down;
        if (pen.down) {
          if (this.source !== "drawn") this.strokes = [];
          this.strokes.push([[pen.x, pen.y]]);
          this.drawn();
        } else this.later();
        this.tell(pen.down ? "pen down" : "pen up");
      } else if (event.key === "Backspace" || event.key === "Delete") this.clear();
      else return;
      event.preventDefault();
    }

    drawn() {
      this.source = "drawn";
      this.prepared = RE.net?.prepareDrawing?.(this.strokes) ?? null;
      this.counts = this.prepared?.counts ?? null;
      this.later();
    }

    take(digit) {
      this.source = "digit";
      this.strokes = [];
      this.prepared = null;
      const { images } = this.data.test;
      this.counts = Array.from(images.subarray(64 * digit, 64 * digit + 64), (value) => Math.round((value * this.data.deviation + this.data.mean) * 16));
      this.update({ digit });
    }

    plain(value) {
      if (!this.insides) return;
      this.source = "made";
      this.strokes = [];
      this.prepared = null;
      this.counts = Array.from({ length: 64 }, value);
      this.later();
    }

    clear() {
      this.strokes = [];
      this.pen.down = false;
      this.plain(() => 0);
    }

    /* ---- the rooms ------------------------------------------------------------------------------- */

    buildBlocks() {
      const { inside } = this;
      this.rooms = inside.blocks.map((name) => {
        const { channels } = inside.one.blocks.find((block) => block.name === name).output;
        const rows = ROWS.map(([key, words]) => {
          const [canvas, caption] = [h("canvas", { "aria-hidden": "true" }), h("figcaption", {})];
          return { key, words, canvas, caption, node: h("figure", {}, caption, canvas) };
        });
        const edit = (kind, value, normal) => {
          const changed = { ...this.state[kind] };
          if (value === normal) delete changed[name];
          else changed[name] = value;
          this.update({ [kind]: changed });
        };
        const branch = choice("Branch ×", FACTORS, (factor) => edit("branch", Number(factor), 1));
        const shortcut = choice("Shortcut", [["1", "on"], ["0", "cut"]], (factor) => edit("shortcut", Number(factor), 1));
        const out = choice("Block", [["1", "in"], ["0", "taken out"]], (factor) => edit("branch", Number(factor), 1));
        const zero = select("Channel set to 0", [["none", "none"], ...Array.from({ length: channels }, (_, c) => [String(c), String(c)])],
          (value) => edit("zero", value === "none" ? null : Number(value), null));
        const result = h("p", { class: "result" });
        const layer = name.split(".")[0];
        const node = h("section", { class: "block", style: `--line:${RE.line(layer)}`, "aria-label": name },
          h("p", { class: "name" }, name), rows.map((row) => row.node), h("div", { class: "row" }, branch.node, shortcut.node, out.node, zero.node), result);
        return { name, rows, branch, shortcut, out, zero, result, node };
      });
      this.grid.replaceChildren(...this.rooms.map(({ node }) => node));
    }

    changes() {
      const { branch, shortcut, zero, swap, noise } = this.state;
      return { branch, shortcut, zero, swap, noise };
    }

    render() {
      const { state } = this;
      this.controls.network.set(state.network);
      this.controls.layer.set(state.layer);
      say(this.ownWords, this.ownSaid ?? "");
      set(this.own, { hidden: !this.asked && state.network !== "own" });
      set(this.forgetting, { hidden: !this.ownFound });
      this.controls.noise.set(String(state.noise));
      this.controls.swap.set(state.swap ? "yes" : "no");
      this.showPaper();
      if (!this.inside) {
        say(this.note, this.failed ? `The engine did not load: ${this.failed}. Reload the page to try again.` : "The network comes as you come near: 110 kilobytes, once.");
        return;
      }
      this.colors = this.readColors();
      this.showWays();
      const { plain } = this.inside;
      // The rooms of a deep network are many: one layer at a time.
      const many = this.rooms.length > 12;
      set(this.controls.layer.node, { hidden: !many });
      set(this.controls.swap.node, { hidden: !this.inside.blocks.includes("layer1.1") });
      const changes = this.changes();
      const intact = this.inside.accuracy(RE.net.INTACT);
      const now = this.inside.accuracy(changes);
      const changed = JSON.stringify(changes) !== JSON.stringify(RE.net.INTACT);
      const who = { residual: "network", plain: "plain twin", own: "network of your own" }[state.network];
      const trained = RE.net.TRAINED[state.network];
      say(this.note, changed
        ? `With these changes the ${who} reads ${now.toFixed(1)} % of the 382 test digits; untouched, ${intact.toFixed(1)} %.`
        : trained
          ? `The ${who} reads ${trained.test.toFixed(1)} % of the 382 test digits, by writers it never saw, and ${trained.drawn.toFixed(1)} % of simulated drawings. It stays in this page; nothing is sent.`
          : `The ${who} reads ${intact.toFixed(1)} % of the 382 test digits, by writers it never saw. It learned from digits as they are; the shipped one also from turned, bent and thickened copies, so it reads drawings better. Nothing is sent.`);
      if (!this.counts) return;
      const seen = this.inside.look(this.counts, changes);
      const order = [...seen.shares.keys()].sort((a, b) => seen.shares[b] - seen.shares[a]);
      seen.shares.forEach((share, digit) => {
        const { bar, share: words, node } = this.bars[digit];
        bar.style.width = `${100 * share}%`;
        say(words, `${(100 * share).toFixed(share > 0.995 || share < 0.0995 ? 1 : 0)} %`);
        set(node, { class: digit === order[0] ? "first" : null });
      });
      const truth = this.source === "digit" ? ` It is a ${this.data.test.labels[state.digit]}, test digit ${state.digit}.` : "";
      const words = `The network says ${order[0]}; its second guess is ${order[1]}.${truth}`;
      say(this.answer, words);
      this.tell(`${words} ${this.note.textContent}`);
      this.paint(this.cover, this.inside.occlusion(this.counts, order[0], changes), 8, 8, (value) => -value);
      this.missing = [];
      this.rooms.forEach((room, i) => {
        const hidden = many && !room.name.startsWith(`${state.layer}.`);
        set(room.node, { hidden });
        if (!hidden) this.showRoom(room, seen.maps[i], plain, changes, intact);
      });
      this.measure();
    }

    /** What is not known yet is measured batch by batch, with time for a frame in between. */
    measure() {
      clearTimeout(this.measuring);
      if (!this.missing.length) return;
      const { inside } = this;
      const [{ changes, tell }] = this.missing;
      this.measuring = setTimeout(() => {
        if (inside.advance(changes)) {
          tell();
          this.missing.shift();
        }
        this.measure();
      });
    }

    showRoom({ name, rows, branch, shortcut, out, zero, result }, map, plain, changes, intact) {
      branch.set(String(changes.branch[name] ?? 1));
      shortcut.set(String(changes.shortcut[name] ?? 1));
      out.set(String(changes.branch[name] ?? 1));
      zero.set(String(changes.zero[name] ?? "none"));
      set(branch.node, { hidden: plain });
      set(shortcut.node, { hidden: plain });
      set(out.node, { hidden: !plain || !this.inside.fits(name) });
      for (const row of rows) {
        const part = row.key === "identity" && plain ? map.identity : map[row.key];
        set(row.node, { hidden: !part || (plain && row.key === "residual") });
        if (!part) continue;
        const norm = Math.hypot(...part.values);
        row.caption.replaceChildren(h("b", {}, plain ? (row.key === "identity" ? "in" : "out") : row.words), h("br", {}), `norm ${norm.toFixed(1)}`);
        this.drawMap(row.canvas, part, Math.max(...["identity", "residual", "output"].filter((key) => map[key]).map((key) => map[key].values.reduce((a, v) => Math.max(a, Math.abs(v)), 0))));
      }
      const mine = { ...RE.net.INTACT, branch: pick(changes.branch, name), shortcut: pick(changes.shortcut, name), zero: pick(changes.zero, name) };
      const changed = name in changes.branch || name in changes.shortcut || name in changes.zero;
      set(result, { class: changed ? "result changed" : "result" });
      if (!changed) {
        const off = { ...RE.net.INTACT, branch: { [name]: 0 } };
        const { inside } = this;
        const tell = () => say(result, `${plain ? "Taken out" : "Branch off"}, alone: ${inside.accuracy(off).toFixed(1)} % of the test digits.`);
        if (plain && !inside.fits(name)) say(result, "It changes the shape, so nothing fits in its place.");
        else if (inside.knows(off)) tell();
        else {
          say(result, "…");
          this.missing.push({ changes: off, tell });
        }
      } else {
        say(result, `This change alone: ${this.inside.accuracy(mine).toFixed(1)} % of the test digits; untouched ${intact.toFixed(1)} %.`);
      }
    }

    /** Channels side by side in rows, one pixel between them: small maps are shown larger. */
    drawMap(canvas, { channels, side, values }, largest) {
      const columns = side > 2 ? Math.min(channels, 8) : 16;
      const [wide, high] = [columns, Math.ceil(channels / columns)].map((count) => count * (side + 1) - 1);
      if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
      const context = canvas.getContext("2d");
      const image = context.createImageData(wide, high);
      values.forEach((value, i) => {
        const c = Math.floor(i / (side * side));
        const p = i % (side * side);
        const row = Math.floor(c / columns) * (side + 1) + Math.floor(p / side);
        this.ink(image.data, 4 * (row * wide + (c % columns) * (side + 1) + (p % side)), value / (largest || 1));
      });
      context.putImageData(image, 0, 0);
    }

    paint(canvas, values, width, height, of = (value) => value) {
      const context = canvas.getContext("2d");
      const image = context.createImageData(width, height);
      const largest = Math.max(...values.map((value) => Math.abs(value)), 0.02);
      values.forEach((value, i) => this.ink(image.data, 4 * i, of(value) / largest));
      context.putImageData(image, 0, 0);
    }

    /** Positive numbers in one color, negative in another, stronger where they are larger. */
    ink(data, at, share) {
      const color = share >= 0 ? this.colors.positive : this.colors.negative;
      for (let i = 0; i < 3; i++) data[at + i] = color[i];
      data[at + 3] = Math.round(255 * Math.min(1, Math.abs(share)) ** 0.7);
    }

    readColors() {
      const style = getComputedStyle(this);
      const read = (name) => {
        const text = style.getPropertyValue(`--re-${name}-line`).trim() || COLORS[name][2];
        return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
      };
      return { positive: read("identity"), negative: read("error") };
    }

    showPaper() {
      const line = (points) => svg("polyline", { points: points.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" "), fill: "none", stroke: "var(--ink)", "stroke-width": 12, "stroke-linecap": "round", "stroke-linejoin": "round" });
      const parts = this.strokes.map((points) => line(points.length > 1 ? points : [points[0], [points[0][0] + 0.1, points[0][1]]]));
      if (this.source === "digit" && this.counts) {
        const cell = PAD / 8;
        this.counts.forEach((count, i) => count && parts.push(svg("rect", { x: (i % 8) * cell, y: Math.floor(i / 8) * cell, width: cell, height: cell, fill: "var(--ink)", "fill-opacity": count / 16 })));
      }
      if (this.shadowRoot.activeElement === this.paper) {
        parts.push(svg("circle", { cx: this.pen.x, cy: this.pen.y, r: 6, fill: this.pen.down ? "var(--accent)" : "none", stroke: "var(--accent)", "stroke-width": 2 }));
      }
      this.paper.replaceChildren(...parts);
    }

    showWays() {
      const { prepared } = this;
      const box = (lines) => {
        const points = lines.flat();
        const [low, high] = [Math.min, Math.max].map((pickOne) => [0, 1].map((axis) => points.reduce((best, p) => pickOne(best, p[axis]), points[0][axis])));
        const size = Math.max(high[0] - low[0], high[1] - low[1], 1) * 1.25;
        return `${(low[0] + high[0] - size) / 2} ${(low[1] + high[1] - size) / 2} ${size} ${size}`;
      };
      this.ways.slice(0, 3).forEach(({ node }) => set(node, { hidden: !prepared }));
      if (prepared) {
        [prepared.upright, prepared.scaled].forEach((lines, i) => {
          const view = i === 0 ? box(lines) : "0 0 32 32";
          const width = i === 0 ? Number(view.split(" ")[2]) / 18 : 1.6;
          set(this.ways[i].picture, { viewBox: view });
          this.ways[i].picture.replaceChildren(...lines.map((points) => svg("polyline", { points: points.map((p) => p.join(",")).join(" "), fill: "none", stroke: "var(--ink)", "stroke-width": width, "stroke-linecap": "round" })));
        });
        this.paint(this.ways[2].picture, prepared.bitmap.map(Number), 32, 32);
      }
      if (this.counts) this.paint(this.ways[3].picture, this.counts.map((count) => count / 16), 8, 8);
    }
  }

  /** Until the browser has drawn what there is. */
  const pause = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const pick = (from, name) => (name in from ? { [name]: from[name] } : {});

  RE.define("live-resnet", LiveResnet);
})(globalThis);
