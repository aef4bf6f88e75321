"""Weights that their authors published: address, hash, licence and citation of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """Weights that their authors published.

    kind : which importer of `earmark.published` reads them
    file : what the file is called in a mirror and in the cache
    url : the authors' address, at a fixed commit; None where no public address is known
    sha256, size : of the file; size in bytes
    """

    kind: str
    file: str
    url: str | None
    sha256: str
    size: int
    licence: str
    citation: str
    description: str


_CHOI = "https://raw.githubusercontent.com/keunwoochoi/music-auto_tagging-keras/90b294091adaada477b9003201dd20a9fe15a3c1/data/"
_WON = "https://raw.githubusercontent.com/minzwon/sota-music-tagging-models/ffcd1f90b97a1e923a50c6e5283f147cf9dd7dfd/models/"
_WON_2020 = (
    "M. Won, A. Ferraro, D. Bogdanov, X. Serra: Evaluation of CNN-based automatic music tagging "
    "models. SMC 2020, arXiv:2006.00751"
)


def _musicnn(description: str) -> Weights:
    """One of the four networks in the wheel of the musicnn package."""
    return Weights(
        kind="musicnn",
        file="musicnn-0.1.0-py3-none-any.whl",
        url="https://files.pythonhosted.org/packages/1b/6f/"
        "38229e7d99c438e11114bbfa39c8c39185458c398011d0b6d7d7c7401617/musicnn-0.1.0-py3-none-any.whl",
        sha256="f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
        size=29_292_476,
        licence="ISC",
        citation="J. Pons, X. Serra: musicnn: pre-trained convolutional neural networks for music "
        "audio tagging. ISMIR 2019 late-breaking, arXiv:1909.06654",
        description=description,
    )


PUBLISHED: dict[str, Weights] = {
    "choi2016": Weights(
        kind="choi2016",
        file="music_tagger_crnn_weights_theano.h5",
        url=_CHOI + "music_tagger_crnn_weights_theano.h5",
        sha256="783d8198417fd5d6ceee551dea5ec3e7f0210ec743af4819172b5c943044081c",
        size=1_649_664,
        licence="MIT",
        citation="K. Choi, G. Fazekas, M. Sandler, K. Cho: Convolutional recurrent neural networks "
        "for music classification. ICASSP 2017, arXiv:1609.04243",
        description="CRNN of Choi et al., read as it was trained (the restored reading)",
    ),
    "choi2016-cnn": Weights(
        kind="choi2016",
        file="music_tagger_cnn_weights_theano.h5",
        url=_CHOI + "music_tagger_cnn_weights_theano.h5",
        sha256="36184d9fde3e95957bfbf63ee6685258f613ce8cf2f0373c641b1a448c14874b",
        size=3_523_792,
        licence="MIT",
        citation="K. Choi, G. Fazekas, M. Sandler: Automatic tagging using deep convolutional "
        "neural networks. ISMIR 2016, arXiv:1606.00298",
        description="CNN of Choi et al., read as it was trained (the restored reading)",
    ),
    "won2020-fcn": Weights(
        kind="won2020",
        file="won2020_msd_fcn.pth",
        url=_WON + "msd/fcn/best_model.pth",
        sha256="6012aa7eecf864a8081faedca56af054521e8dfb9c5c98659a3dd5d3e1e66f21",
        size=1_902_815,
        licence="MIT",
        citation=_WON_2020,
        description="FCN of Won et al., trained on the Million Song Dataset",
    ),
    "won2020-crnn": Weights(
        kind="won2020",
        file="won2020_msd_crnn.pth",
        url=_WON + "msd/crnn/best_model.pth",
        sha256="ebb99855ed0c83f38845db9cfb383dd6fc70938bc58701dcb66e18af9ee7fbea",
        size=1_687_711,
        licence="MIT",
        citation=_WON_2020,
        description="CRNN of Won et al., trained on the Million Song Dataset",
    ),
    "won2020-jamendo-musicnn": Weights(
        kind="won2020",
        file="won2020_jamendo_musicnn.pth",
        url=_WON + "jamendo/musicnn/best_model.pth",
        sha256="66280f4859376377c47f64313c7ac889a3201fdb06a01bf6e94ac6e619081bb5",
        size=3_257_168,
        licence="MIT",
        citation=_WON_2020,
        description="musicnn of Won et al., trained on MTG-Jamendo: genres of free music, "
        "instruments, five moods",
    ),
    "won2020-jamendo-fcn": Weights(
        kind="won2020",
        file="won2020_jamendo_fcn.pth",
        url=_WON + "jamendo/fcn/best_model.pth",
        sha256="7bce08a66dbc70d096b0a330f44b4cacd9aa25519b83489fbb98f2164a194e2b",
        size=1_902_815,
        licence="MIT",
        citation=_WON_2020,
        description="FCN of Won et al., trained on MTG-Jamendo",
    ),
    "musicnn-msd": _musicnn("musicnn trained on the Million Song Dataset"),
    "vgg-msd": _musicnn("VGG of musicnn's authors, trained on the Million Song Dataset"),
    "musicnn-mtt": _musicnn(
        "musicnn trained on MagnaTagATune: instruments, voices, classical music; not for genres "
        "of pop"
    ),
    "vgg-mtt": _musicnn("VGG of musicnn's authors, trained on MagnaTagATune"),
    "efficientat-mn04": Weights(
        kind="efficientat",
        file="efficientat_mn04_as.pt",
        url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
        sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        size=4_066_513,
        licence="MIT",
        citation="F. Schmid, K. Koutini, G. Widmer: Efficient large-scale audio tagging via "
        "Transformer-to-CNN knowledge distillation. ICASSP 2023, arXiv:2211.04772",
        description="MobileNet of EfficientAT, trained on AudioSet: 527 sounds, from speech and "
        "instruments to applause; for what is not music, too",
    ),
    "cs2470": Weights(
        kind="cs2470",
        file="cs2470_trained_model.h5",
        url=None,
        sha256="d9f0826ab36f81774438488ae6b01cec1e88bfbc6ed9952f854b6f1a5e6e13cd",
        size=1_637_984,
        licence="none stated",
        citation="Convolutional recurrent neural networks for music classification, a report of "
        "the course CS2470",
        description="CRNN of the CS2470 report; its authors state no licence",
    ),
}
