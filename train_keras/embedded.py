"""Data that needs no network: scikit-learn's digits, and Indonesian reviews made from the phrases below.

The reviews are synthetic: no person wrote them, and a score on them says only that the machinery works.
Each is a subject, an opinion (or, for neutral ones, a plain fact) and a setting that carries no sentiment.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np

SUBJECTS = {
    "makanan": ("Nasi goreng di warung ini", "Ayam bakar yang saya pesan", "Kopi di kedai itu", "Soto di kantin"),
    "tempat": ("Kamar hotel ini", "Taman di pusat kota", "Museum dekat stasiun", "Pantai di ujung desa"),
    "barang": ("Sepatu yang saya beli", "Telepon genggam baru ini", "Tas kulit itu", "Lampu meja ini"),
    "layanan": ("Pelayan di restoran ini", "Aplikasi pesan antar itu", "Kurir dari toko ini", "Petugas loket"),
}

OPINIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "negative": {
        "makanan": ("terlalu asin dan dingin", "tidak enak sama sekali", "hambar dan mahal", "membuat perut sakit"),
        "tempat": ("kotor dan berbau", "sangat mengecewakan", "bising dan tidak nyaman", "rusak dan tidak terawat"),
        "barang": ("cepat rusak", "tidak sesuai gambar", "jelek dan mudah sobek", "berhenti bekerja setelah dua hari"),
        "layanan": ("lambat dan tidak ramah", "sering gagal", "kasar kepada pembeli", "membuat saya kecewa sekali"),
    },
    "neutral": {
        "makanan": (
            "disajikan dengan air putih",
            "dijual mulai pukul tujuh",
            "tersedia dalam dua ukuran",
            "dimasak oleh koki",
        ),
        "tempat": ("buka sampai hari jumat", "memiliki dua pintu", "berada di jalan merdeka", "dibangun tahun lalu"),
        "barang": ("berwarna hitam", "dikirim dari bandung", "berukuran sedang", "terdaftar di katalog"),
        "layanan": ("bekerja pada hari minggu", "memakai seragam biru", "berkantor di surabaya", "melayani tiga kota"),
    },
    "positive": {
        "makanan": ("enak sekali dan segar", "lezat dan murah", "rasanya luar biasa", "tidak pernah mengecewakan"),
        "tempat": ("bersih dan nyaman", "indah sekali", "sangat menyenangkan", "tidak bising dan terawat"),
        "barang": ("awet dan berkualitas", "bagus sekali", "sesuai gambar dan rapi", "tidak mudah rusak"),
        "layanan": ("ramah dan cepat", "sangat membantu", "sopan kepada pembeli", "membuat saya puas sekali"),
    },
}

SETTINGS = (
    "Saya datang bersama teman kemarin.",
    "Kami ke sana pada akhir pekan.",
    "Ini kunjungan kedua bagi saya.",
    "Saya membayar dengan kartu.",
    "Waktu itu hujan turun.",
    "Adik saya juga ikut.",
)

PER_CLASS = {"train": 90, "valid": 20, "test": 20}
"""Reviews of each class in each split: 390 in all."""


def digits() -> tuple[Any, Any]:
    """(pixels (1797, 8, 8, 1) uint8, labels (1797,)): scikit-learn's digits, 0..16 scaled to 0..255."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.round(found.images * (255 / 16)).astype(np.uint8)
    return pixels[..., None], found.target.astype(np.int64)


def reviews() -> dict[str, tuple[list[str], list[int]]]:
    """{split: (texts, labels)}: balanced, the same on every call, no sentence in two splits."""
    rng = random.Random(0)
    drawn = [rng.sample(_sentences(label), sum(PER_CLASS.values())) for label in OPINIONS]
    made, start = {}, 0
    for split, count in PER_CLASS.items():
        pairs = [(text, i) for i, texts in enumerate(drawn) for text in texts[start : start + count]]
        rng.shuffle(pairs)
        made[split] = ([text for text, _ in pairs], [label for _, label in pairs])
        start += count
    return made


def _sentences(label: str) -> list[str]:
    """Every review of one class that the phrases can form, with the setting first or last."""
    made = []
    for topic, subjects in SUBJECTS.items():
        for subject, opinion, setting in itertools.product(subjects, OPINIONS[label][topic], SETTINGS):
            made += [f"{subject} {opinion}. {setting}", f"{setting} {subject} {opinion}."]
    return made
