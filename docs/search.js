// How the site's search orders what it finds: Sphinx's own numbers, but first a heading that is what was asked,
// then pages that answer questions, then those that describe names.
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
