// Ranks what the search page finds. Sphinx asks for every word and gives all pages that have them one score; here a
// page may lack a word, rare words weigh more than common ones, and words in a heading weigh twice.
"use strict";

Search.performTermsSearch = (searchTerms, excludedTerms) => {
  const { terms, titleterms, docnames, filenames, titles } = Search._index;

  /** The pages that hold a word, or where none does, words in which it is a part. */
  const pagesOf = (index, word) => {
    const own = (key) => (Object.hasOwn(index, key) ? [index[key]].flat() : []);
    if (own(word).length || word.length < 3) return new Set(own(word));
    return new Set(Object.keys(index).filter((key) => key.includes(word)).flatMap(own));
  };

  const excluded = new Set([...excludedTerms].flatMap((word) => [...pagesOf(terms, word), ...pagesOf(titleterms, word)]));
  const scores = new Map();
  const found = new Map();
  for (const word of searchTerms) {
    const inText = pagesOf(terms, word);
    const inTitle = pagesOf(titleterms, word);
    const pages = new Set([...inText, ...inTitle]);
    const rarity = Math.log(1 + docnames.length / (1 + pages.size));
    for (const page of pages) {
      scores.set(page, (scores.get(page) ?? 0) + rarity * (inTitle.has(page) ? 2 : 1));
      found.set(page, (found.get(page) ?? 0) + 1);
    }
  }
  return [...scores]
    .filter(([page]) => !excluded.has(page) && found.get(page) >= searchTerms.size / 2)
    .map(([page, score]) => {
      // A chapter explains, lists only name, and the docstrings speak to those who look for a function.
      const weight = /(^|\/)\d\d_/.test(docnames[page]) ? 6 : docnames[page].includes("/api/") ? 2 : 4;
      return [docnames[page], titles[page], "", null, weight * score, filenames[page]];
    });
};
