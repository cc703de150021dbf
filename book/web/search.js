// Ranks what the search page finds. Sphinx asks for every word and gives all pages that have them one score. Here a
// page may lack a word, rare words weigh more than common ones, words in a heading weigh twice, and most of all counts
// how much of the query stands in one name of the page: a word of the glossary that it explains, or a question that
// leads to it (tools/reference_extension.py puts both into the index).
"use strict";

// Words that stand on every page are not marked on the page that the reader opens.
const SMALL =
  "a an and are as at be become can do does for from get has have how i in into is it its my not of on or so that the " +
  "then this to use was what when where which why with you your";
const parse = Search._parseQuery;
Search._parseQuery = (query) => {
  const parsed = parse(query);
  const marked = parsed[3];
  for (const word of SMALL.split(" ")) marked.delete(word);
  if (SPHINX_HIGHLIGHT_ENABLED) localStorage.setItem("sphinx_highlight_terms", [...marked].join(" "));
  return parsed;
};

Search.performTermsSearch = (searchTerms, excludedTerms) => {
  const { terms, titleterms, docnames, filenames, titles, alltitles, indexentries } = Search._index;

  /** The pages that hold a word, or where none does, words in which it is a part. */
  const pagesOf = (index, word) => {
    const own = (key) => (Object.hasOwn(index, key) ? [index[key]].flat() : []);
    if (own(word).length || word.length < 3) return new Set(own(word));
    return new Set(Object.keys(index).filter((key) => key.includes(word)).flatMap(own));
  };
  const rarities = new Map();
  const rarity = (word) => {
    if (!rarities.has(word)) {
      const pages = new Set([...pagesOf(terms, word), ...pagesOf(titleterms, word)]);
      rarities.set(word, Math.log(1 + docnames.length / (1 + pages.size)));
    }
    return rarities.get(word);
  };
  const sum = (words) => words.reduce((total, word) => total + rarity(word), 0);

  // What stands nowhere in the book cannot tell its pages apart.
  const asked = [...searchTerms].filter((word) => pagesOf(terms, word).size || pagesOf(titleterms, word).size);
  const total = sum(asked);
  const excluded = new Set([...excludedTerms].flatMap((word) => [...pagesOf(terms, word), ...pagesOf(titleterms, word)]));
  const scores = new Map();
  const found = new Map();
  for (const word of asked) {
    const inText = pagesOf(terms, word);
    const inTitle = pagesOf(titleterms, word);
    for (const page of new Set([...inText, ...inTitle])) {
      scores.set(page, (scores.get(page) ?? 0) + (rarity(word) / total) * (inTitle.has(page) ? 2 : 1));
      found.set(page, (found.get(page) ?? 0) + 1);
    }
  }

  const stemmer = new Stemmer();
  /** How much of the query stands in a name. All of it in all of the name: 1. Half of it, or with much else: less. */
  const likenessTo = (name) => {
    const own = splitQuery(name.toLowerCase()).filter((word) => !stopwords.includes(word) && !/^\d+$/.test(word));
    const words = [...new Set(own.map((word) => stemmer.stemWord(word)))];
    const common = words.filter((word) => searchTerms.has(word));
    return common.length ? (sum(common) / total) * (0.5 + 0.5 * (sum(common) / sum(words))) : 0;
  };
  const names = new Map();
  const keep = (map, likeness, page, id) => {
    if (likeness > (map.get(page)?.likeness ?? 0)) map.set(page, { likeness, id });
  };
  for (const [entry, places] of Object.entries(indexentries)) {
    const likeness = likenessTo(entry);
    for (const [page, id] of likeness ? places : []) keep(names, likeness, page, id);
  }
  // The page of questions is long: there one that is near is better than its top.
  const questions = docnames.findIndex((name) => name.endsWith("/questions"));
  const nearest = new Map();
  for (const [heading, places] of Object.entries(alltitles)) {
    const [, id] = places.find(([page]) => page === questions) ?? [];
    const likeness = likenessTo(heading);
    if (id && likeness > 0.35) keep(nearest, likeness, questions, id);
  }

  return [...new Set([...scores.keys(), ...names.keys()])]
    .filter((page) => !excluded.has(page) && ((found.get(page) ?? 0) >= asked.length / 2 || names.get(page)?.likeness > 0.5))
    .map((page) => {
      const { likeness = 0, id = "" } = names.get(page) ?? {};
      // A chapter explains, lists only name, and the docstrings speak to those who look for a function.
      const kind = /(^|\/)(\d\d_|clinic|questions)/.test(docnames[page]) ? 1 : docnames[page].includes("/api/") ? 0.3 : 0.6;
      const score = 200 * kind * ((scores.get(page) ?? 0) + 4 * likeness ** 2);
      const place = likeness > 0.5 ? id : nearest.get(page)?.id;
      return [docnames[page], titles[page], place ? `#${place}` : "", null, score, filenames[page]];
    });
};
