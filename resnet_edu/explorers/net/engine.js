/**
 * The door of the engine that trains a network in the page. Each file of this folder hands over one function,
 * part(net), that adds to `net` what it is about. The parts run here, in Node, and in a worker: a page that was
 * opened from a file may not read its own scripts, but a function can be asked for its text.
 */
(function (root) {
  "use strict";
  const RE = (root.ResnetEdu = root.ResnetEdu || {});
  if (RE.net) return; // a second output in the same notebook brings the same script again

  const parts = [];
  const net = (RE.net = {
    /** Run a part here, and keep it for workers. Parts come in the order of ENGINE in explorers/__init__.py. */
    part(name, body) {
      if (parts.some((part) => part.name === name)) return;
      body(net);
      parts.push({ name, body });
    },
    has: (name) => parts.some((part) => part.name === name),
    /** The engine as the text of a script. */
    source: () => `"use strict"; const net = {};\n${parts.map(({ body }) => `(${body})(net);`).join("\n")}`,
  });

  if (typeof module !== "undefined" && module.exports) module.exports = net;
})(globalThis);
