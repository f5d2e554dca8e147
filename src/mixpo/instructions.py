"""How a question asks for its answer, in its own language: the instruction of every style, and which language it is.

A language is told by its script and a few letters that only it has. What is not sure (every language in Latin script)
counts as English. Every language here is one whose marks the judge reads (`mixpo.verdicts.languages`).
"""

import re
from typing import NamedTuple


class Instructions(NamedTuple):
    """One language's words; a field of a style's name (`mixpo.prompts.Style`) is its instruction."""

    mark: str
    """What stands before the final answer."""
    end: str
    """Asks for it; comes behind the styles in `ENDED`."""
    direct: str
    cot: str
    boxed: str
    think: str
    background: str
    visual: str
    grounded: str

    def text(self, style: str) -> str:
        """The whole instruction of a style."""
        return getattr(self, style) + (self.end if style in ENDED else "")


ENDED = ("cot", "background", "visual", "grounded")
"""Styles whose text goes on with `end`."""
ENGLISH = "en"
INSTRUCTIONS: dict[str, Instructions] = {
    ENGLISH: Instructions(
        mark="Final answer:",
        end='End with "Final answer: ...".',
        direct="Answer with the final answer only.",
        cot="Think step by step. ",
        boxed=r"Think step by step. Put the final answer in \boxed{}.",
        think='Think between <think> and </think>. Then write "Final answer: ...".',
        background="First name the background knowledge that the question needs: definitions, laws, formulas. "
        "Then think step by step with it. ",
        visual="First describe what the image shows that matters for the question. Then think step by step from it. ",
        grounded="Think step by step, and tie each object you name to its place in the image. ",
    ),
    "zh": Instructions(
        mark="最终答案：",
        end="最后写“最终答案：…”。",
        direct="只给出最终答案。",
        cot="请一步一步思考，",
        boxed=r"请一步一步思考，把最终答案写在 \boxed{} 中。",
        think="请在 <think> 和 </think> 之间思考，最后写“最终答案：…”。",
        background="请先写出解题所需的背景知识：定义、定律、公式。然后据此一步一步思考，",
        visual="请先描述图像中与问题有关的内容。然后据此一步一步思考，",
        grounded="请一步一步思考，并指出提到的每个物体在图像中的位置，",
    ),
    "ja": Instructions(
        mark="最終回答：",
        end="最後に「最終回答：…」と書いてください。",
        direct="最終回答だけを書いてください。",
        cot="段階的に考え、",
        boxed=r"段階的に考え、最終回答を \boxed{} の中に書いてください。",
        think="<think> と </think> の間で考え、その後に「最終回答：…」と書いてください。",
        background="まず、問題に必要な背景知識（定義、法則、公式）を挙げてください。次に、それを使って段階的に考え、",
        visual="まず、画像のうち問題に関係する内容を説明してください。次に、それをもとに段階的に考え、",
        grounded="段階的に考え、挙げる物体ごとに画像の中の位置を示し、",
    ),
    "ko": Instructions(
        mark="최종 답변:",
        end='마지막에 "최종 답변: ..." 형식으로 쓰세요.',
        direct="최종 답변만 쓰세요.",
        cot="단계별로 생각하고 ",
        boxed=r"단계별로 생각하고 최종 답변을 \boxed{} 안에 쓰세요.",
        think='<think>와 </think> 사이에서 생각한 뒤 "최종 답변: ..." 형식으로 쓰세요.',
        background="먼저 문제에 필요한 배경지식(정의, 법칙, 공식)을 쓰세요. 그다음 그것을 이용해 단계별로 생각하고 ",
        visual="먼저 이미지에서 문제와 관련된 내용을 설명하세요. 그다음 그것을 바탕으로 단계별로 생각하고 ",
        grounded="단계별로 생각하면서 언급하는 사물마다 이미지 속 위치를 밝히고 ",
    ),
    "ru": Instructions(
        mark="Окончательный ответ:",
        end="В конце напишите «Окончательный ответ: ...».",
        direct="Дайте только окончательный ответ.",
        cot="Рассуждайте шаг за шагом. ",
        boxed=r"Рассуждайте шаг за шагом. Запишите окончательный ответ в \boxed{}.",
        think="Рассуждайте между <think> и </think>. Затем напишите «Окончательный ответ: ...».",
        background="Сначала назовите знания, которые нужны для ответа: определения, законы, формулы. "
        "Затем рассуждайте с их помощью шаг за шагом. ",
        visual="Сначала опишите, что на изображении важно для вопроса. "
        "Затем рассуждайте, исходя из этого, шаг за шагом. ",
        grounded="Рассуждайте шаг за шагом и для каждого названного предмета указывайте его место на изображении. ",
    ),
    "ar": Instructions(
        mark="الإجابة النهائية:",
        end='اختم بعبارة "الإجابة النهائية: ...".',
        direct="أجب بالإجابة النهائية فقط.",
        cot="فكّر خطوة بخطوة. ",
        boxed=r"فكّر خطوة بخطوة. ضع الإجابة النهائية في \boxed{}.",
        think='فكّر بين <think> و </think>. ثم اكتب "الإجابة النهائية: ...".',
        background="اذكر أولاً المعارف التي يحتاجها السؤال: التعريفات والقوانين والصيغ. ثم فكّر بها خطوة بخطوة. ",
        visual="صف أولاً ما يهم السؤال في الصورة. ثم فكّر انطلاقاً منه خطوة بخطوة. ",
        grounded="فكّر خطوة بخطوة، واذكر موضع كل شيء تسميه في الصورة. ",
    ),
    "hi": Instructions(
        mark="अंतिम उत्तर:",
        end='अंत में "अंतिम उत्तर: ..." लिखिए।',
        direct="केवल अंतिम उत्तर दीजिए।",
        cot="चरण-दर-चरण सोचिए। ",
        boxed=r"चरण-दर-चरण सोचिए। अंतिम उत्तर \boxed{} में लिखिए।",
        think='<think> और </think> के बीच सोचिए। फिर "अंतिम उत्तर: ..." लिखिए।',
        background="पहले प्रश्न के लिए आवश्यक ज्ञान बताइए: परिभाषाएँ, नियम, सूत्र। फिर उसके आधार पर चरण-दर-चरण सोचिए। ",
        visual="पहले बताइए कि चित्र में प्रश्न के लिए क्या महत्वपूर्ण है। फिर उसके आधार पर चरण-दर-चरण सोचिए। ",
        grounded="चरण-दर-चरण सोचिए और जिस वस्तु का नाम लें, चित्र में उसका स्थान भी बताइए। ",
    ),
}
FINAL_ANSWER, FINAL_ANSWER_ZH = INSTRUCTIONS[ENGLISH].mark, INSTRUCTIONS["zh"].mark

