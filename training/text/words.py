"""What the model cards of the text networks say in words."""

TITLES = {
    "offensive": "Offensive or hateful posts",
    "topics": "The topic of a sentence",
    "newsgroups": "20 Newsgroups",
    "sentiment": "Film reviews",
}

TASKS = {
    "offensive": "Says whether a short post is hateful, offensive, or neither; in English, German, French, Portuguese "
    "and Arabic, and with less certainty in other languages.",
    "topics": "Names the topic of a sentence, out of seven, in 30 languages.",
    "newsgroups": "Names the newsgroup that a post of 1993 was written to, out of 20.",
    "sentiment": "Says whether a sentence of a film review is positive or negative.",
}

ENCODER = (
    "Not ours: multilingual-e5-small (Wang 2024, MIT), which was distilled from XLM-R by way of Multilingual MiniLM and"
    " read text of the web in about 100 languages. Its word table and first 8 layers are kept in 4 bits, as they were"
    " found, and are not trained. Ours: the last 4 layers, tuned from there and kept in 8 bits, and the head."
)

_JOINED = " Pieces were left out at random, and some texts went on with a part of another."

TRAINING = {
    "offensive": "46,327 posts that people labelled for four studies, whose guidelines differ: Davidson 2017 (English),"
    " GermEval 2018 (German), MLMA 2019 (English, French, Arabic), ToLD-Br (Portuguese). User names and links are"
    " masked. GermEval does not tell hateful from offensive posts; there, the network may choose.",
    "topics": "21,029 sentences of SIB-200: the same 700 sentences in 30 languages." + _JOINED,
    "newsgroups": "9,989 posts of 1993, without headers and most quotes, of each the first 510 pieces." + _JOINED,
    "sentiment": "8,531 sentences of film reviews and 136,951 of their words and phrases in five grades (Stanford"
    " Sentiment Treebank): “very negative” to “very positive” count as 0, 25, 50, 75 and 100 % positive. Also 12,000"
    " pairs of these phrases joined by “but”, “although” and the like, and 48 sentences of our own that say no, each"
    " about seven things. All of it is English.",
}

_ALL = [
    "A probability is no promise: a confident answer may be wrong.",
    "It knows pieces of words in the scripts of its languages; other scripts (Thai, Tamil, Georgian) are unknown.",
]

LIMITS = {
    "offensive": [
        "Not for moderation: it was made to show how such networks decide, and where they fail.",
        "It takes words for offences: quoted or reclaimed slurs, counter-speech and plain mentions of a group are often"
        " called offensive, and hatred in polite words is missed. The functions of HateCheck below say how often.",
        "What is offensive was judged by the labellers of each study: English posts were collected by offensive words,"
        " so that most of them are offensive.",
        *_ALL,
    ],
    "topics": [
        "It calls everything one of seven topics.",
        "It learned from only 700 different sentences, of an encyclopaedia's kind; a chat is foreign to it.",
        "The web pages that these sentences come from, not their topics, may be among what its encoder has read.",
        *_ALL,
    ],
    "newsgroups": [
        "It calls everything one of 20 newsgroups of 1993.",
        "Names of people and places, signatures and addresses count as evidence: regulars wrote to one group.",
        "The three groups on religion, and those on computers, are hard to tell apart.",
        *_ALL,
    ],
    "sentiment": [
        "It learned from film reviews in English. In other languages it does well on short sentences of our own, as"
        " measured; irony, and praise that is not about films, are foreign to it.",
        *_ALL,
    ],
}

BESIDE = "Counting words (TF-IDF of words and of sequences of characters, and a logistic regression)"
"""What each network is compared with."""

_OURS = (
    "Encoder: MIT, Microsoft and the authors of multilingual-e5. Upper layers and head: BSD-3-Clause, as the project;"
    " they hold none of the texts. "
)

LICENCES = {
    "offensive": _OURS + "Posts: Davidson 2017 (MIT), GermEval 2018 (CC BY 4.0), MLMA 2019 (MIT), ToLD-Br 2020"
    " (CC BY-SA 4.0). Measured with HateCheck and Multilingual HateCheck (CC BY 4.0), never trained on.",
    "topics": _OURS + "Sentences: SIB-200, from FLORES-200 (CC BY-SA 4.0).",
    "newsgroups": _OURS + "Posts: 20 Newsgroups, collected by K. Lang.",
    "sentiment": _OURS + "Sentences: Stanford Sentiment Treebank (Socher 2013), from reviews on Rotten Tomatoes.",
}
