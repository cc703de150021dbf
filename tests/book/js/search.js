// Runs the built book's own search outside a browser: queries in JSON on stdin, for each the pages found, best first.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const folder = path.join(process.argv[2], "_static");
const page = { getElementById: () => null, addEventListener: () => {} };
const context = vm.createContext({
  document: page, window: page, console, DOCUMENTATION_OPTIONS: {}, SPHINX_HIGHLIGHT_ENABLED: false,
  _: (text) => text, _ready: () => {}, _removeChildren: () => {},
});
const run = (file) => vm.runInContext(fs.readFileSync(file, "utf8"), context, { filename: file });
run(path.join(folder, "language_data.js"));
// `const Search` is seen by later scripts of the same context, as on a page.
run(path.join(folder, "searchtools.js"));
run(path.join(folder, "search.js"));
run(path.join(process.argv[2], "searchindex.js"));

context.queries = fs.readFileSync(0, "utf8");
console.log(vm.runInContext(`JSON.stringify(JSON.parse(queries).map((query) => {
  const found = Search._performSearch(...Search._parseQuery(query)).reverse();
  return [...new Set(found.map((result) => result[0]))];
}))`, context));
