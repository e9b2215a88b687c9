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

_ENCODER = (
    " Before that, the encoder read all the training texts of the four networks, comments, and film subtitles in 25"
    " languages twice, without labels: its words began as counts of their neighbours, and it learned to fill gaps and"
    " to sum up each text where it starts."
)

_TAUGHT = (
    " Half of what it read were new texts, joined from parts of two of these, for which a logistic regression on"
    " counted words said what is wanted (Hinton 2015)."
)

TRAINING = {
    "offensive": "46,327 posts that people labelled for four studies, whose guidelines differ: Davidson 2017 (English),"
    " GermEval 2018 (German), MLMA 2019 (English, French, Arabic), ToLD-Br (Portuguese). User names and links are"
    " masked. GermEval does not tell hateful from offensive posts; there, the network may choose. A tenth of the pieces"
    " of words were cut in two." + _ENCODER,
    "topics": "21,029 sentences of SIB-200: the same 700 sentences in 30 languages."
    + _TAUGHT
    + " A fifth of the pieces of words were cut in two."
    + _ENCODER,
    "newsgroups": "9,989 posts of 1993, without headers and most quotes; each pass saw a part of each, of 30 to 254"
    " pieces. Of a post that is to be named, the first 254 are read." + _TAUGHT + _ENCODER,
    "sentiment": "8,531 sentences of film reviews and 136,951 of their words and phrases in five grades (Stanford"
    " Sentiment Treebank): “very negative” to “very positive” count as 0, 25, 50, 75 and 100 % positive." + _ENCODER,
}

_ALL = [
    "A probability is no promise: a confident answer may be wrong.",
    "It is small, reads 256 pieces of words and knows little of the world: it counts words more than it reads.",
    "It knows no capitals: all text is read in lower case.",
]

LIMITS = {
    "offensive": [
        "Not for moderation: it was made to show how such networks decide, and where they fail.",
        "It takes words for offences: quoted or reclaimed slurs, counter-speech and plain mentions of a group are often"
        " called offensive, and hatred in polite words is missed. The functions of HateCheck below say how often.",
        "Negation is weak evidence for it.",
        "What is offensive was judged by the labellers of each study: English posts were collected by offensive words,"
        " so that most of them are offensive.",
        *_ALL,
    ],
    "topics": [
        "It calls everything one of seven topics.",
        "It learned from only 700 different sentences, of an encyclopaedia's kind; a chat is foreign to it.",
        *_ALL,
    ],
    "newsgroups": [
        "It calls everything one of 20 newsgroups of 1993.",
        "Names of people and places, signatures and addresses count as evidence: regulars wrote to one group.",
        "The three groups on religion, and those on computers, are hard to tell apart.",
        *_ALL,
    ],
    "sentiment": [
        "It learned from film reviews in English; praise in other words, irony and other languages are foreign to it.",
        "Negation over a distance is weak evidence for it.",
        *_ALL,
    ],
}

BESIDE = {
    "baseline": (
        "Counting words (TF-IDF of words and of sequences of characters, and a logistic regression)",
        "It sees 16,000 pieces of words where counting has 400,000, and learned for less than two hours on one core.",
    ),
    "pieces": ("Counting the pieces that the network sees, alone and in pairs,", ""),
    "fresh": ("The same network from random weights, without the encoder,", ""),
}
"""What each network is compared with, by the file of its figures; and why the network may be behind."""

_OURS = "Weights: BSD-3-Clause, as the project; they hold none of the texts. "

LICENCES = {
    "offensive": _OURS + "Posts: Davidson 2017 (MIT), GermEval 2018 (CC BY 4.0), MLMA 2019 (MIT), ToLD-Br 2020"
    " (CC BY-SA 4.0). Measured with HateCheck and Multilingual HateCheck (CC BY 4.0), never trained on.",
    "topics": _OURS + "Sentences: SIB-200, from FLORES-200 (CC BY-SA 4.0).",
    "newsgroups": _OURS + "Posts: 20 Newsgroups, collected by K. Lang.",
    "sentiment": _OURS + "Sentences: Stanford Sentiment Treebank (Socher 2013), from reviews on Rotten Tomatoes.",
}
