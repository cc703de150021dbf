/** Brings a page's figures alive when the reader comes near. Until then each is the picture inside its tag, and a phone
    neither fetches nor runs what nobody looks at. */
(() => {
  "use strict";
  // Tag → the addresses of its scripts, in their order.
  const needed = JSON.parse(document.currentScript.dataset.figures);
  const fetched = new Set();

  function start(tag) {
    for (const src of needed[tag] ?? []) {
      if (fetched.has(src)) continue;
      fetched.add(src);
      // In the order in which they are put here, as scripts of the page itself would run.
      document.head.append(Object.assign(document.createElement("script"), { src, async: false }));
    }
    delete needed[tag];
  }

  const figures = document.querySelectorAll(Object.keys(needed).join());
  // An address may hold the state of a figure, wherever it stands.
  if (location.hash.includes("explore")) for (const { localName } of figures) start(localName);
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      start(target.localName);
      near.unobserve(target);
    }
  }, { rootMargin: "1000px 0px" });
  for (const figure of figures) near.observe(figure);

  // A figure reaches into the column of the contents, which fold up meanwhile, as the theme folds them for its notes.
  const contents = document.querySelector(".bd-sidebar-secondary");
  const beside = new Set();
  const over = contents && new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) beside[isIntersecting ? "add" : "delete"](target);
    contents.classList.toggle("hide", beside.size > 0);
  }, { rootMargin: "0px 0px -33% 0px" });
  if (over) for (const figure of figures) over.observe(figure);
})();
