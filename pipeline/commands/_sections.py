"""The commands as ``clipdex --help`` lists them: in sections, each with one line.

They are written here, so that the list imports no command. A test compares them with the commands' own help.
"""

from __future__ import annotations

from collections.abc import Mapping

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Extract and search": {
        "extract": "Encode videos into the bank.",
        "retry": "Read failed and partly stored videos again.",
        "search": "Find moments by text, clip or picture.",
        "encoders": "List the encoders and their licences.",
    },
    "Teach": {
        "label": "Label moments of videos.",
        "suggest": "Suggest clips to label next for a class.",
        "train-head": "Train a head on labelled clips.",
        "add-class": "Add a class to a head from a few clips.",
        "remove-class": "Remove a class from a head.",
        "rename-class": "Rename a class of a head and its labels.",
        "undo": "Undo the latest change of a head's classes.",
        "head": "List, show, import, export or remove heads.",
        "predict": "Predict the classes of videos or of the whole bank.",
    },
    "Evaluate": {
        "evaluate": "Measure a head on clips that it was not trained on.",
        "evaluate-search": "Measure how well searches find relevant clips.",
        "compare": "Compare two encoders on the same labelled clips.",
        "compare-heads": "Compare all kinds of heads on the same labelled clips.",
    },
    "Maintain the bank": {
        "info": "Describe the bank: recipes, videos, labels and heads.",
        "index": "Build, update, measure or remove the search index.",
        "bank": "Compact the bank, prune it or import vectors.",
        "doctor": "Check the installation and the bank.",
    },
    "Explore": {
        "studio": "Search, label and train in the browser.",
        "mcp": "Let assistants search the bank (MCP).",
        "demo": "Run the whole workflow on real and drawn videos, offline.",
        "map": "Draw a map of the bank's clips.",
        "clusters": "Group similar clips and name the groups.",
        "duplicates": "List groups of near-duplicate clips.",
    },
}

# A command that no section names is listed under this title, with the first sentence of its own help.
OTHERS = "More"
