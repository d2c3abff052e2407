"""Lowercased BLEU on Moses tokens, which papers on Multi30k report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from sacrebleu.metrics import BLEU
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from .languages import base_language
from .metrics import Score, check_counts


def moses_bleu(hypotheses: Sequence[str], references: Sequence[str], target_language: str) -> Score:
    """BLEU of texts that were lowercased, normalized and tokenized, both sides alike.

    The steps are those of Multi30k's `scripts/task1-tokenize.sh`: `str.lower`, punctuation by
    `MosesPunctNormalizer`, tokens by `MosesTokenizer` without escapes and without splitting
    hyphens. BLEU takes the tokens between the spaces, without smoothing, as `multi-bleu.perl` does.

    Args:
        hypotheses: one detokenized text a sentence.
        references: one detokenized text a sentence.
        target_language: a language code such as "de"; a language for which Moses has no rules has
            those of English.

    Raises:
        ValueError: the counts differ or are zero.

    Source: the evaluation of Wu et al. (2021), arXiv 2105.14462, section 4, with sacremoses for
    Moses' scripts.
    """
    check_counts(hypotheses, references)
    language = base_language(target_language)
    normalizer = MosesPunctNormalizer(language)
    tokenizer = MosesTokenizer(language)

    def tokens(text: str) -> str:
        normalized = normalizer.normalize(text.lower())
        return tokenizer.tokenize(normalized, return_str=True, escape=False)

    bleu = BLEU(tokenize="none", smooth_method="none", force=True)
    hypothesis_tokens = [tokens(text) for text in hypotheses]
    reference_tokens = [tokens(text) for text in references]
    score = bleu.corpus_score(hypothesis_tokens, [reference_tokens])

    signature = f"{bleu.get_signature()} after lc|sacremoses.{version('sacremoses')}|{language}"
    return Score(
        name="BLEU of Moses tokens", value=score.score, signature=signature, lowercased=True
    )
