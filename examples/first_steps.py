"""First steps: decode two articles under three strategies, score the samples, compare them, and look at one trace."""

# %% Load a model: a hub id, a folder, or the small one that the package brings along.
import edt

model = edt.load_model("edt:mini")
print(model)

# %% Prompts are texts; a chat model also takes lists of {"role": …, "content": …}.
prompts = [
    "Article: Helix Systems has a new chief executive. Paula Norman, 39, starts on Saturday. "
    "Nora Janford left the post before. The company has 159 staff.\nSummary:",
    "Article: Dunmere has a new town hall. Mayor Simon Torley declared it open on Friday. The work cost 168 million "
    "dollars. Diana Solwell, a neighbour, expects 617 visitors a day.\nSummary:",
]
references = [
    "Helix Systems named Paula Norman, 39, as new chief executive.",
    "Mayor Simon Torley has inaugurated a new town hall for Dunmere worth 168 million.",
]

# %% Decode every prompt under every strategy. The result is a pandas frame, one row per output.
strategies = [edt.Fixed(t0=0.7), edt.Fixed(t0=1), edt.EDT(t0=1, theta=0.5)]
samples = edt.decode(model, prompts, strategies, samples=4, max_new_tokens=48, stop=["\n"], seed=0)
print(samples.groupby("strategy")[["t_mean", "h_mean"]].mean())
print(samples.loc[samples["sample"] == 0, ["strategy", "text"]].to_string(index=False))

# %% Score: quality against the references, diversity among the samples, each with a bootstrap interval over prompts.
scores = edt.score(samples, references)
print(scores.pivot(index="strategy", columns="metric", values="value").round(2).to_string())

# %% Compare with a baseline. All strategies drew with the same noise, so the differences are paired.
differences = edt.compare(samples, references, baseline="fixed(t0=1)")
print(differences.round(3).to_string(index=False))

# %% Trace one prompt: in a notebook, `trace` alone at the end of a cell shows the tokens on a color scale.
trace = edt.trace(model, prompts[0], [edt.Fixed(t0=1), edt.EDT(t0=1, theta=0.5)], max_new_tokens=48, stop=["\n"])
print(trace)
print(trace.to_frame().head())
