"""Text banks: one unit vector for the words of every class, in a small file, so that training needs no text encoder."""
from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence, Union

import numpy as np

from .space import fold, unknown
from .texts import all_texts

STAND_IN = 'hashed-ngrams'
FORMAT = 1
# What makes two banks the same: vectors of the same words from the same encoder.
SOURCE_KEYS = ('encoder', 'checkpoint', 'templates')


@dataclass(frozen=True)
class TextBank:
    """Unit vectors of words.

    Attributes:
        texts: the words, each once.
        embeddings: (T, C) float32, one unit row for each.
        manifest: ``encoder`` (its name), ``checkpoint`` (name, or SHA-256 of its file, '' without), ``templates``
            (sentences with ``{}`` for the words), and what else was noted when it was made.
    """
    texts: tuple
    embeddings: np.ndarray
    manifest: Dict[str, Any]

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.texts):
            raise ValueError(f'{len(self.texts)} texts but embeddings of shape {self.embeddings.shape}')
        missing = [key for key in SOURCE_KEYS if key not in self.manifest]
        if missing:
            raise ValueError(f'the manifest of a text bank must have {missing}')
        if len(set(map(fold, self.texts))) != len(self.texts):
            raise ValueError('a text bank has two entries for the same words')
        wrong = np.flatnonzero(~(np.abs(np.linalg.norm(self.embeddings, axis=1) - 1) < 1e-3))
        if len(wrong):
            raise ValueError(f'the embedding of {self.texts[wrong[0]]!r} is no unit vector')

    @property
    def source(self) -> Dict[str, Any]:
        """What the vectors come from: ``encoder``, ``checkpoint`` and ``templates``."""
        return {key: self.manifest[key] for key in SOURCE_KEYS}

    def indices(self, texts: Iterable[str]) -> List[int]:
        """Rows of words, in any case and with any separators.

        Raises:
            UnknownNameError: words that the bank does not have; the nearest ones are named.
        """
        rows = {fold(text): row for row, text in enumerate(self.texts)}
        texts = list(texts)
        for text in texts:
            if fold(text) not in rows:
                raise unknown('text of the text bank', text, self.texts,
                              'build a bank with it: tools/build_text_bank.py --text WORDS')
        return [rows[fold(text)] for text in texts]

    def rows(self, texts: Iterable[str]) -> np.ndarray:
        """(K, C) embeddings of words; errors as :meth:`indices`."""
        return self.embeddings[self.indices(texts)]

    def save(self, path: Union[str, Path]) -> None:
        """Write the bank; whatever happens, the file is whole or absent."""
        from pretrain3d.files import write_atomic
        manifest = dict(self.manifest, format=FORMAT, texts=list(self.texts))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, embeddings=self.embeddings.astype(np.float32),
                            manifest=np.array(json.dumps(manifest, ensure_ascii=False)))
        write_atomic(Path(path), buffer.getvalue())

    @classmethod
    def load(cls, path: Union[str, Path]) -> 'TextBank':
        """Read a bank. Nothing pickled in the file is executed.

        Raises:
            FileNotFoundError, ValueError: there is none, or another kind of file; the mend is named.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f'there is no text bank {path}; build one with tools/build_text_bank.py, or use '
                                    f'text_bank={STAND_IN!r}, which knows nothing of language')
        try:
            with np.load(path, allow_pickle=False) as data:
                manifest = json.loads(str(data['manifest'][()]))
                if manifest.pop('format') != FORMAT:
                    raise ValueError('another format')
                return cls(tuple(manifest.pop('texts')), data['embeddings'].astype(np.float32), manifest)
        except Exception as error:  # zip, header, json: many kinds
            raise ValueError(f'{path} is no text bank of this version ({error}); build it again with '
                             'tools/build_text_bank.py') from error


def stand_in_bank(texts: Sequence[str] = (), channels: int = 512) -> TextBank:
    """A bank made without a text encoder: hashed n-grams of characters. The same bits on every machine.

    Words with many letters in a row in common are near each other, and that is all it knows: nothing about language
    follows from a result with it.

    Args:
        texts: words; none: those of all classes of all label spaces.
        channels: length of the vectors.
    """
    texts = tuple(texts) or tuple(all_texts())
    rows = np.stack([_hashed(text, channels) for text in texts])
    return TextBank(texts, rows, dict(encoder=STAND_IN, checkpoint='', templates=['{}'], channels=channels))


def _hashed(text: str, channels: int) -> np.ndarray:
    """Unit vector of the signed, hashed runs of 2, 3 and 4 characters and of the words of ``text``."""
    text = ' '.join(text.lower().split())
    padded = f' {text} '
    grams = [padded[start:start + size] for size in (2, 3, 4) for start in range(len(padded) - size + 1)]
    vector = np.zeros(channels, np.float64)
    for gram in (*grams, *text.split(), f'={text}'):
        digest = int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), 'big')
        vector[(digest >> 1) % channels] += 1 if digest & 1 else -1
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def open_text_bank(name: Union[str, Path]) -> TextBank:
    """The bank of that file, or the stand-in where ``name`` is ``'hashed-ngrams'``."""
    return stand_in_bank() if str(name) == STAND_IN else TextBank.load(name)
