// How the site's search orders what it finds: a heading that is what was asked, then pages that answer questions, then
// those that describe names. A page need not have every word of a question: those that few pages have count for more,
// and those in its headings twice.
var Scorer = {
  score: ([page, title, anchor, description, score, file, kind]) =>
    score + (kind === "title" ? 5 : 0) + (/^(answers|howto-|tutorial-)/.test(page) ? 4 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

const ofAllWords = Search.performTermsSearch;
Search.performTermsSearch = (words, excluded) => {
  const all = Search._index.docnames.length;
  const found = new Map();
  let whole = 0;
  for (const word of words) {
    const pages = ofAllWords(new Set([word]), excluded);
    const rarity = Math.log(all / Math.max(1, pages.length));
    if (pages.length) whole += rarity;
    for (const page of pages) {
      const result = found.get(page[0]) || [...page.slice(0, 4), 0, ...page.slice(5)];
      result[4] += rarity * (page[4] >= Scorer.partialTitle ? 2 : 1);
      found.set(page[0], result);
    }
  }
  for (const result of found.values()) result[4] *= 10 / (whole || 1);
  return [...found.values()].filter((result) => result[4] > 4);
};
