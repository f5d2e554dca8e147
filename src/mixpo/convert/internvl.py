"""`mixpo convert`: an original InternVL chat checkpoint -> transformers' format, without running its remote code.

InternVL2, InternVL2.5, Mini-InternVL and InternVL3 with an InternLM2, Qwen2 or Llama language model (arXiv 2404.16821,
2412.05271). The target loads with `AutoModelForImageTextToText` and, when the source has a tokenizer, `AutoProcessor`.
"""

from pathlib import Path

from mixpo.convert.config import is_internlm2, make_config, read_chat_config
from mixpo.convert.processor import make_processor, stopping_at_turns
from mixpo.convert.tokenizer import read_tokenizer
from mixpo.convert.weights import (
    SHARD_BYTES,
    has_own_head,
    main_dtype,
    plan_moves,
    stored_tensors,
    write_weights,
)
from mixpo.errors import UserError
from mixpo.models.weight_files import new_model
from mixpo.progress import say

UNKNOWN_TOKEN = -1
"""An image token id that no token has: a model that is used with it says so at the first image."""


def convert(source: Path, target: Path, image_token_id: int | None = None, shard_bytes: int = SHARD_BYTES) -> None:
    """Writes `target`, whole or not at all; one shard is in memory at a time.

    `image_token_id` is needed only when the source has no tokenizer to look `<IMG_CONTEXT>` up in.
    Raises UserError when the source cannot be converted exactly, or when `target` is there already.
    """
    chat = read_chat_config(source)
    tokenizer = read_tokenizer(source)
    if tokenizer is not None:
        image_token_id = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    tensors = stored_tensors(source)
    config = make_config(
        chat,
        image_token_id=UNKNOWN_TOKEN if image_token_id is None else image_token_id,
        dtype=main_dtype(tensors),
        tied=bool(chat["llm_config"].get("tie_word_embeddings")) and not has_own_head(tensors),
    )
    if config.image_token_id >= config.text_config.vocab_size:
        raise UserError(
            f"the image token's id {config.image_token_id} is beyond the model's {config.text_config.vocab_size} "
            "tokens; tokenizer and weights do not belong together"
        )
    moves = plan_moves(tensors, config, is_internlm2(chat))
    parts = [config] if tokenizer is None else [config, make_processor(chat, tokenizer), stopping_at_turns(tokenizer)]
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists already; delete it or choose another target")
    with new_model(target) as folder:
        for part in parts:
            part.save_pretrained(folder)
        write_weights(moves, folder, shard_bytes)
    say(f"{target}: {len(tensors)} tensors converted")
    if tokenizer is None:
        say(
            f"{source} has no tokenizer, so there is no processor: put its tokenizer files beside config.json and "
            "convert again" + ("" if image_token_id is not None else "; until then image_token_id is unknown (-1)")
        )
