"""A model card on the page: what a network is, how well it does, and where it fails; and whether its maps are right."""

import json
from pathlib import Path
from typing import Any

import streamlit as st

MAPS = {
    "In the right place": ("localisation", "methods"),
    "Strongest erased first": ("flipping", "most_relevant_first"),
    "Weakest erased first": ("flipping", "least_relevant_first"),
    "Between the two": ("flipping", "between"),
}
"""The columns of the table on heatmaps, and where their figures lie in what `benchmarks.faithfulness` writes."""

WORDS = {
    "Words that people marked": ("spans", "area_per_comment"),
    "Sign as people graded": ("grades", "sign"),
    "Order as people graded": ("grades", "order"),
    "Deleted": ("deletion", "between"),
}
"""The same for words; each network has those that could be measured on its texts."""

OBJECTS = {
    "Share on what counts": ("mass", "relevant"),
    "Strongest pixels on what counts": ("rank", "relevant"),
    "Share on what is touched": ("mass", "touched"),
    "Strongest pixels on what is touched": ("rank", "touched"),
}
"""The same for the objects of scenes, with channels summed as on the page."""

PROMPTS = {
    "The word that decides": ("with_start", "pointing"),
    "Deleted": ("with_start", "deletion"),
    "The word, no start token": ("without_start", "pointing"),
    "Deleted, no start token": ("without_start", "deletion"),
}
"""The same for the prompts of a language model: which variant, which measure."""

TABLES = {
    "per_class": ("Class by class", "class"),
    "per_family": ("Kind of question by kind", "kind"),
    "per_hops": ("By steps in space", "steps"),
    "blind_spots": ("Where it errs more often", "where"),
    "per_language": ("Language by language", "language"),
    "our_own_texts": ("Our own texts, in languages that it did not learn", "language"),
    "hatecheck": ("HateCheck, function by function", "function"),
    "hatecheck_per_language": ("HateCheck, language by language", "language"),
}
"""The tables of a card: their titles, and what their lines are of."""

ABREAST = 2
"""How many tables stand beside each other."""


def show_model_card(card: dict[str, Any]) -> None:
    """Draw one card as an expander; `card` is what a module of `models` returns."""
    with st.expander(card["title"], icon=":material/badge:"):
        st.markdown(card["task"])
        measured = card["measured"]
        st.table({"Measured": [*map(_words, measured)], "Figure": [*map(_figure, measured.values())]}, hide_index=True)
        st.markdown(f"**Built** {card['architecture']} {card['parameters']:,} parameters.")
        if "encoder" in card:
            st.markdown(f"**Pretrained by others** {card['encoder']}")
        st.markdown(f"**Trained on** {card['training']}")
        st.markdown(f"**Measured on** {card['held_out']}")
        _tables(card)
        if "biases" in card:
            st.markdown("**Known biases**\n" + "\n".join(f"- {bias}" for bias in card["biases"]))
        st.markdown("**Limits**\n" + "\n".join(f"- {limit}" for limit in card["limits"]))
        st.caption(card["licence"])
        if "remade_by" in card:
            st.caption(f"Remake it with `{card['remade_by']}`.")
        else:
            st.caption(f"Get it with `{card['obtained_by']}`.")


def _tables(card: dict[str, Any]) -> None:
    """How well each class and each language is known, and what is taken for what, where the card says so."""
    tables = {}
    for key, (title, what) in TABLES.items():
        if key in card:
            tables[title] = [{what: name} | figures for name, figures in card[key].items()]
    if "confusions" in card:
        tables["Most often confused"] = card["confusions"]
    titles = list(tables)
    for first in range(0, len(titles), ABREAST):
        row = titles[first : first + ABREAST]
        for place, title in zip(st.columns(len(row), gap="medium"), row, strict=True):
            lines = tables[title]
            place.markdown(f"**{title}**")
            columns = {_words(key): [_cell(line[key]) for line in lines] for key in lines[0]} if lines else {}
            place.dataframe(columns, hide_index=True, height=320, alt=title)


def faithfulness(folder: Path) -> dict[str, Any] | None:
    """What `benchmarks.faithfulness` measured on a network's heatmaps; None where nothing was."""
    path = folder / "faithfulness.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def show_faithfulness(report: dict[str, Any], titles: dict[str, str]) -> None:
    """Draw what was measured on heatmaps as an expander: a row for each rule, bold where none is better.

    titles: of the networks, by name."""
    with st.expander("Is the heatmap of a photo right?", icon=":material/fact_check:"):
        for name, figures in report["networks"].items():
            mosaics, photos = figures["localisation"], figures["flipping"]
            st.markdown(
                f"**{titles.get(name, name)}**\n\n"
                f"**In the right place.** Four photos of different things in one picture: how much of the red falls on "
                f"the thing that was asked for. Chance would put {mosaics['chance']:.0%} there. "
                f"{mosaics['mosaics']} such pictures.\n\n"
                f"**Erased.** {photos['photos']} photos, in which patches of {photos['patch']} × {photos['patch']} "
                f"pixels disappear ({photos['fill']}): the network's certainty on average on the way, with the "
                "strongest patches first (lower is better) and with the weakest first (higher is better)."
            )
            methods = mosaics["methods"]
            columns = {title: figures[part][key] for title, (part, key) in MAPS.items()}
            st.table(
                {"Rule": list(methods)}
                | {title: [_interval(found[method]) for method in methods] for title, found in columns.items()},
                hide_index=True,
            )
        st.caption("Means, in brackets their 95 % intervals. Bold: no rule is better beyond doubt.")


