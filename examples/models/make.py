"""Copies the designed models of the studies here, seed 0 of each, and writes their cards from the result rows.

python examples/models/make.py [RUNS [RESULTS]]     (runs/studies and docs/results)

Where RUNS does not hold the run of a model, its file stays as it is, and so does its card: it tells of that training.
"""

import hashlib
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import fnet
from compare.studies import choices, rows
from train_keras.settings import PARTS
from train_keras.studies import STUDIES, run_name

HERE = Path(__file__).parent
CARD = """# {title}

`{file}.safetensors`, {size:.1f} MB, SHA-256 `{digest}`: {about}

| | macro-F1 |
| :-- | --: |
| {before} | {valid:.4f} |
| this file, test split ({rows:,} rows) | {test:.4f} |
| mean of its {seeds} seeds, test split (standard deviation {spread:.4f}) | {mean:.4f} |

It is seed 0 of the configuration `{run}` in [docs/results](../../docs/results/README.md), which was chosen {chosen};
the seed was not chosen. Trained with Keras {keras} on TensorFlow {tensorflow}.

```sh
{command}
```

**Takes** {takes} **Gives** probabilities of {classes}.

**Data.** {data}

**For** examples and tests. {limits}
{tried}"""

TRIED = """
**Tried on {count} short phrases of everyday Indonesian**, which chose nothing. It gives what was expected for {right}.
Wrong are {wrong}.
Most of the texts that say “sekali” (very) are complaints, and two words leave little else to go by.

| phrase | expected | given | probability |
| :-- | :-- | :-- | --: |
{lines}
"""
PHRASES = {
    "positive": (
        *("enak sekali", "bagus sekali", "sangat memuaskan", "saya suka", "pelayanannya ramah", "mantap", "saya puas"),
        *("murah dan enak", "tempatnya nyaman", "pasti kembali lagi"),
    ),
    "negative": (
        *(
            "tidak enak",
            "jelek sekali",
            "mengecewakan",
            "mahal sekali",
            "pelayanannya lambat",
            "kotor dan bau",
            "kapok",
        ),
        *("tidak akan kembali lagi", "rasanya hambar", "makanannya basi"),
    ),
    "neutral": ("buka jam delapan", "ada di jalan sudirman", "saya pesan nasi goreng", "harganya 20 ribu"),
}
MODELS = {
    "cifar10-cnn": {
        "study": "cnn.designed",
        "chosen": "on training and validation data",
        "title": "CIFAR-10: a small convolutional network",
        "about": "four blocks of convolution, batch normalization, relu and max pooling (32, 64, 128, 256 filters), "
        "the mean over the image, softmax. Trained for 15 epochs on flipped and shifted images.",
        "command": "fnet predict examples/models/cifar10-cnn.safetensors photo.png --resize",
        "takes": "pixels 0 to 255, (n, 32, 32, 3); the division by 255 is its first layer.",
        "classes": "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck",
        "data": "CIFAR-10 (Krizhevsky, 2009: Learning Multiple Layers of Features from Tiny Images), 40,000 of its "
        "50,000 training images, as JPEG copies: scores on the original pixels may differ a little. Its authors "
        "state no licence and ask for the citation.",
        "limits": "It knows ten classes in 32 x 32 pixels, and gives one of them for anything that it is shown.",
    },
    "nusax-lstm": {
        "study": "text.parts",
        "chosen": "by its score in cross-validation, the highest of the parts of the designed model "
        "([choices](../../docs/results/choices.md))",
        "title": "NusaX: sentiment of Indonesian reviews",
        "about": "a bidirectional LSTM of 64 units over word embeddings, its outputs pooled, beside linear branches on "
        "the tf-idf of words and of sequences of 3 to 5 characters.",
        "command": "fnet predict examples/models/nusax-lstm.safetensors --text 'pelayanannya ramah sekali'",
        "takes": "strings; standardization, vocabulary and tf-idf weights are in the file.",
        "classes": "negative, neutral, positive",
        "data": "NusaX-Senti, Indonesian (Winata et al., EACL 2023: NusaX: Multilingual Parallel Sentiment Dataset for "
        "10 Indonesian Local Languages), the 600 texts of its training and validation splits; licence CC BY-SA 4.0. "
        "The vocabulary in the file is made of its words, so this file is under [CC BY-SA 4.0](https://creativecommons.org/licenses/"
        "by-sa/4.0/), too.",
        "limits": "It learnt from 600 comments and reviews, and carries what biases they have.",
    },
}


def main(runs: Path, results: Path) -> None:
    found = {row["run"]: row for row in rows.read(results)}
    for file, about in MODELS.items():
        label, before, score = chosen(about["study"], found, results)
        name = run_name(STUDIES[about["study"]].variants[label])
        seeds = [row for run, row in found.items() if run.startswith(name.removesuffix("0"))]
        scores = [row["test"]["macro_f1"] for row in seeds]
        row = found[name]
        if not (runs / name / "model.safetensors").exists():
            continue
        target = HERE / f"{file}.safetensors"
        shutil.copyfile(runs / name / "model.safetensors", target)
        card = CARD.format(
            **about,
            file=file,
            size=target.stat().st_size / 1e6,
            digest=hashlib.sha256(target.read_bytes()).hexdigest(),
            before=before,
            valid=score,
            test=row["test"]["macro_f1"],
            rows=row["parity"]["rows"],
            seeds=len(scores),
            mean=statistics.mean(scores),
            spread=statistics.stdev(scores),
            run=name.removesuffix("_seed-0"),
            keras=row["keras"],
            tensorflow=row["tensorflow"],
            tried=tried(target) if row["family"] != "cnn" else "",
        )
        (HERE / f"{file}.md").write_text(card, "utf-8")


def chosen(study: str, found: dict[str, Any], results: Path) -> tuple[str, str, float]:
    """(label of the configuration of a study that is shipped, what scored it before the test split, the score)."""
    if study == "cnn.designed":
        run = run_name(STUDIES[study].variants["designed"])
        return "designed", "this file, validation split", found[run]["valid"]["macro_f1"]
    scored = {one.label: one for one in choices.scored(choices.kept(results))}
    f1 = {part: scored[of].by_epoch["average"][:, epochs - 1].mean() for part, (of, epochs) in PARTS.items()}
    label = max(PARTS, key=lambda part: f1[part])
    repeats = scored[PARTS[label][0]].repeats
    return label, f"its setting, cross-validation over the rows that it trained on, {repeats} times", f1[label]


def tried(file: Path) -> str:
    """What a model of texts gives for the phrases."""
    model, params = fnet.load(file)
    labels = fnet.load_info(file)["labels"]
    pairs = [(phrase, wanted) for wanted, phrases in PHRASES.items() for phrase in phrases]
    scores = fnet.predict(model, params, [phrase for phrase, _ in pairs])
    given = [(labels[row.argmax()], row.max()) for row in scores]
    wrong = [f"“{phrase}”" for (phrase, wanted), (label, _) in zip(pairs, given, strict=True) if wanted != label]
    lines = (f"| {p} | {w} | {g} | {s:.2f} |" for (p, w), (g, s) in zip(pairs, given, strict=True))
    return TRIED.format(count=len(pairs), right=len(pairs) - len(wrong), wrong=", ".join(wrong), lines="\n".join(lines))


if __name__ == "__main__":
    given = [Path(word) for word in sys.argv[1:]]
    main(*given, *(Path("runs/studies"), Path("docs/results"))[len(given) :])
