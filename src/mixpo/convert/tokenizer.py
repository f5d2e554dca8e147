"""The tokenizer of an original InternVL chat checkpoint as a transformers tokenizer, without running its remote code.

Three kinds of files are read, the first that is there: `tokenizer.json`; `vocab.json` and `merges.txt` (Qwen2); the
SentencePiece model `tokenizer.model` (InternLM2). Every token keeps the id that the checkpoint gives it.
"""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

from mixpo.convert.config import read_json_object
from mixpo.errors import DataError, MissingExtra

IMAGE_TOKENS = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
VIDEO_TOKENS = ("<video>", "<|video_pad|>", "<quad>")
"""transformers' processor needs a placeholder for videos. The first that the vocabulary has is taken: a new token would
lie outside the embeddings."""

BPE = 2
"""`TrainerSpec.ModelType` of a BPE model in `sentencepiece_model.proto`."""

NORMAL, UNKNOWN, USER_DEFINED, UNUSED = 1, 2, 4, 5
"""`SentencePiece.Type` there; the others are control symbols and bytes."""


def read_tokenizer(source: Path) -> PreTrainedTokenizerFast | None:
    """The checkpoint's tokenizer with the attributes that InternVLProcessor asks for; None when it has none.

    Raises DataError when the files are torn, or hold something that cannot be represented exactly.
    """
    settings = read_json_object(path) if (path := source / "tokenizer_config.json").is_file() else {}
    try:
        added = _added_tokens(source, settings)
        backend = _backend(source, settings, added)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"the tokenizer in {source} cannot be used ({error})") from error
    if backend is None:
        return None
    for token_id, token in sorted(added.items()):
        backend.add_special_tokens([token]) if token.special else backend.add_tokens([token])
        if backend.token_to_id(token.content) != token_id:
            raise DataError(
                f"{source}: token {token.content!r} should have id {token_id} and has "
                f"{backend.token_to_id(token.content)}; put the publisher's tokenizer.json beside the weights"
            )
    vocabulary = backend.get_vocab()
    video = next((token for token in VIDEO_TOKENS if token in vocabulary), None)
    missing = [token for token in IMAGE_TOKENS.values() if token not in vocabulary]
    if missing or video is None:
        raise DataError(f"the tokenizer in {source} has no token {(missing or ['<quad>'])[0]!r}; it is not InternVL's")
    named = {name: _text(settings.get(name)) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    named["pad_token"] = named["pad_token"] or named["eos_token"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **{name: token for name, token in named.items() if token is not None},
        extra_special_tokens=IMAGE_TOKENS | {"video_token": video},
        model_max_length=settings.get("model_max_length", 8192),
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _text(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _added_tokens(source: Path, settings: dict[str, Any]) -> dict[int, AddedToken]:
    """Id -> token outside the model's own vocabulary, from tokenizer_config.json or the older added_tokens.json."""
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    declared = settings.get("added_tokens_decoder")
    if isinstance(declared, dict) and declared:
        return {
            int(token_id): AddedToken(token["content"], **{flag: bool(token.get(flag)) for flag in flags})
            for token_id, token in declared.items()
        }
    if not (source / "added_tokens.json").is_file():
        return {}
    special = {_text(token) for token in settings.get("additional_special_tokens") or ()}
    return {
        int(token_id): AddedToken(text, normalized=False, special=text in special)
        for text, token_id in read_json_object(source / "added_tokens.json").items()
    }


def _backend(source: Path, settings: dict[str, Any], added: dict[int, AddedToken]) -> Tokenizer | None:
    """Raises ValueError when a file is torn, or cannot be represented exactly."""
    try:
        if (source / "tokenizer.json").is_file():
            return Tokenizer.from_str((source / "tokenizer.json").read_text(encoding="utf-8"))
        if (source / "vocab.json").is_file() and (source / "merges.txt").is_file():
            vocabulary, merges = models.BPE.read_file(str(source / "vocab.json"), str(source / "merges.txt"))
            return Qwen2Tokenizer(vocab=vocabulary, merges=merges).backend_tokenizer
    except Exception as error:  # tokenizers raises nothing narrower for a torn file
        raise ValueError(f"{' '.join(str(error).split())}; download it again") from error
    if not (source / "tokenizer.model").is_file():
        return None
    if settings.get("add_eos_token"):
        raise ValueError("it ends every text with eos_token, which a prompt must not; set add_eos_token to false")
    model = parse_sentencepiece((source / "tokenizer.model").read_bytes())
    return sentencepiece_backend(
        model,
        {token_id: token.content for token_id, token in added.items()},
        bos=(_text(settings.get("bos_token")) or "<s>") if settings.get("add_bos_token", True) else None,
    )


def parse_sentencepiece(data: bytes) -> Any:
    """The `ModelProto` (sentencepiece_model.proto) that a tokenizer.model holds.

    Raises MissingExtra without sentencepiece, ValueError when the file is torn.
    """
    try:
        from google.protobuf.message import DecodeError
        from sentencepiece import sentencepiece_model_pb2
    except ImportError as error:
        raise MissingExtra("sentencepiece", "convert") from error
    model = sentencepiece_model_pb2.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise ValueError("tokenizer.model is torn; download it again") from error
    return model


def sentencepiece_backend(model: Any, renamed: dict[int, str], bos: str | None) -> Tokenizer:
    """A tokenizer that gives SentencePiece's ids for a BPE model. `renamed` pieces are the checkpoint's added tokens.

    Raises ValueError for a model that works otherwise.
    """
    ask = "put the publisher's tokenizer.json beside it"
    user_defined = [
        piece.piece
        for token_id, piece in enumerate(model.pieces)
        if piece.type == USER_DEFINED and token_id not in renamed
    ]
    normalizer = model.normalizer_spec
    prefix = normalizer.add_dummy_prefix
    rewrites_text = normalizer.precompiled_charsmap or normalizer.remove_extra_whitespaces
    if model.trainer_spec.model_type != BPE or rewrites_text:
        raise ValueError(f"tokenizer.model is not a plain BPE model; {ask}")
    if prefix and any("▁" in text for text in user_defined):
        raise ValueError(f"tokenizer.model has whole words with spaces; {ask}")
    texts = [renamed.get(token_id, piece.piece) for token_id, piece in enumerate(model.pieces)]
    vocabulary = {text: token_id for token_id, text in enumerate(texts)}
    backend = Tokenizer(
        models.BPE(
            vocabulary,
            _merges(model, renamed),
            unk_token=next((text for text, piece in zip(texts, model.pieces) if piece.type == UNKNOWN), None),
            fuse_unk=True,
            byte_fallback=model.trainer_spec.byte_fallback,
        )
    )
    spaces = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if prefix else spaces
    strip = [decoders.Strip(content=" ", left=1)] if prefix else []
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    backend.add_tokens([AddedToken(text, normalized="▁" in text) for text in user_defined])
    if bos is not None:
        backend.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, vocabulary[bos])]
        )
    return backend


def _merges(model: Any, renamed: dict[int, str]) -> list[tuple[str, str]]:
    """SentencePiece joins, again and again, the neighbours whose union has the best score: a merge list by score."""
    kept = [piece for token_id, piece in enumerate(model.pieces) if token_id not in renamed]
    parts = {piece.piece for piece in kept if piece.type in (NORMAL, USER_DEFINED)}

    def cuts(text: str) -> list[tuple[str, str]]:
        pairs = ((text[:cut], text[cut:]) for cut in range(1, len(text)))
        return [pair for pair in pairs if pair[0] in parts and pair[1] in parts]

    if any(piece.type == UNUSED and cuts(piece.piece) for piece in kept):
        # SentencePiece forms such a piece and takes it apart again.
        raise ValueError("tokenizer.model forbids pieces; put the publisher's tokenizer.json beside it")
    by_score = sorted((piece for piece in kept if piece.type == NORMAL), key=lambda piece: -piece.score)
    return [pair for piece in by_score for pair in cuts(piece.piece)]
