// Every figure can be taken away as an SVG file, as it stands on the page: with the colors of its mode, and an explorer
// with the choices that were made. The button stands beside "Code" under a figure, or in the figure's corner.
"use strict";

(() => {
  // What a picture takes from the page. Everything else is written in it, or plays no part in an SVG.
  const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "stroke-linecap", "stroke-linejoin",
    "opacity", "color", "font-family", "font-size", "font-weight", "font-style", "text-anchor", "dominant-baseline", "transform", "display"];

  /** A mixed color as programs know it that draw SVG files. */
  const plain = (value) => value.replace(/color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)(?: \/ ([\d.e-]+))?\)/g, (_, r, g, b, a = 1) =>
    `rgba(${[r, g, b].map((part) => Math.round(255 * part)).join(", ")}, ${a})`);

  function copied(picture) {
    const copy = picture.cloneNode(true);
    const [from, to] = [picture, copy].map((root) => [root, ...root.querySelectorAll("*")]);
    const hidden = [];
    from.forEach((original, at) => {
      const variable = (text) => text.replace(/var\((--[\w-]+)(?:,\s*([^()]*))?\)/g, (_, name, other) => getComputedStyle(original).getPropertyValue(name).trim() || other || "none");
      for (const { name, value } of [...to[at].attributes]) if (value.includes("var(--")) to[at].setAttribute(name, variable(value));
      // What is drawn through <use> takes its looks from there.
      if (original.closest("defs, symbol, clipPath, mask, marker")) return;
      const style = getComputedStyle(original);
      if (at && (style.display === "none" || style.visibility === "hidden")) hidden.push(to[at]);
      const inherited = at ? getComputedStyle(original.parentNode) : null;
      to[at].removeAttribute("style");
      to[at].removeAttribute("class");
      to[at].removeAttribute("tabindex");
      for (const look of LOOKS) {
        const value = plain(style.getPropertyValue(look));
        const given = value === "none" && look !== "fill" && look !== "stroke" ? "" : value;
        if (given && !(inherited && inherited.getPropertyValue(look) === value && !/opacity|transform|display/.test(look))) to[at].style.setProperty(look, given);
      }
    });
    for (const node of hidden) node.remove();
    const { width, height } = picture.getBoundingClientRect();
    const [x = 0, y = 0, wide = width, high = height] = copy.getAttribute("viewBox")?.split(/[\s,]+/).map(Number) ?? [];
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("viewBox", [x, y, wide, high].join(" "));
    copy.setAttribute("width", wide);
    copy.setAttribute("height", high);
    const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ x, y, width: wide, height: high, fill: getComputedStyle(document.body).backgroundColor })) paper.setAttribute(name, value);
    const words = picture.getAttribute("aria-label");
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = words ?? "";
    copy.prepend(...(words ? [title] : []), paper);
    return new XMLSerializer().serializeToString(copy);
  }

  /** The pictures of a cell that are seen: those of the page, and those that an explorer has drawn instead. */
  function pictures(cell) {
    const roots = [cell, ...[...cell.querySelectorAll("*")].map((node) => node.shadowRoot).filter(Boolean)];
    return roots.flatMap((root) => [...root.querySelectorAll("svg")]).filter((picture) =>
      !picture.parentElement?.closest("svg") && picture.getBoundingClientRect().width > 100);
  }

  // A table of many small pictures is no figure.
  const cells = [...document.querySelectorAll("article div.cell")].filter((cell) =>
    cell.querySelector(".cell_output svg.re-picture") && !cell.querySelector("class-board"));
  cells.forEach((cell, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "figure-save d-print-none";
    button.textContent = "SVG";
    button.title = "Download this figure as an SVG file";
    button.setAttribute("aria-label", `SVG: download figure ${at + 1}`);
    button.addEventListener("click", () => {
      const found = pictures(cell);
      found.forEach((picture, part) => {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([copied(picture)], { type: "image/svg+xml" }));
        const page = location.pathname.replace(/.*\/|\.html$/g, "") || "figure";
        link.download = `${page}-figure-${at + 1}${found.length > 1 ? String.fromCharCode(97 + part) : ""}.svg`;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      });
    });
    const row = cell.querySelector(":scope > .book-caption");
    if (row) row.insertBefore(button, row.querySelector(".book-code"));
    else {
      button.classList.add("in-corner");
      cell.querySelector(".cell_output svg.re-picture").closest(".cell_output").append(button);
    }
  });
})();
