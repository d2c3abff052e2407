"""Lowercased BLEU on Moses tokens, which papers on Multi30k report, beside sacreBLEU's own
tokenization."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from sacrebleu.metrics import BLEU
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from .languages import base_language
from .metrics import Score, check_counts


def moses_bleu(hypotheses: Sequence[str], references: Sequence[str], target_language: str) -> Score:
    """Gives BLEU of texts that were lowercased, normalized and tokenized, both sides alike.

    The steps are those of Multi30k's `scripts/task1-tokenize.sh`: `str.lower`, punctuation by
    `MosesPunctNormalizer`, tokens by `MosesTokenizer` without escapes and without splitting
    hyphens; and BLEU without smoothing of what stands between the spaces, which is
    `multi-bleu.perl`'s.

    Args:
        hypotheses, references: one detokenized text a sentence.
        target_language: language code such as "de"; Moses' rules of English for those it has none
        of.

    Raises:
        ValueError: the counts differ or are zero.

    Source: the evaluation of Wu et al. (2021), arXiv 2105.14462, section 4, with sacremoses for
    Moses' scripts.
    """
    check_counts(hypotheses, references)
    language = base_language(target_language)
    normalizer, tokenizer = MosesPunctNormalizer(language), MosesTokenizer(language)

    def tokens(text: str) -> str:
        return tokenizer.tokenize(normalizer.normalize(text.lower()), return_str=True, escape=False)

    bleu = BLEU(tokenize="none", smooth_method="none", force=True)
    score = bleu.corpus_score(
        [tokens(text) for text in hypotheses], [[tokens(text) for text in references]]
    )
    signature = f"{bleu.get_signature()} after lc|sacremoses.{version('sacremoses')}|{language}"
    return Score("BLEU of Moses tokens", score.score, signature, lowercased=True)
