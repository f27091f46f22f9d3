"""A trace made by hand, hostile where text may be."""

from edt.records import Alternative, Trace, TracedOutput, TracedToken

HOSTILE = "</script><script>window.hacked = 1</script>"


def token(step, piece, temperature, *, rank=1, entropy=0.5):
    return TracedToken(
        step=step,
        token_id=step,
        token=piece,
        entropy=entropy,
        temperature=temperature,
        rank=rank,
        probability=0.25,
        sampling_prob=0.125,
        alternatives=(
            Alternative(token="<b>bold</b>", probability=0.75, sampling_prob=0.875),
            Alternative(token=piece, probability=0.25, sampling_prob=0.125),
        ),
    )


def output(strategy_id, *tokens):
    return TracedOutput(
        strategy_id=strategy_id,
        sample=0,
        text="".join(item.token for item in tokens),
        finish_reason="length",
        t_mean=sum(item.temperature for item in tokens) / len(tokens),
        h_mean=0.5,
        tokens=tokens,
    )


def hostile_trace():
    return Trace(
        model="<i>model</i>",
        origin="a prompt",
        prompt=f'{HOSTILE} & "quoted"\x1b[31m',
        references=(f"<img src=x onerror=alert(1)>{HOSTILE}",),
        seed=0,
        outputs=(
            output(
                f"fixed({HOSTILE})",
                token(0, HOSTILE, 1.0, rank=2),
                token(1, "\x1b[2J\n", 0.5),
                token(2, "' onmouseover='x", 0.0),
            ),
            output("edt(t0=1)", token(0, " calm", 0.0, entropy=0.001)),
        ),
    )
