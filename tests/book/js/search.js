// Runs the built book's own search outside a browser: queries in JSON on stdin, for each the pages found, best first.
// A query may be a pair, [words, entry]: then the index is without that entry.
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
console.log(vm.runInContext(`JSON.stringify(JSON.parse(queries).map((asked) => {
  const [query, entry] = [asked].flat();
  const entries = Search._index.indexentries;
  Search._index.indexentries = Object.fromEntries(Object.entries(entries).filter(([name]) => name !== entry));
  if (entry && Object.keys(entries).length === Object.keys(Search._index.indexentries).length)
    throw new Error("no entry of the index is called " + entry);
  const found = Search._performSearch(...Search._parseQuery(query)).reverse();
  Search._index.indexentries = entries;
  return [...new Set(found.map((result) => result[0]))];
}))`, context));
