"""Which words of a review decide? Each is left out in turn; the model runs on NumPy alone.

python examples/which_words.py kamarnya bersih tapi pelayanannya lambat sekali
"""

import sys
from pathlib import Path

import fnet

MODEL = Path(__file__).parent / "models" / "nusax-lstm.safetensors"

model, weights = fnet.load(MODEL)
labels = fnet.load_info(MODEL)["labels"]
words = " ".join(sys.argv[1:] or ["kamarnya bersih tapi pelayanannya lambat sekali"]).split()
if len(words) < 2:
    sys.exit("give two words or more: of no words at all the model can say nothing")
without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
scores = fnet.predict(model, weights, [" ".join(words), *without])
label = fnet.classes(model, scores)[0]
print(f"{labels[label]}: {scores[0, label]:.3f}")
for word, score in zip(words, scores[1:, label], strict=True):
    print(f"{scores[0, label] - score:+.3f}  {word}")
