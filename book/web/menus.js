/* The menus of a wide page's header, and what its buttons are called, on hover.
 *
 * Why not Bootstrap, which the theme brings for them: 24 KB, packed, on every page.
 */
(function () {
  "use strict";

  const menus = [...document.querySelectorAll(".dropdown")].flatMap(place => {
    const button = place.querySelector(".dropdown-toggle"), menu = place.querySelector(".dropdown-menu");
    return button && menu ? [{ place, button, menu }] : [];
  });

  function show(one, open) {
    one.menu.classList.toggle("show", open);
    one.button.setAttribute("aria-expanded", String(open));
  }

  /** At most one is open. */
  const open = chosen => menus.forEach(one => show(one, one === chosen));

  for (const one of menus) {
    one.button.addEventListener("click", () => open(one.menu.classList.contains("show") ? null : one));
    one.place.addEventListener("keydown", event => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      open(one);
      const items = [...one.menu.querySelectorAll("a[href], button")], at = items.indexOf(document.activeElement);
      items[at < 0 ? (step > 0 ? 0 : items.length - 1) : (at + step + items.length) % items.length]?.focus();
    });
    one.place.addEventListener("focusout", event => {
      if (event.relatedTarget && !one.place.contains(event.relatedTarget)) show(one, false);
    });
  }
  document.addEventListener("click", event => {
    for (const one of menus) if (!one.place.contains(event.target)) show(one, false);
  });

  for (const button of document.querySelectorAll("[data-bs-title]")) button.title ||= button.dataset.bsTitle;
})();
