/** What the bench and the class's table share: words and pictures for blocks, and boards of blocks that were tried. */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  if (RE.blocks) return;
  const { h, svg, set, color, inkOn, line } = RE;

  const PIECES = {
    conv3: "conv 3×3", conv1: "conv 1×1", bn: "batch norm", relu: "ReLU", match: "match (A)", project: "project (B)",
    scale: "scale", gain: "learned gain", dropout: "dropout",
  };
  /** What may stand on each path of a block. */
  const FOR = {
    branch: Object.keys(PIECES).filter((name) => !["match", "project"].includes(name)),
    shortcut: Object.keys(PIECES),
    after: ["bn", "relu", "scale", "gain", "dropout", "conv3", "conv1"],
    head: ["bn", "relu"],
  };
  /** Below this training error, in percent, a network has learned the digits. */
  const LEARNED = 10;
  const LONGEST = 12; // operations on one path

  const nameOf = (operation) => [operation].flat()[0];
  const percent = (value) => `${value < 9.95 ? value.toFixed(1) : Math.round(value)}\u00a0%`;
  const short = (path) => path.map((operation) => [operation].flat().join(" ")).join("·");
  const formula = ({ branch, shortcut, after }) =>
    `${short(branch) || "x"}${shortcut === null ? "" : ` + ${short(shortcut) || "x"}`}${after.length ? ` → ${short(after)}` : ""}`;
  const title = (row) => (row.name === "own" ? formula(row.program) : row.name);

  /** A block in a sentence. */
  function inWords({ branch, shortcut, after }) {
    const list = (path) => (path.length ? path.map((operation) => PIECES[nameOf(operation)]).join(", ") : "nothing");
    const around = shortcut === null ? "No shortcut." : `On the shortcut: ${shortcut.length ? list(shortcut) : "nothing, the identity"}.`;
    return `A block. On the branch: ${list(branch)}. ${around} After: ${list(after)}.`;
  }

  /**
   * The branch down the left, the shortcut around it, the plus where they meet. Small, the pieces are known by their
   * looks: a convolution is filled and wide, 1×1 half as wide; a norm is hollow; a ReLU is a bar of ink; the rest round.
   */
  function draw(node, program, { refused = false, small = false } = {}) {
    const { branch, shortcut, after } = program;
    const s = small
      ? { width: 74, mid: 24, right: 58, row: 9, top: 10, gap: 2, first: 9, half: 15, high: 6, tail: 8, plus: 4.5, ink: 1.1, way: 1.6, begin: 0 }
      : { width: 320, mid: 110, right: 250, row: 34, top: 58, gap: -4, first: 34, half: 62, high: 24, tail: 40, plus: 12, ink: 1.6, way: 2.6, begin: 20 };
    const plus = s.top + s.gap + s.row * Math.max(branch.length, (shortcut ?? []).length, 1);
    const height = plus + s.tail + s.row * after.length;
    const parts = [];
    const box = (x, y, operation, room) => {
      const [name, value] = [operation].flat();
      const conv = name.startsWith("conv") || name === "project";
      const half = small && ["conv1", "project"].includes(name) ? s.half / 2 : s.half;
      const round = small && ["match", "scale", "gain", "dropout"].includes(name);
      const paint = conv ? color(room) : small && name === "relu" ? "var(--ink)" : "var(--page)";
      const flat = small && name === "relu" ? 2 : s.high;
      const wide = round ? s.high / 2 : half;
      parts.push(svg("rect", { x: x - wide, y: y - flat / 2, width: 2 * wide, height: flat, rx: round ? s.high / 2 : small ? 1 : 6, fill: paint, stroke: conv ? line(room) : "var(--edge)" }));
      if (small) return;
      const words = PIECES[name] + (value === undefined ? "" : ` ${name === "gain" ? `from ${value}` : value}`);
      parts.push(svg("text", { x, y: y + 4, "text-anchor": "middle", style: conv ? `fill:${inkOn(room)}` : null }, words));
    };
    const trouble = refused ? line("error") : null;
    if (!small) parts.push(svg("text", { x: s.mid, y: 14, "text-anchor": "middle", "font-weight": 600 }, "x"));
    parts.push(svg("path", { d: `M${s.mid} ${s.begin}V${height - (small ? 0 : 6)}`, stroke: "var(--edge)", "stroke-width": s.ink }));
    if (shortcut) {
      const kind = shortcut.some((operation) => ["conv1", "conv3", "project"].includes(nameOf(operation))) ? "projection" : "identity";
      parts.push(svg("path", {
        d: `M${s.mid} ${s.begin + (small ? 4 : 6)}H${s.right}V${plus}H${s.mid + s.plus + 2}`, fill: "none", stroke: trouble ?? line(kind), "stroke-width": s.way,
        "stroke-dasharray": kind === "projection" ? (small ? "4 3" : "7 5") : null,
      }));
      shortcut.forEach((operation, i) => box(s.right, s.top + s.row * i, operation, "layer3"));
    }
    branch.forEach((operation, i) => box(s.mid, s.top + s.row * i, operation, "layer2"));
    if (shortcut) {
      parts.push(svg("circle", { cx: s.mid, cy: plus, r: s.plus, fill: "var(--page)", stroke: trouble ?? "var(--edge)", "stroke-width": s.ink + 0.4 }));
      if (small) parts.push(svg("path", { d: `M${s.mid - 2.5} ${plus}h5M${s.mid} ${plus - 2.5}v5`, stroke: "var(--ink)" }));
      else parts.push(svg("text", { x: s.mid, y: plus + 5, "text-anchor": "middle", style: "font-size:17px" }, refused ? "≠" : "+"));
    }
    after.forEach((operation, i) => box(s.mid, plus + s.first + s.row * i, operation, "layer2"));
    set(node, { viewBox: `0 0 ${s.width} ${height}`, width: s.width, height, role: "img", "aria-label": inWords(program) });
    node.replaceChildren(...parts);
    return node;
  }

  /* ---- boards ---------------------------------------------------------------------------------- */

  const MADE = "resnet-edu board, version 1";
  const number = (value, low, high) => typeof value === "number" && value >= low && value <= high;

  function isProgram(program) {
    if (program === null || typeof program !== "object") return false;
    return Object.keys(FOR).every((path) => {
      if (path === "shortcut" && program.shortcut === null) return true;
      return Array.isArray(program[path]) && program[path].length <= LONGEST && program[path].every((operation) => {
        const [name, value, more] = [operation].flat();
        return FOR[path].includes(name) && more === undefined && (value === undefined) !== ["scale", "gain", "dropout"].includes(name) &&
          (value === undefined || number(value, -4, 4));
      });
    });
  }

  /** Is this a row as the bench writes it? Files come from other hands. */
  const isRow = (row) => row !== null && typeof row === "object" && typeof row.name === "string" && row.name.length <= 80 && isProgram(row.program) &&
    number(row.depth, 8, 218) && (row.depth - 2) % 6 === 0 && number(row.rate, 0, 10) && number(row.parameters, 1, 1e9) && number(row.seconds, 0, 1e6) &&
    number(row.error, 0, 100) && Array.isArray(row.errors) && row.errors.length > 0 && row.errors.every((error) => number(error, 0, 100));

  /** [{group, rows}] in a file's text; throws an Error that says what the file is not. `name` stands in for a missing group. */
  function readBoards(text, name) {
    let found = null;
    try {
      found = JSON.parse(text);
    } catch {
      // Told below.
    }
    if (found?.made !== MADE) throw new Error(`${name} is not a board. Take the file that the bench saves with “Save as a file”.`);
    const boards = Array.isArray(found.boards) ? found.boards : [found];
    return boards.map((board) => {
      const rows = Array.isArray(board?.rows) ? board.rows : [];
      const wrong = rows.findIndex((row) => !isRow(row));
      if (wrong >= 0) throw new Error(`${name}: row ${wrong + 1} is not as the bench writes it. Save the board again.`);
      if (!rows.length) throw new Error(`${name} has no blocks. Train one on the bench, then save the board.`);
      const group = typeof board.group === "string" && board.group.trim() ? board.group.trim() : name.replace(/\.json$/i, "");
      return { group: group.slice(0, 60), rows };
    });
  }

  /** The deepest that learned first; of the same depth, the lower error, then the fewer parameters. */
  function byDepth(a, b) {
    const learned = (row) => (row.error < LEARNED ? 1 : 0);
    return learned(b) - learned(a) || b.depth - a.depth || a.error - b.error || a.parameters - b.parameters;
  }

  const COLUMNS = [["group", "group"], ["name", "block"], ["depth", "layers"], ["error", "training error"], ["parameters", "parameters"], ["seconds", "seconds"]];

  function sorted(rows, { by, down }) {
    const order = by === "deepest" ? byDepth : (a, b) => {
      const [u, v] = by === "name" ? [title(a), title(b)] : [a[by], b[by]];
      return typeof u === "string" ? u.localeCompare(v) : u - v;
    };
    const found = [...rows].sort(order);
    return down ? found.reverse() : found;
  }

  /** A table of blocks: sorted({by, down}) hears a press on a column's head, opened(row) one on a block; null for no such button. */
  function table(rows, sort, resort, opened) {
    const columns = COLUMNS.filter(([field]) => field !== "group" || rows.some((row) => row.group));
    const head = columns.map(([field, words]) => {
      const active = sort.by === field;
      return h("th", { scope: "col", "aria-sort": active ? (sort.down ? "descending" : "ascending") : null },
        h("button", { type: "button", class: "sort", onclick: () => resort({ by: field, down: active && !sort.down }) }, words, active ? (sort.down ? " ↓" : " ↑") : ""));
    });
    const cells = {
      group: (row) => row.group,
      name: (row) => {
        const inside = [draw(svg("svg", {}), row.program, { small: true }), h("span", {}, title(row))];
        return opened ? h("button", { type: "button", class: "block", title: "Put it on the bench", onclick: () => opened(row) }, inside) : h("span", { class: "block" }, inside);
      },
      depth: (row) => String(row.depth),
      error: (row) => `${percent(row.error)}${row.errors.length > 1 ? ` (${row.errors.length} seeds)` : ""}`,
      parameters: (row) => RE.grouped(row.parameters),
      seconds: (row) => row.seconds.toFixed(1),
    };
    return h("table", {}, h("thead", {}, h("tr", {}, head)),
      h("tbody", {}, sorted(rows, sort).map((row) => h("tr", {}, columns.map(([field]) => h("td", {}, cells[field](row)))))));
  }

  const LOOK = `
.board { overflow-x: auto; }
.board table { width: 100%; }
.board td:not(:has(.block)) { white-space: nowrap; }
.board tbody tr { border-top: 1px solid var(--rule); }
.board button.sort { border: 0; background: none; padding: .3rem 0; cursor: pointer; text-decoration: underline; text-underline-offset: .2em; color: inherit; min-height: 44px; white-space: nowrap; }
.board .block { display: grid; grid-template-columns: 74px minmax(5.5rem, 1fr); gap: .7rem; align-items: center; text-align: start; border: 0; background: none; padding: .3rem .4rem .3rem 0; border-radius: 8px; overflow-wrap: anywhere; width: 100%; }
.board button.block { cursor: pointer; }
.board button.block:hover { background: var(--soft); }
.board .block svg { display: block; }
@container (max-width: 480px) { .board .block { grid-template-columns: minmax(5.5rem, 1fr); gap: .1rem; } }
`;

  RE.blocks = { PIECES, FOR, LEARNED, LOOK, MADE, nameOf, percent, title, draw, isRow, readBoards, byDepth, sorted, table };
})(globalThis);
