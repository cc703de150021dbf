// What a control looks like at this moment, measured on computed styles: its name, and the ring of the focus.
(() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const known = new Map();
  /** Any CSS color as red, green, blue and how opaque it is. */
  const rgba = (color) => {
    if (!known.has(color)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = color;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      known.set(color, [r, g, b, a / 255]);
    }
    return known.get(color);
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((part, i) => part * a + under[i] * (1 - a));
  const light = (color) => {
    const [r, g, b] = color.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [bright, dark] = [light(one), light(other)].sort((a, b) => b - a);
    return (bright + 0.05) / (dark + 0.05);
  };
  const up = (e) => e.parentElement ?? e.getRootNode().host ?? null;
  const paper = (e) => {
    const layers = [];
    for (let at = e; at; at = up(at)) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      layers.unshift(color);
      if (color[3] === 1) break;
    }
    return layers.reduce((under, color) => over(color, under), [255, 255, 255]);
  };
  const visible = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
  const all = function* (root) {
    for (const e of root.children) {
      yield e;
      if (e.shadowRoot) yield* all(e.shadowRoot);
      yield* all(e);
    }
  };
  /** Controls of one name look the same: where they stand, their tag, classes and state. */
  const name = (e) => {
    const inside = [...e.classList].filter((word) => !/^(nav-|current|active|show)/.test(word)).map((word) => `.${word}`).join("");
    const around = up(e)?.closest?.("[class]")?.classList[0];
    const states = ["type", "aria-pressed", "aria-expanded"].filter((a) => e.hasAttribute(a)).map((a) => `[${a}=${e.getAttribute(a)}]`).join("");
    return [e.getRootNode().host?.localName, around && `.${around}`, `${e.localName}${inside}${states}${e.checked ? ":checked" : ""}`].filter(Boolean).join(" ");
  };
  /** The best contrast of a ring on what has the focus, on what it is part of, or on what is drawn in its place. */
  const ring = (control) => {
    const near = [control, ...all(control), control.nextElementSibling].filter(Boolean);
    for (let at = up(control), steps = 0; at && steps < 3; at = up(at), steps++) near.push(at);
    let best = 0;
    for (const e of near) {
      const style = getComputedStyle(e);
      const drawn = [];
      if (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) drawn.push(style.outlineColor);
      if (e instanceof SVGElement && parseFloat(style.strokeWidth) >= 3 && style.stroke !== "none") drawn.push(style.stroke);
      const under = paper(e instanceof SVGElement ? e.ownerSVGElement ?? e : up(e) ?? e);
      for (const color of drawn) best = Math.max(best, contrast(over(rgba(color), under), under));
    }
    return best;
  };
  const active = () => {
    let e = document.activeElement;
    while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
    return e && e !== document.body && e !== document.documentElement ? e : null;
  };
  const STOPS = "a[href], button, summary, input, select, textarea, [tabindex]";
  /** A change of color may take a frame, also where motion is reduced. */
  const settled = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

  globalThis.looks = {
    /** Where the focus is: its place in the page, its ring, and what lies over it. */
    async stop() {
      const e = active();
      if (!e) return null;
      if (ring(e) < 3) await settled();
      looks.places ??= new Map([...all(document.body)].map((one, place) => [one, place]));
      looks.seen ??= new Set();
      const again = looks.seen.has(e);
      looks.seen.add(e);
      const { left, top, width, height } = e.getClientRects()[0] ?? e.getBoundingClientRect();
      const [x, y] = [left + Math.min(width, innerWidth - left) / 2, top + Math.min(height, 300) / 2];
      let hit = document.elementFromPoint(x, y);
      while (hit?.shadowRoot?.elementFromPoint(x, y) && hit.shadowRoot.elementFromPoint(x, y) !== hit) hit = hit.shadowRoot.elementFromPoint(x, y);
      const related = (one, other) => { for (let at = one; at; at = up(at)) if (at === other) return true; return false; };
      const free = hit && (related(hit, e) || (related(e, hit) && !/^(html|body|main)$/.test(hit.localName)));
      return { name: name(e), again, place: looks.places.get(e) ?? null, ring: ring(e), over: free ? null : hit ? name(hit) : "nothing: it is out of sight" };
    },
    /** What the Tab key should have reached and did not. A figure may draw a control anew when it takes the focus. */
    missed() {
      const said = (e) => `${name(e)} ${e.getAttribute("aria-label") ?? e.textContent.trim().slice(0, 40)}`;
      const groups = new Set([...looks.seen].filter((e) => e.type === "radio").map((e) => e.name));
      const reached = new Set([...looks.seen].map(said));
      return [...all(document.body)]
        .filter((e) => e.matches(STOPS) && e.tabIndex >= 0 && visible(e) && !e.disabled && !(e.type === "radio" && groups.has(e.name)))
        .filter((e) => !looks.seen.has(e) && !reached.has(said(e)))
        .map(said);
    },
  };
})();
