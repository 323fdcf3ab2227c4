"""The published studies: the pages are what the committed rows say, and other code finds the same numbers in them."""

import base64
import copy
import functools
import itertools
import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn.metrics import f1_score

from compare import svg
from compare.studies import baselines, choices, document, evidence, findings, overview, publish, simulation
from compare.studies import rows as store
from train_keras import data, settings, studies

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and TensorFlow warn on their own account

RESULTS = Path(__file__).parent.parent / "docs" / "results"


@functools.cache
def committed_findings():
    return {f.study.name: f for f in findings.collect(store.read(RESULTS), store.labels_of(RESULTS))}


def files_of(page):
    """{path: text} of a page and its figures."""
    figures = [block for block in page.blocks if isinstance(block, document.Figure)]
    made = {f"figures/{f.name}.svg": svg.standalone(f.panels, f.columns) for f in figures}
    return {page.file: document.markdown(page), **made}


def test_the_pages_of_the_studies_are_what_the_committed_rows_say():
    """Whoever changes a number, a rule or a word of the report makes the pages anew: `fnet study report`."""
    found = list(committed_findings().values())
    for page in publish.topic_pages(found, baselines.kept(RESULTS)):
        for path, text in files_of(page).items():
            assert text == (RESULTS / path).read_text("utf-8"), path


def test_the_other_pages_are_what_the_committed_rows_say():
    found = list(committed_findings().values())
    summary = overview.summary(found, baselines.kept(RESULTS), publish.simulated(RESULTS), publish.ABOUT)
    for page in (
        summary,
        choices.page(choices.kept(RESULTS), choices.kept(RESULTS, choices.SEARCH)),
        evidence.parity_page(found),
        evidence.elsewhere_page(publish.elsewhere(RESULTS)),
        evidence.speed_page(RESULTS),
        evidence.provenance_page(store.read(RESULTS)),
    ):
        for path, text in files_of(page).items():
            assert text == (RESULTS / path).read_text("utf-8"), path


def test_the_published_page_is_small():
    assert (RESULTS / "report.html").stat().st_size < 600_000


def test_rows_have_one_set_of_keys():
    rows = store.read(RESULTS)
    assert len({(*row, *row["test"]) for row in rows}) == 1
    assert len({(row["family"] == "cnn", *row["options"]) for row in rows}) == 2
    archived = [json.loads(line) for line in (RESULTS / "archive.jsonl").read_text("utf-8").splitlines()]
    assert all(row["reason"] for row in archived)
    assert not {(row["run"], row["finished"]) for row in archived} & {(row["run"], row["finished"]) for row in rows}
    assert {row["run"] for row in rows} <= {run.name for run in studies.runs(list(studies.STUDIES.values()))}


def table_after(text, heading):
    """The cells of the first Markdown table after a heading."""
    lines = text[text.index(heading) :].split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = list(itertools.takewhile(lambda line: line.startswith("|"), lines[first:]))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]