QUOTED = re.compile('“[^“”]*”|"[^"\n]*"|‘[^‘’]*’|「[^「」]*」|『[^『』]*』|《[^《》]*》|«[^«»]*»|`[^`]*`')
NO_WORD = re.compile(
    r"\$[^$]*\$|\\\((?s:.){0,300}?\\\)|\\[a-zA-Z]+|<[^<>\s]*>|https?://[!-~]+"  # formulas, tags, addresses
    r"|(?<![A-Za-z])(?:[A-Za-z]|[A-Za-z]+[A-Z][A-Za-z]*)(?![A-Za-z])"  # x, ABC, OpenAI: the same in every language
)
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
ALPHABETS = {
    "ru": re.compile("[\u0400-\u052f]"),
    "ar": re.compile("[\u0620-\u064a\u066e-\u06d3]"),
    "hi": re.compile("[\u0904-\u0939\u0958-\u0961]"),
}
NO_JAPANESE = re.compile("[么吗这们哪您请图嗎這們麼]")
"""Letters of Chinese sentences that Japanese does not write."""
NO_RUSSIAN = re.compile("(?![\u0401\u0410-\u044f\u0451])[\u0400-\u052f]|ъ(?![еёюя])", re.IGNORECASE)
"""Ukrainian, Serbian and others have letters of their own; only Bulgarian has ъ before a consonant."""
NO_ARABIC = re.compile("[\u0671-\u06d3]")
"""Persian and Urdu."""
HINDI = re.compile(r"(?<!\S)(?:है|हैं|में|और|क्या|कौन|कितन[ाेी]|कहाँ|[\u0900-\u0963]{1,9}[िइ]ए)(?![^\s?।,])")
"""Words that Marathi and Nepali, in the same script, do not have."""


def language_of(text: str) -> str:
    """The language of a question among `INSTRUCTIONS`; English where it is not sure.

    It is that of the script with at least half of the letters, where a Chinese, Japanese or Korean one counts as two.
    Formulas, names in capitals and what stands in quotation marks are left out: a Chinese question about an English
    word is Chinese.
    """
    if text.isascii():
        return ENGLISH
    unquoted = QUOTED.sub(" ", text)
    if not any(map(str.isalpha, unquoted)):
        unquoted = text
    said = NO_WORD.sub(" ", unquoted)
    han, kana, hangul = (len(script.findall(said)) for script in (HAN, KANA, HANGUL))
    letters = sum(map(str.isalpha, said)) + han + kana + hangul
    weights = {code: len(letter.findall(said)) for code, letter in ALPHABETS.items()}
    weights |= {"ko": 2 * hangul, "ja" if _is_japanese(said, han, kana) else "zh": 2 * (han + kana)}
    found = max(weights, key=weights.__getitem__)
    return found if weights[found] * 2 >= letters > 0 and _is_sure(found, said) else ENGLISH


def _is_japanese(text: str, han: int, kana: int) -> bool:
    """Whether Han letters and kana are Japanese, and no Chinese sentence with a Japanese word in it."""
    return kana > 0 and (2 * kana >= han or not NO_JAPANESE.search(text))


def _is_sure(language: str, text: str) -> bool:
    """Whether no other language has this one's script and these letters."""
    if language == "hi":
        return HINDI.search(text) is not None
    others = {"ru": NO_RUSSIAN, "ar": NO_ARABIC}.get(language)
    return others is None or not others.search(text)