def show_word_faithfulness(report: dict[str, Any], titles: dict[str, str]) -> None:
    """Draw what was measured on the words of texts as an expander. titles: of the networks, by name."""
    with st.expander("Are the words of a text right?", icon=":material/fact_check:"):
        st.markdown(
            "**Words that people marked.** In comments in which people marked what is toxic: how well relevance tells "
            "these words from the others. 0.5 is chance, 1 perfect.\n\n"
            "**As people graded.** In film reviews whose single words people graded: how often relevance has the sign "
            "of the grade, and how far both put the words in the same order.\n\n"
            "**Deleted.** Words are taken out of texts one after the other: how much sooner the network loses its "
            "certainty if the strongest go first and not the weakest. Higher is better everywhere."
        )
        for name, figures in report["networks"].items():
            columns = {title: figures[part][key] for title, (part, key) in WORDS.items() if part in figures}
            methods = list(next(iter(columns.values())))
            st.markdown(f"**{titles.get(name, name)}**")
            st.table(
                {"Rule": methods}
                | {title: [_interval(found[method]) for method in methods] for title, found in columns.items()},
                hide_index=True,
            )
        st.caption("Means, in brackets their 95 % intervals. Bold: no rule is better beyond doubt.")


def show_object_faithfulness(report: dict[str, Any]) -> None:
    """Draw what was measured on questions about scenes as an expander; chance stands beside the rules."""
    with st.expander("Is the heatmap of a scene right?", icon=":material/fact_check:"):
        st.markdown(
            f"Of these scenes it is known to the pixel which objects an answer depends on. "
            f"{report['questions']:,} questions that were answered right.\n\n"
            "**Share.** How much of the red lies on the objects that count: those that the question singles out, "
            "counts or finds. **Touched** are also those that were looked at on the way there.\n\n"
            "**Strongest pixels.** Of as many of the strongest pixels as the objects have, how many lie on them. "
            f"Chance would be {report['chance']['relevant']:.0%} for what counts and {report['chance']['touched']:.0%} "
            "for what is touched."
        )
        columns = {title: report[measure][truth]["sum,pos"] for title, (measure, truth) in OBJECTS.items()}
        methods = list(next(iter(columns.values())))
        st.table(
            {"Rule": methods}
            | {title: [_interval(found[method]) for method in methods] for title, found in columns.items()},
            hide_index=True,
        )
        st.caption("Means, in brackets their 95 % intervals. Bold: no rule is better beyond doubt (Arras 2022).")


def show_prompt_faithfulness(report: dict[str, Any]) -> None:
    """Draw what was measured on the prompts of a language model as an expander."""
    here = report["with_start"]
    with st.expander("Are the words of a prompt right?", icon=":material/fact_check:"):
        st.markdown(
            f"{here['right']} prompts that were written for this project and that the model goes on with rightly, with "
            "the token in front that texts begin with; without it, "
            f"{report['without_start']['right']}.\n\n"
            "**The word that decides.** Grammar or a pattern says which word of the prompt decides between the two "
            "next words: how much of what speaks for the right one lies on it.\n\n"
            "**Deleted.** Words are taken out one after the other: how much sooner the right word loses its lead, in "
            "logits, if the strongest go first and not the weakest. Higher is better everywhere."
        )
        columns = {title: report[variant][measure] for title, (variant, measure) in PROMPTS.items()}
        methods = list(here["pointing"])
        st.table(
            {"Rule": methods}
            | {title: [_interval(found[method]) for method in methods] for title, found in columns.items()},
            hide_index=True,
        )
        st.caption("Means, in brackets their 95 % intervals. Bold: no rule is better beyond doubt.")


def _interval(figures: dict[str, Any]) -> str:
    mean = f"{figures['mean']:.3f}"
    mean = f"**{mean}**" if figures["behind"]["low"] <= 0 else mean
    return f"{mean} ({figures['low']:.3f} to {figures['high']:.3f})"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _figure(value: float | None) -> str:
    """Shares are written in per cent, counts as they are."""
    if value is None:
        return "—"
    return f"{value:.2%}".replace("%", " %") if isinstance(value, float) else f"{value:,}"


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else _figure(value)