def test_the_published_means_are_those_of_an_independent_recomputation():
    """From predictions and labels in the files, by scikit-learn and pandas-free arithmetic of its own."""
    labels = {
        name: list(map(int, digits)) for name, digits in json.loads((RESULTS / "labels.json").read_text()).items()
    }
    scores = {}
    for line in (RESULTS / "rows.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        f1 = f1_score(labels[row["data"]], list(map(int, row["test"]["predicted"])), average="macro")
        assert row["test"]["macro_f1"] == pytest.approx(f1, abs=1e-12)
        scores.setdefault(row["run"].rpartition("_seed-")[0], []).append(f1)
    for study in studies.STUDIES.values():
        topic = committed_findings()[study.name].topic
        lines = table_after((RESULTS / f"{topic}.md").read_text("utf-8"), "## Scores")
        if lines[0][0] in studies.ARMS:
            lines = [cells for arm, *cells in lines if arm == study.arm]
        assert [cells[0] for cells in lines] == list(study.variants)
        for cells in lines:
            config = study.variants[cells[0]]
            mine = scores.get(studies.run_name(config).rpartition("_seed-")[0])
            if mine is None:
                assert cells[1] == "–"
                continue
            assert cells[1] == f"{np.mean(mine):.4f}"
            if len(mine) == 1:
                assert cells[2] == "–"
                continue
            low, high = stats.t.interval(0.95, len(mine) - 1, np.mean(mine), stats.sem(mine))
            assert cells[2] == f"{low:.3f} to {high:.3f}"
            assert cells[5] == (f"{study.seeds}" if len(mine) == study.seeds else f"{len(mine)} of {study.seeds}")


def test_what_was_reached_is_what_the_rows_give():
    """Each aim's configuration is named; its mean or its ensemble is on its own page, whose numbers are recomputed."""
    text = (RESULTS / "README.md").read_text("utf-8")
    for what, told, outcome, aim, _, seeds, configuration in table_after(text, "## What was reached"):
        if outcome == "no run yet":
            assert told == "–"
            continue
        label, study = re.fullmatch(r"(.*) \((.*)\)", configuration).groups()
        found = committed_findings()[study]
        lines = table_after((RESULTS / f"{found.topic}.md").read_text("utf-8"), "## Scores")
        arms = lines[0][0] in studies.ARMS
        (cells,) = (line[arms:] for line in lines if label == line[arms] and (not arms or line[0] == found.study.arm))
        assert told == cells[7 if what.startswith("ensemble") else 1]
        missed = float(aim) - float(told)
        expected = "reached" if missed <= 0 else f"missed by {missed:.3f}"
        assert outcome.removesuffix(" so far")[:-1] == expected[:-1]  # the last digit may be rounded otherwise
        assert outcome.endswith(" so far") is ("of" in seeds)
        assert seeds == cells[5]


def test_the_published_ensembles_are_those_of_an_independent_recomputation():
    """The most probable class of the mean of the seeds' probabilities, from base64 on."""
    labels = json.loads((RESULTS / "labels.json").read_text())
    kept = {}
    for line in (RESULTS / "rows.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if text := row["test"]["probabilities"]:
            given = np.array(memoryview(base64.b64decode(text)).cast("H"), float).reshape(-1, 3) / 65535
            kept.setdefault(row["run"].rpartition("_seed-")[0], []).append((row["data"], given))
    told = 0
    for finding in committed_findings().values():
        lines = table_after((RESULTS / f"{finding.topic}.md").read_text("utf-8"), "## Scores")
        for label, config in finding.study.variants.items():
            mine = kept.get(studies.run_name(config).rpartition("_seed-")[0])
            if mine and finding.study.arm in ("reported", "printed", "proper"):
                predicted = sum(given for _, given in mine).argmax(1)
                f1 = f1_score(list(map(int, labels[mine[0][0]])), predicted, average="macro")
                (cells,) = (cells for arm, *cells in lines if (arm, cells[0]) == (finding.study.arm, label))
                assert cells[7] == f"{f1:.4f}"
                (whole,) = (variant.ensemble for variant in finding.variants if variant.label == label)
                assert whole.wide_low < whole.mean < whole.wide_high
                told += 1
    assert told > 20


def test_the_published_verdicts_follow_from_the_published_numbers():
    """Difference, interval and Holm's p are published; the verdict is read off them by other code."""
    text = (RESULTS / "README.md").read_text("utf-8")
    parts, verdicts, claim = {}, {}, None
    for number, told, verdict, difference, _, p, _ in table_after(text, "## The report's conclusions"):
        if number:
            claim = number.split("]")[0].strip("[")
            verdicts[claim] = verdict
            continue
        if p == "–" or verdict == "not yet decided":
            expected = "not yet decided"
        else:
            shown = p.startswith("\\<") or float(p) < 0.05
            up = difference.startswith("+")
            denied = told.startswith("not ")
            expected = (
                ("contradicted" if up is denied else "holds")
                if shown
                else f"not {'contradicted' if denied else 'shown'}"
            )
        assert verdict == expected, told
        parts.setdefault(claim, []).append(verdict)
    assert list(verdicts) == [claim.number for claim in findings.CLAIMS]
    for claim, found in parts.items():
        one = verdicts[claim]
        assert (one == "contradicted") is ("contradicted" in found and "not yet decided" not in found)
        assert (one == "holds") is (set(found) == {"holds"})
    counted = re.search(r"Of 10 conclusions, as the report trained: (.*?)\.", text)[1]
    for verdict, number in Counter(verdicts.values()).items():
        assert re.search(rf"\b{number} {verdict.replace('holds', 'holds?')}", counted)


def test_the_sentences_of_the_studies_follow_from_their_published_comparisons():
    """Holm's p from the plain ones, what is shown from those, and the sentence from what is shown."""
    for group in findings.topics(list(committed_findings().values())):
        text = (RESULTS / f"{group[0].topic}.md").read_text("utf-8")
        sentences = [line for line in text.split("\n") if line.startswith("> **")]
        lines = table_after(text, "## Comparisons") if "## Comparisons" in text else []
        assert len(sentences) == len(group)
        for finding, sentence in zip(group, sentences, strict=True):
            if len(group) > 1:
                assert findings.ARMS[finding.study.arm].split()[-1] in sentence.split(":")[0]
            mine = [line[len(group) > 1 :] for line in lines if len(group) == 1 or line[0] == finding.study.arm]
            tested = sorted((p_of(line[4]), p_of(line[5]), line) for line in mine if line[4] != "–")
            holm = 0.0
            for i, (p, adjusted, (pair, difference, *_)) in enumerate(tested):
                holm = max(holm, min(1.0, p * (len(tested) - i)))
                assert adjusted == pytest.approx(holm, abs=5e-4)
                first, second = pair.split(" − ")
                better, worse = (first, second) if difference.startswith("+") else (second, first)
                if "Not yet decided" in sentence:
                    continue
                shown = f"{better} over {worse}" in sentence
                assert shown is (adjusted < 0.05), sentence
                assert shown or "o difference shown" in sentence


def p_of(cell):
    return 0.0 if cell.startswith("\\<") else float(cell)


@functools.cache
def table_of(study, label):
    """The scores of a configuration by seed, and the influence of each test row on each: `influences`."""
    found = committed_findings()[study]
    (variant,) = (v for v in found.variants if v.label == label)
    return influences(found.labels, variant.predicted, len(found.classes)) if variant.rows else None


def told(cells):
    """The numbers of some cells: `+0.1`, `0.1 to 0.2`, `< 0.0001`."""
    parts = (part for cell in cells for part in cell.replace("\\< ", "").split(" to "))
    return [float(part.replace("−", "-")) for part in parts]


def test_the_tested_differences_are_those_of_a_two_way_analysis_of_variance():
    """Of all parts of the conclusions, by influences taken numerically and sums of squares written out."""
    text, topic, parts = (RESULTS / "README.md").read_text("utf-8"), "", {}
    for number, what, _, *cells in table_after(text, "## The report's conclusions"):
        if number:
            topic = re.search(r"\((.*)\.md\)", number)[1]
            continue
        study = topic if topic.startswith("cnn") else f"{topic}.reported"
        better, worse = what.removeprefix("not ").split(" \\> ")
        parts[topic, what] = two_way(table_of(study, better), table_of(study, worse)), told(cells)
    assert len(parts) == sum(len(claim.parts) for claim in findings.CLAIMS)
    corrected = holm_of({part: expected[3] for part, (expected, _) in parts.items()})
    for part, ((difference, low, high, _, shows), given) in parts.items():
        assert given == pytest.approx([difference, low, high, corrected[part], shows], abs=3e-3), part
        assert given[:3] == pytest.approx([difference, low, high], abs=2e-4), part


def test_every_published_interval_is_that_of_an_independent_recomputation():
    """Of every configuration of every study: over seeds and rows, spread, validation; what was reached as well."""
    ends = {}
    for finding in committed_findings().values():
        lines = table_after((RESULTS / f"{finding.topic}.md").read_text("utf-8"), "## Scores")
        if lines[0][0] in studies.ARMS:
            lines = [cells for arm, *cells in lines if arm == finding.study.arm]
        for variant, cells in zip(finding.variants, lines, strict=True):
            if not variant.rows:
                assert set(cells[1:5]) == {"–"}
                continue
            scores = [row["test"]["macro_f1"] for row in variant.rows]
            if len(scores) == 1:  # no spread to tell
                assert set(cells[3:5]) == {"–"}
            else:
                mean, low, high, *_ = two_way(table_of(finding.study.name, variant.label))
                half = stats.t.ppf(0.975, len(scores) - 1) * stats.sem(scores)
                low, high = min(low, mean - half), max(high, mean + half)
                assert told([cells[3], cells[4]]) == pytest.approx([low, high, np.std(scores, ddof=1)], abs=6e-4), cells
            held = [row["valid"]["macro_f1"] for row in variant.rows if row["valid"]]
            assert cells[6] == (f"{np.mean(held):.4f}" if held else "–")
            ends[finding.study.name, variant.label] = cells[3]
    for what, _, outcome, _, interval, _, configuration in table_after(
        (RESULTS / "README.md").read_text("utf-8"), "## What was reached"
    ):
        label, study = re.fullmatch(r"(.*) \((.*)\)", configuration).groups()
        if what.startswith("ensemble"):
            found = committed_findings()[study]
            (rows,) = (v.rows for v in found.variants if v.label == label)
            mean = sum(store.unpacked(row["test"]["probabilities"], len(found.labels)) for row in rows)
            (table,), (score,) = influences(found.labels, mean.argmax(1)[None], len(found.classes))
            half = 1.96 * stats.sem(table)
            assert told([interval]) == pytest.approx([score - half, score + half], abs=6e-4)
        else:
            assert interval == ends[study, label], outcome


def test_every_published_comparison_is_that_of_an_independent_recomputation():
    """Of every pair of every study: difference, interval, p, what could be shown, and the verdict after Holm."""
    count = 0
    for group in findings.topics(list(committed_findings().values())):
        text = (RESULTS / f"{group[0].topic}.md").read_text("utf-8")
        lines = table_after(text, "## Comparisons") if "## Comparisons" in text else []
        for finding in group:
            expected = {}
            for first, second in itertools.combinations([v.label for v in finding.present], 2):
                tables = (table_of(finding.study.name, label) for label in (first, second))
                expected[f"{first} − {second}"] = two_way(*tables)
            corrected = holm_of({pair: numbers[3] for pair, numbers in expected.items()})
            mine = [line[len(group) > 1 :] for line in lines if len(group) == 1 or line[0] == finding.study.arm]
            assert [line[0] for line in mine] == list(expected)
            for pair, difference, verdict, interval, p, _, shows in mine:
                middle, low, high, chance, detectable = expected[pair]
                assert told([difference, interval]) == pytest.approx([middle, low, high], abs=2e-4), pair
                assert told([p, shows]) == pytest.approx([chance, detectable], abs=1e-3), pair
                better = pair.split(" − ")[int(middle < 0)]
                assert verdict == (f"{better} is better" if corrected[pair] < 0.05 else "no difference shown"), pair
                count += 1
    assert count > 60


def test_the_published_verdicts_of_every_arm_are_those_of_an_independent_recomputation():
    text = (RESULTS / "README.md").read_text("utf-8")
    given = {n: dict(zip(studies.ARMS, verdicts, strict=True)) for n, *verdicts in table_after(text, "in every arm")}
    assert list(given) == ["3a", "3b", "3c", "4a", "4b", "4c"]
    for arm in studies.ARMS:
        tested = {}
        for claim in findings.CLAIMS:
            for part in claim.parts:
                study = part.study if part.study.startswith("cnn") else f"{part.study}.{arm}"
                if study in studies.STUDIES:
                    tables = [table_of(study, label) for label in (part.better, part.worse)]
                    tested[claim.number, part.better, part.worse, part.denied] = two_way(*tables)
        corrected = holm_of({part: numbers[3] for part, numbers in tested.items()})
        verdicts = {}
        for (number, better, worse, denied), (difference, *_) in tested.items():
            shown = corrected[number, better, worse, denied] < 0.05
            against = "contradicted" if (difference > 0) is denied else "holds"
            verdicts.setdefault(number, set()).add(against if shown else f"not {'contradicted' if denied else 'shown'}")
        for number, by_arm in given.items():
            mine = verdicts.get(number)
            if mine is None:
                assert by_arm[arm] == "–"
            elif len(mine) == 1:
                assert {by_arm[arm]} == mine
            else:
                mixed = "holds in part" if "holds" in mine else "not shown"
                assert by_arm[arm] == ("contradicted" if "contradicted" in mine else mixed)


def test_the_table_of_studies_names_the_highest_means():
    text = (RESULTS / "README.md").read_text("utf-8")
    lines = table_after(text, "## The studies")
    assert len(lines) == len(studies.STUDIES)
    for name, label, score, runs, _ in lines:
        found = committed_findings()[re.match(r"\[(.*)\]", name)[1]]
        done = {v.label: np.mean([row["test"]["macro_f1"] for row in v.rows]) for v in found.variants if v.rows}
        assert runs == f"{sum(len(v.rows) for v in found.variants)} of {found.study.seeds * len(found.variants)}"
        assert (label, score) == ((max(done, key=done.get), f"{max(done.values()):.4f}") if done else ("–", "–"))


def holm_of(chances):
    """{what: p after Holm} of {what: p}."""
    ordered, largest = sorted(chances, key=chances.get), 0.0
    return {
        what: (largest := max(largest, min(1.0, chances[what] * (len(ordered) - i)))) for i, what in enumerate(ordered)
    }


def influences(labels, predicted, classes):
    """((seeds, rows) influence of each row on the score of each seed, the scores)."""
    cells = labels * classes + np.asarray(predicted)
    confusion = [np.bincount(row, minlength=classes**2).reshape(classes, classes).astype(float) for row in cells]
    return np.array([numeric_influence(c).ravel()[row] for c, row in zip(confusion, cells, strict=True)]), np.array(
        [macro_f1(c) for c in confusion]
    )


def test_macro_f1_of_a_confusion_matrix_is_that_of_scikit_learn():
    labels, predicted = np.random.default_rng(0).integers(0, 3, (2, 60))
    _, (score,) = influences(labels, [predicted], 3)
    assert score == pytest.approx(f1_score(labels, predicted, average="macro"), rel=1e-12)


def macro_f1(confusion):
    return np.mean(2 * np.diag(confusion) / (confusion.sum(0) + confusion.sum(1)))


def two_way(*tables):
    """(mean, or difference of two; the ends of its 95% interval; p; what such a test shows in four cases of five)."""
    n, signs = tables[0][0].shape[1], (1, -1)
    rows = sum(sign * u.mean(0) for sign, (u, _) in zip(signs, tables, strict=False)).var(ddof=1) / n
    seeds = [f.var(ddof=1) / len(f) for _, f in tables]
    rest = sum(((u - u.mean(0)) ** 2).sum() / ((len(u) - 1) * (n - 1)) / (len(u) * n) for u, _ in tables)
    variance = max(rows + sum(seeds) - rest, rest)
    spread = sum(s**2 / (len(f) - 1) for s, (_, f) in zip(seeds, tables, strict=True))
    freedom, error = variance**2 / (rows**2 / (n - 1) + spread), variance**0.5
    middle = sum(sign * f.mean() for sign, (_, f) in zip(signs, tables, strict=False))
    edge = stats.t.ppf(0.975, freedom)
    p = 2 * stats.t.sf(abs(middle) / error, freedom)
    return middle, middle - edge * error, middle + edge * error, p, (edge + stats.t.ppf(0.8, freedom)) * error


def numeric_influence(confusion, step=1e-4):
    """(classes, classes): the derivative of macro-F1 by the share of rows in each cell, less its mean."""
    n, change = confusion.sum(), np.zeros(confusion.shape)
    for i, j in np.ndindex(*confusion.shape):
        moved = confusion.copy()
        moved[i, j] += step
        change[i, j] = n * (macro_f1(moved) - macro_f1(confusion)) / step
    return change - (change * confusion).sum() / n


def test_the_page_on_other_data_shows_what_its_rows_give():
    text = (RESULTS / "elsewhere.md").read_text("utf-8")
    found = copy.deepcopy(publish.elsewhere(RESULTS))
    found[0][1][0].present[0].rows[0]["source"] = "a place of their own"
    assert "a place of their own" in document.markdown(evidence.elsewhere_page(found))
    rows, labels = store.read(RESULTS / "digits"), store.labels_of(RESULTS / "digits")["digits"]
    assert all(row["parity"]["held"] and set(row["parity"]["sides"]) > {"Keras"} for row in rows)
    for label, mean, interval, _, seeds, _ in table_after(text, "## digits"):
        mine = [row["test"]["predicted"] for row in rows if row["options"]["pooling"] == label]
        scores = [f1_score(list(labels), list(predicted), average="macro") for predicted in mine]
        assert (mean, seeds) == (f"{np.mean(scores):.4f}", str(len(scores)))
        low, high = stats.t.interval(0.95, len(scores) - 1, np.mean(scores), stats.sem(scores))
        assert interval == f"{low:.3f} to {high:.3f}"


def test_the_settings_taken_are_those_that_the_committed_rows_choose():
    """By arithmetic of its own: means over the repeats of then, the highest over settings of the grid and epochs."""
    scores, counts = {}, Counter()
    for line in (RESULTS / choices.TUNING).read_text("utf-8").splitlines():
        row = json.loads(line)
        counts.update([row["setting"]])
        if row["repeat"] < settings.CHOSEN_OVER.get(row["setting"], 0):
            scores.setdefault(row["setting"], []).append([epoch["macro_f1"] for epoch in row["scores"]["average"]])
    assert set(counts) == set(settings.SETTINGS)
    assert min(counts.values()) >= choices.REPEATS == 5
    means = {label: [sum(epoch) / len(given) for epoch in zip(*given, strict=True)] for label, given in scores.items()}
    best = {label: (max(mean), mean.index(max(mean)) + 1) for label, mean in means.items()}
    for chosen, epochs in (*settings.CHOSEN.values(), *settings.PARTS.values()):
        rivals = [label for label in best if label.split(",")[0] == chosen.split(",")[0]]
        assert (chosen, epochs) == (max(rivals, key=best.get), best[chosen][1])


def test_the_published_table_of_settings_is_that_of_an_independent_recomputation():
    by_setting = {}
    for line in (RESULTS / choices.TUNING).read_text("utf-8").splitlines():
        row = json.loads(line)
        by_setting.setdefault(row["setting"], []).append(row["scores"])
    lines = table_after((RESULTS / "choices.md").read_text("utf-8"), "# How the settings were chosen")
    assert [line[1] for line in lines] == sorted((line[1] for line in lines), reverse=True)
    assert {line[0] for line in lines} == set(by_setting)
    for label, f1, error, epochs, loss, last, repeats in lines:
        scores = [[epoch["macro_f1"] for epoch in row["average"]] for row in by_setting[label]]
        best = max(range(len(scores[0])), key=lambda e: sum(row[e] for row in scores))
        mine = [row[best] for row in scores]
        assert (f1, error, epochs, repeats) == (
            f"{np.mean(mine):.4f}",
            f"{stats.sem(mine):.4f}",
            str(best + 1),
            str(len(mine)),
        )
        at_best = [(row["average"][best]["loss"], row["last"][best]["macro_f1"]) for row in by_setting[label]]
        assert (loss, last) == tuple(
            f"{np.mean(n):.{d}f}" for n, d in zip(zip(*at_best, strict=True), (3, 4), strict=True)
        )


def test_what_later_rows_say_of_the_choices_is_that_of_an_independent_recomputation():
    """Of the settings trained, and of those of the studies that stop early, which no row chose."""
    f1 = {weights: {} for weights in ("average", "last")}
    for line in (RESULTS / choices.TUNING).read_text("utf-8").splitlines():
        row = json.loads(line)
        for weights, by_setting in f1.items():
            epochs = {epoch: scores["macro_f1"] for epoch, scores in enumerate(row["scores"][weights], 1)}
            by_setting.setdefault(row["setting"], {})[row["repeat"]] = epochs
    text = (RESULTS / "choices.md").read_text("utf-8")
    for chosen, epochs in (*settings.CHOSEN.values(), *settings.PARTS.values()):
        mean = {
            (label, epoch): np.mean([by_repeat[repeat][epoch] for repeat in by_repeat])
            for label, by_repeat in f1["average"].items()
            if re.sub("^(rnn|lstm) ", "", label.split(",")[0]) == re.sub("^(rnn|lstm) ", "", chosen.split(",")[0])
            for epoch in by_repeat[0]
        }
        label, epoch = max(mean, key=mean.get)
        of = f"{epoch} epochs of {label} score "
        assert (of in text) == ((label, epoch) != (chosen, epochs))
        if of in text:
            pairs = [(f1["average"][label][r][epoch], f1["average"][chosen][r][epochs]) for r in range(5)]
            error = stats.sem([one - other for one, other in pairs])
            more = mean[label, epoch] - mean[chosen, epochs]
            assert f"{of}{more:.4f} more; the standard error of that difference is {error:.4f}." in text
    stopped = ("lstm, rate 0.003", "rnn, rate 0.003")
    for label in (*stopped, "lstm beside n-grams, rate 0.001", "rnn beside n-grams, rate 0.001"):
        by_repeat = f1["last"][label].values()
        epoch = max(next(iter(by_repeat)), key=lambda e: sum(scores[e] for scores in by_repeat))
        mine = [scores[epoch] for scores in by_repeat]
        assert f"{label} {np.mean(mine):.4f} ({stats.sem(mine):.4f}) after {epoch} epochs" in text


def test_the_design_taken_is_the_best_of_the_published_search():
    """Of the rows that trained to their end; the study has it but for its last two epochs."""
    rows = [json.loads(line) for line in (RESULTS / choices.SEARCH).read_text("utf-8").splitlines()]
    ended = sorted((row for row in rows if row["epoch"] == row["epochs"]), key=lambda row: row["last"], reverse=True)
    lines = table_after((RESULTS / "choices.md").read_text("utf-8"), "## Images")
    keys = ("last", "average", "last, flipped too")
    assert [[line[0], *line[2:5], line[5]] for line in lines] == [
        [row["spec"], *(f"{row[key]:.4f}" for key in keys), str(row["epochs"])] for row in ended
    ]
    costs = [row["multiply_adds"] * 40_000 * row["epochs"] / (38.6e6 * 40_000 * 30) for row in ended]
    assert [float(line[6]) for line in lines] == pytest.approx(costs, abs=6e-3)
    taken = studies.STUDIES["cnn.residual"].variants["residual"]
    f = taken.options.filters
    assert ended[0]["spec"] == f"c{f[0] // 2} q{f[0]} r{f[0]} q{f[1]} q{f[2]} r{f[2]} G"
    same = (ended[0]["opt"], ended[0]["lr"], ended[0]["batch"], ended[0]["wd"], ended[0]["smooth"], ended[0]["shift"])
    assert same == ("sgd", taken.learning_rate, taken.batch_size, 0.005, 0.1, 4)


def test_what_is_told_of_designs_by_hand_is_in_the_rows():
    """The first two designs for images, in docs/choices.md: the second was given up, and its row is in the archive."""
    told = re.findall(r"0\.\d{4}", (RESULTS.parent / "choices.md").read_text("utf-8"))
    files = [RESULTS / "rows.jsonl", RESULTS / "archive.jsonl"]
    first, second = ([json.loads(line) for line in file.read_text("utf-8").splitlines()] for file in files)
    run = studies.run_name(studies.STUDIES["cnn.designed"].variants["designed"])
    valid = [row["valid"]["macro_f1"] for row in first if row["run"] == run]
    valid += [row["valid"]["macro_f1"] for row in second if row["options"].get("depth") == 2]
    assert told == [f"{f1:.4f}" for f1 in valid]


@pytest.mark.parametrize(("model", "file"), [("nusax-lstm", "rows.jsonl"), ("cifar10-cnn", "archive.jsonl")])
def test_the_cards_of_the_models_say_what_the_rows_of_their_training_say(model, file):
    card = (RESULTS.parent.parent / "examples" / "models" / f"{model}.md").read_text("utf-8")
    labels = json.loads((RESULTS / "labels.json").read_text())
    start = re.search(r"the configuration `(.*)` in", card)[1] + "_seed-"
    rows = [json.loads(line) for line in (RESULTS / file).read_text("utf-8").splitlines()]
    scores = {
        row["seed"]: f1_score(list(labels[row["data"]]), list(row["test"]["predicted"]), average="macro")
        for row in rows
        if row["run"].startswith(start)
    }
    one, mean = (re.search(rf"\| {what}.*\| (.*) \|", card) for what in ("this file, test", "mean of its"))
    assert one[1] == f"{scores[0]:.4f}"
    assert mean[1] == f"{np.mean(list(scores.values())):.4f}"
    assert (
        f"its {len(scores)} seeds, test split (standard deviation {np.std(list(scores.values()), ddof=1):.4f})" in card
    )


def test_the_published_page_on_parity_is_that_of_an_independent_recomputation():
    """Verdicts from the errors and what they may be, ratios by seed, and the seed that is nearest to its limit."""
    rows = {row["run"]: row for row in map(json.loads, (RESULTS / "rows.jsonl").read_text("utf-8").splitlines())}
    text = (RESULTS / "parity.md").read_text("utf-8")
    ratios, failed, seen = {}, set(), set()
    for run, row in rows.items():
        keras, *ours = row["parity"]["sides"].values()
        assert list(row["parity"]["sides"]) == ["Keras", "fnet numpy", "fnet jax"]
        assert row["parity"]["allowed"] == pytest.approx(2 * keras["error"] + 2e-6)
        assert keras["macro_f1"] == row["test"]["macro_f1"]
        for name, side in zip(("fnet numpy", "fnet jax"), ours, strict=True):
            ratios.setdefault((row["family"], name), []).append(side["mean_abs_error"] / keras["mean_abs_error"])
            if (
                side["error"] > row["parity"]["allowed"]
                or (1 - side["agreement"]) * row["parity"]["rows"] > side["ties"]
            ):
                failed.add(run)
    verdict = f"does not hold for {len(failed)} of {len(rows)}" if failed else f"for all {len(rows)} runs"
    assert verdict in text.split("\n> **")[1]
    means = [[*side, f"{np.mean(found):.2f}", str(len(found))] for side, found in ratios.items()]
    assert sorted(table_after(text, "| family")) == sorted(means)
    for study in studies.STUDIES.values():
        mine = {label: studies.run_name(config).rpartition("-")[0] for label, config in study.variants.items()}
        mine = {
            label: [r for r in rows if r.rpartition("-")[0] == run] for label, run in mine.items() if run not in seen
        }
        seen |= {runs[0].rpartition("-")[0] for runs in mine.values() if runs}
        lines = table_after(text, f"\n## {study.name}\n") if any(mine.values()) else []
        assert [line[0] for line in lines] == [label for label, runs in mine.items() if runs]
        for label, holds, means, strains, error, keras, allowed, ties, same in lines:
            runs = sorted(mine[label], key=lambda run: int(run.rpartition("-")[2]))
            assert holds == ("does not hold" if failed & set(runs) else "holds")
            sides = np.array([[[s["mean_abs_error"], s["error"], s["ties"], s["agreement"]]
                               for s in rows[run]["parity"]["sides"].values()] for run in runs])  # fmt: skip
            limits = np.array([rows[run]["parity"]["allowed"] for run in runs])
            assert told(means.split()) == pytest.approx(sides[:, 1:, 0].max(1) / sides[:, 0, 0], abs=6e-3)
            near = sides[:, 1:, 1].max(1) / limits
            assert told(strains.split()) == pytest.approx(near, abs=6e-3)
            at = near.argmax()
            numbers = sides[at, 1:, 1].max(), sides[at, 0, 1], limits[at]
            assert told([error, keras, allowed]) == pytest.approx(numbers, rel=0.06)
            assert int(ties) == sides[:, 1:, 2].max(1).sum()
            count = rows[runs[0]]["parity"]["rows"]
            assert same == f"{round(sides[:, 1:, 3].min() * count)} of {count}"


@pytest.mark.slow
def test_the_published_baselines_are_those_of_an_independent_recomputation():
    """Of the texts that FNET_DATA has, whose numbers are published, else of the made-up reviews."""
    texts = data.load("texts")
    published = baselines.kept(RESULTS).get(texts.name) or baselines.measure(texts)
    given = linear_models([(list(split.x), split.y) for split in texts.splits.values()])
    for i, scores in enumerate((published["validation"], published["scores"])):
        told = [scores[name] for name in given]
        assert told == pytest.approx([found[i] for found in given.values()], abs=1e-6)


def test_the_published_baselines_agree_with_each_other_and_with_the_labels():
    known = json.loads((RESULTS / baselines.BASELINES).read_text("utf-8"))
    lines = table_after((RESULTS / "README.md").read_text("utf-8"), "| data | baseline")
    expected = [
        [name, label, f"{score:.4f}", f"{found['validation'][label]:.4f}"]
        for name, found in known.items()
        for label, score in found["scores"].items()
    ]
    assert lines == expected
    for name, digits in json.loads((RESULTS / "labels.json").read_text("utf-8")).items():
        largest, classes = max(Counter(digits).values()), len(set(digits))
        alone = 2 * largest / (len(digits) + largest) / classes  # of a model that gives one class
        assert known[name]["scores"]["majority class"] == pytest.approx(alone)
    *models, (_, chosen, *scores) = (line for line in lines if line[0] == "nusax")
    assert chosen == baselines.CHOSEN
    assert scores == max((line[2:] for line in models), key=lambda pair: float(pair[1]))


def linear_models(splits):
    """{baseline: macro-F1 on validation and on test}, tf-idf and both classifiers written out.

    splits: (texts, labels) for training, validation, test. A linear model that is held back in L2 is one on the
    coordinates of a text in the span of the training texts, which are no more than these.
    """
    texts = [text for given, _ in splits for text in given]
    count, y = len(splits[0][1]), splits[0][1]
    found = {}
    for features in baselines.FEATURES:
        x = np.hstack([tf_idf([TERMS[kind](text) for text in texts], count) for kind in TERMS if kind in features])
        values, vectors = np.linalg.eigh(x[:count] @ x[:count].T)
        kept = values > 1e-9
        x = x @ (x[:count].T @ (vectors[:, kept] / np.sqrt(values[kept])))
        for name, fitted in FITTED.items():
            tried = []
            for strength in baselines.STRENGTHS[name]:
                predicted = np.split(
                    fitted(x, np.eye(3)[y], strength).argmax(1), np.cumsum([len(s[1]) for s in splits[:-1]])
                )
                tried.append(
                    [f1_score(s[1], p, average="macro") for s, p in list(zip(splits, predicted, strict=True))[1:]]
                )
            found[f"{name}, {features}"] = max(tried, key=lambda scores: scores[0])
    return found


def pieces(text):
    """2 to 5 characters of each word with a blank at its two ends."""
    words = [f" {word} " for word in text.lower().split()]
    return [word[i : i + n] for word in words for n in (2, 3, 4, 5) for i in range(len(word) - n + 1)]


TERMS = {"words": lambda text: re.findall(r"\b\w\w+\b", text.lower()), "characters": pieces}


def tf_idf(documents, count):
    """(documents, terms of the first `count`): (1 + log of the count) times idf, each document of length 1."""
    known = {term: i for i, term in enumerate(dict.fromkeys(itertools.chain(*documents[:count])))}
    x = np.zeros((len(documents), len(known)))
    for row, given in zip(x, documents, strict=True):
        for term, times in Counter(given).items():
            if term in known:
                row[known[term]] = 1 + math.log(times)
    x *= np.log((1 + count) / (1 + (x[:count] > 0).sum(0))) + 1
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)


def logistic_regression(x, y, strength):
    """Logits of all rows; softmax, the weights held back in L2 and the bias not. y: (training rows, classes)."""
    n, classes = y.shape

    def loss(flat):
        w = flat.reshape(-1, classes)
        logits = x[:n] @ w[1:] + w[0]
        slope = strength * (special.softmax(logits, axis=1) - y)
        total = strength * (special.logsumexp(logits, axis=1) - (logits * y).sum(1)).sum() + (w[1:] ** 2).sum() / 2
        return total, np.vstack([slope.sum(0), x[:n].T @ slope + w[1:]]).ravel()

    w = minimum(loss, (x.shape[1] + 1, classes))
    return x @ w[1:] + w[0]


def linear_svm(x, y, strength):
    """Margins of all rows; each class against the others, squared hinge, weights and bias held back in L2."""
    n, classes = y.shape
    x, side = np.hstack([x, np.ones((len(x), 1))]), 2 * y - 1

    def loss(flat):
        w = flat.reshape(-1, classes)
        short = np.maximum(0, 1 - side * (x[:n] @ w))
        return strength * (short**2).sum() + (w**2).sum() / 2, (w - 2 * strength * x[:n].T @ (short * side)).ravel()

    return x @ minimum(loss, (x.shape[1], classes))


FITTED = {"logistic regression": logistic_regression, "linear SVM": linear_svm}


def minimum(loss, shape):
    """Where a convex loss is least."""
    options = {"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-14, "gtol": 1e-7}
    return optimize.minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(
        shape
    )


def test_the_published_simulation_is_what_its_settings_give_on_paper():
    """Macro-F1 of classes that are alike is near the share of right rows, a normal chance; the page shows the file."""
    known = json.loads((RESULTS / "simulation.json").read_text("utf-8"))
    for given in known:
        spread = math.hypot(*(given[part] for part in ("row", "suited", "seed", "rest")))
        right = [stats.norm.cdf((given["mean"] + shift) / spread) for shift in (given["shift"], 0)]
        assert given["true difference"] == pytest.approx(right[0] - right[1], rel=0.03), given["name"]
    lines = table_after((RESULTS / "README.md").read_text("utf-8"), "| made-up trainings")
    assert [[name, *map(float, numbers)] for name, *numbers in lines] == [
        [g["name"], *(round(g[key], digits) for key, digits in SHOWN.items())] for g in known
    ]


SHOWN = {"type I error": 3, "power": 2, "true difference": 3, "detectable": 3, "trials": 0}


@pytest.mark.slow
@pytest.mark.parametrize("given", simulation.SETTINGS[1:], ids=lambda given: given.name)
def test_the_published_simulation_is_that_of_an_independent_recomputation(given):
    """Margins drawn in another way, and the test by `two_way`; within four standard errors of both simulations."""
    (published,) = (s for s in json.loads((RESULTS / "simulation.json").read_text("utf-8")) if s["name"] == given.name)
    rng, trials = np.random.default_rng(7), 300
    labels = np.arange(given.rows) % given.classes
    for key, shift in (("type I error", 0.0), ("power", given.shift)):
        chances, shows = [], []
        for _ in range(trials):
            row = rng.normal(0, given.row, given.rows)
            tables = []
            for favour in (shift, 0.0):
                margins = given.mean + favour + row + rng.normal(0, given.suited, given.rows)
                margins = margins + rng.normal(0, given.seed, given.seeds)[:, None]
                right = rng.random((given.seeds, given.rows)) < stats.norm.cdf(margins / given.rest)
                other = (labels + rng.integers(1, given.classes, given.rows)) % given.classes
                tables.append(influences(labels, np.where(right, labels, other), given.classes))
            *_, p, detectable = two_way(*tables)
            chances.append(p)
            shows.append(detectable)
        rate = np.mean(np.array(chances) < 0.05)
        both = (rate * trials + published[key] * published["trials"]) / (trials + published["trials"])
        error = math.sqrt(both * (1 - both) * (1 / trials + 1 / published["trials"]))
        assert rate == pytest.approx(published[key], abs=4 * error), key
    assert np.mean(shows) == pytest.approx(published["detectable"], rel=0.05)
