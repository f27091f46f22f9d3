"""Tasks: examples with references, and the prompts made from them.

`base` holds the base class and says how to write a task of your own; `xlsum`, `msmarco`, `quac` and `wmt19` are the
paper's tasks; `mini` generates four small ones; `sources` reads rows from files and the hub; `prompts` encodes them.
"""
