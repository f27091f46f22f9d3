"""Decode prompts token by token with entropy, temperature and probabilities: `edt trace`, its demos, and its pages.

`trace_prompt` and `demo` hold the commands, `decode_in_memory` and `teacher_forcing` the computation, `trace_page`,
`trace_terminal`, `demo_page`, `demo_terminal` and `token_figure` what is shown, `trace_files` what is stored.
`study_tracer` traces outputs of a study.
"""

__all__ = [
    "decode_in_memory",
    "demo",
    "study_tracer",
    "teacher_forcing",
    "token_text",
    "trace_page",
    "trace_prompt",
]
