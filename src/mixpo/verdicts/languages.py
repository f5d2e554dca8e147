"""What the judge knows of languages other than English, a row a language: how an answer is announced, yes, no, numbers.

All words are in lower case. A mark is a noun for the answer and then either a colon or a word for "is".
"""

import re
from fractions import Fraction
from typing import NamedTuple


class Language(NamedTuple):
    """A row of the table; each field is a list of words, separated by spaces (`_` stands for a space in a word)."""

    answer: str
    """Nouns that announce an answer: "answer", "option", "result"."""
    be: str
    """What joins such a noun with its answer."""
    yes: str
    no: str
    absent: str
    """What says that something is not there: "there is no"."""
    ends: str = ""
    """What may stand behind an answer and is no part of it."""
    articles: str = ""
    numbers: str = ""
    """The words from zero on."""
    tens: str = ""
    """Twenty, thirty …, where they are single words."""

    def words(self, field: str) -> list[str]:
        return [word.replace("_", " ") for word in getattr(self, field).split()]


LANGUAGES: dict[str, Language] = {
    "zh": Language(
        answer="答案 选项 選項 结果 結果 答",
        be="应该是 应为 應為 应该选 是 为 為 选 選",
        yes="是 是的 对 对的 對 正确 正確 真 有 有的 存在",
        no="否 不是 不 错 错误 錯誤 不对 不正确 不正確 没有 沒有 假 不存在",
        absent="没有 沒有 不存在 看不到 无 未见",
        ends="选项 个 個 。",
        numbers="零 一 二 三 四 五 六 七 八 九 十",
    ),
    "es": Language(
        answer="respuesta opción opcion resultado solución alternativa",
        be="es sería son será",
        yes="sí si verdadero cierto correcto",
        no="no falso incorrecto",
        absent="no_hay no_se_ve no_aparece no_existe ningún ninguna ninguno",
        articles="la el los las un una de al",
        numbers="cero uno|una|un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
        "dieciséis diecisiete dieciocho diecinueve veinte",
        tens="veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    ),
    "fr": Language(
        answer="réponse option résultat solution choix",
        be="est serait sont",
        yes="oui vrai exact",
        no="non faux inexact",
        absent="il_n'y_a_pas il_n'y_a_aucun n'y_a_pas on_ne_voit_pas aucun aucune",
        articles="la le les l' un une du de au",
        numbers="zéro un|une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
        "dix-sept dix-huit dix-neuf vingt",
        tens="vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix",
    ),
    "de": Language(
        answer="antwort lösung ergebnis option antwortmöglichkeit",
        be="ist lautet wäre beträgt sind",
        yes="ja wahr richtig stimmt",
        no="nein falsch",
        absent="gibt_es_kein gibt_es_keine gibt_es_keinen es_gibt_kein es_gibt_keine es_gibt_keinen kein keine keinen",
        articles="der die das den dem ein eine einen aus",
        numbers="null eins|ein|eine|einen zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn "
        "fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig",
        tens="zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    ),
    "it": Language(
        answer="risposta opzione risultato soluzione",
        be="è e' sarebbe sono",
        yes="sì si vero corretto",
        no="no falso",
        absent="non_c'è non_ci_sono nessun nessuna nessuno",
        articles="la il lo i gli le l' un una di",
        numbers="zero uno|una|un due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
        "quindici sedici diciassette diciotto diciannove venti",
        tens="venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
    ),
    "pt": Language(
        answer="resposta opção alternativa resultado solução",
        be="é seria são será",
        yes="sim verdadeiro correto certo",
        no="não falso errado",
        absent="não_há não_existe não_tem nenhum nenhuma",
        articles="a o as os um uma de do da",
        numbers="zero um|uma dois|duas três quatro cinco seis sete oito nove dez onze doze treze catorze|quatorze "
        "quinze dezesseis dezessete dezoito dezenove vinte",
        tens="vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
    ),
    "ja": Language(
        answer="答え 正解 回答 解答 結果 答案",
        be="は",
        yes="はい ええ 正しい 真",
        no="いいえ いや 違います 間違い 偽",
        absent="ありません いません ない",
        ends="です である だ でした となります になります 個 本 人 枚 匹 つ 選択肢",
    ),
    "ko": Language(
        answer="정답 답 답변 결과 정답지",
        be="은 는",
        yes="예 네 맞습니다 참",
        no="아니요 아니오 아닙니다 틀립니다 거짓",
        absent="없습니다 없다 없어요 없음",
        ends="입니다 이다 이에요 예요 번 개 마리 명 로_만들어졌습니다",
        numbers="영 하나|한|일 둘|두|이 셋|세|삼 넷|네|사 다섯|오 여섯|육 일곱|칠 여덟|팔 아홉|구 열|십",
    ),
    "hi": Language(
        answer="उत्तर जवाब विकल्प परिणाम",
        be="है यह_है",
        yes="हाँ हां जी_हाँ सही सत्य",
        no="नहीं ना ग़लत गलत असत्य",
        absent="नहीं_है नहीं_हैं नहीं",
        ends="है हैं ।",
        numbers="शून्य एक दो तीन चार पाँच|पांच छह|छः सात आठ नौ दस ग्यारह बारह",
    ),
    "ar": Language(
        answer="الإجابة الاجابة الجواب الخيار الناتج النتيجة إجابة جواب",
        be="هي هو تكون يكون",
        yes="نعم صحيح صواب",
        no="لا خطأ كلا",
        absent="لا_يوجد لا_توجد ليس ليست",
        numbers="صفر واحد|واحدة اثنان|اثنتان|اثنين ثلاثة|ثلاث أربعة|أربع خمسة|خمس ستة|ست سبعة|سبع ثمانية|ثماني تسعة"
        "|تسع عشرة|عشر",
    ),
    "ru": Language(
        answer="ответ вариант результат решение",
        be="- это является равен равно составляет",
        yes="да верно правда правильно",
        no="нет неверно ложь неправда неправильно",
        absent="нет не_видно отсутствует",
        numbers="ноль|нуль один|одна|одно два|две три четыре пять шесть семь восемь девять десять одиннадцать "
        "двенадцать тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать двадцать",
        tens="двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто",
    ),
}


def every(field: str, without: tuple[str, ...] = ()) -> list[str]:
    """The words of a field in all languages, the longest first, so that a pattern of them takes the longest."""
    words = {word for code, language in LANGUAGES.items() if code not in without for word in language.words(field)}
    return sorted(words, key=lambda word: (-len(word), word))


def one_of(field: str, without: tuple[str, ...] = ()) -> str:
    """A pattern for any of those words, set apart as its script does."""
    words = every(field, without)
    spaced = [re.escape(word) for word in words if not _spaceless(word)]
    other = [re.escape(word) for word in words if _spaceless(word)]
    return "(?:" + "|".join(([rf"(?<!\w)(?:{'|'.join(spaced)})(?!\w)"] if spaced else []) + other) + ")"


def _spaceless(word: str) -> bool:
    return any("\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3" for character in word)


def _numbers() -> dict[str, int]:
    found: dict[str, int] = {}
    for code, language in LANGUAGES.items():
        if code == "zh":
            continue  # Chinese numerals are read as such
        for value, words in enumerate(language.numbers.split()):
            found.update(dict.fromkeys(words.split("|"), value))
        for value, word in enumerate(language.tens.split(), 2):
            found[word] = 10 * value
    german = {value: word for word, value in found.items() if word in LANGUAGES["de"].numbers.replace("|", " ").split()}
    for unit in range(1, 10):
        for ten, word in enumerate(LANGUAGES["de"].tens.split(), 2):
            found[f"{'ein' if unit == 1 else german[unit]}und{word}"] = 10 * ten + unit
    return found


NUMBERS = _numbers()
"""Number words of all languages but English and Chinese."""
AMBIGUOUS = frozenset(
    "un una um uma ein eine einen une 이 일 사 오 구 세 네 한 두 दो six nove sei null die se cinque once".split()
)
"""Number words that are something else as often: an article, a particle, an English word."""
KOREAN_COUNT = r"(?:한|두|세|네)(?= (?:개|명|마리|번|대|장|권|채|그루|송이))"
NUMBER_WORD = "|".join(
    [*sorted((re.escape(word) for word in NUMBERS if word not in AMBIGUOUS), key=len, reverse=True), KOREAN_COUNT]
)
ALONE_A_NUMBER = AMBIGUOUS - frozenset("once die null se six".split())
"""Those that are numbers where nothing else is said."""


SECOND_WORD = "|".join(
    sorted((re.escape(word) for word, value in NUMBERS.items() if 0 < value < 10), key=len, reverse=True)
)
"""Words that may follow a word for twenty, thirty …"""


def number_of(word: str) -> Fraction:
    """The value of a number word of `NUMBERS`."""
    return Fraction(NUMBERS[word])
