"""W&B sweeps and the dashboard: what they ask edt for."""

import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from edt.cli.app import config_folder
from edt.cli.build import generation_request
from tests.support.wandb_machine import WORDS, Machine

POINT = {"strategy.t0": 0.61, "strategy.theta": 1.25}
DASHBOARD = Path(__file__).parents[2] / "experiments" / "wandb_dashboard"
SWEEP = yaml.safe_load((DASHBOARD / "sweep.yaml").read_text())


def test_a_sweep_of_several_settings_is_refused_before_anything_is_decoded(tmp_path):
    machine = Machine(tmp_path)
    sweep = {"WANDB_SWEEP_ID": "swp", "WANDB_RUN_ID": "swprun"}
    said = machine.edt("run", *WORDS, "tracking=wandb", fails=True, **sweep)
    assert "needs one setting, and this command has 3" in said
    assert "strategy=edt strategy.t0=0.7" in said
    assert not list(machine.runs.iterdir())


def agent_command(values, folder, monkeypatch):
    """The command that `wandb agent` starts for a point of the sweep, composed by the installed agent itself."""
    from wandb import wandb_agent

    started = []
    monkeypatch.chdir(folder)  # it writes the point's values there
    monkeypatch.setattr(wandb_agent, "AgentProcess", lambda command, **_: started.append(command) or SimpleNamespace())
    for name in ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):  # it sets them for good
        monkeypatch.setenv(name, "")
    agent = wandb_agent.Agent(api=None, queue=None, sweep_id="swp")
    agent._sweep_command = SWEEP["command"]
    arguments = {name: {"value": value} for name, value in values.items()}
    answer = agent._process_command({"type": "run", "run_id": "r", "program": SWEEP["program"], "args": arguments})
    assert "exception" not in answer, answer
    (command,) = started
    return command


def test_the_sweeps_command_composes_to_one_setting(tmp_path, monkeypatch):
    env, program, command, *words = agent_command(POINT, tmp_path, monkeypatch)
    assert (env, program, command) == ("/usr/bin/env", "edt", "run")
    with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
        config = OmegaConf.to_container(compose(config_name="run", overrides=words), resolve=True)
    (strategy,) = generation_request(config).strategies
    assert strategy.strategy_id == "edt(t0=0.61,theta=1.25)"
    assert config["tracking"]["_target_"].endswith("WandbSpec")
    for bounds in SWEEP["parameters"].values():
        assert bounds["min"] < bounds["max"]


def test_an_agents_run_has_the_sweeps_id_and_its_metric(tmp_path, monkeypatch):
    """The fixed temperatures of EDA's scale are decoded along and not exported: a sweep reads one result."""
    machine = Machine(tmp_path)
    small = ["task=mini_xlsum", *WORDS[1:5]]
    small.append("eda_scale.t0=[0,1]")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "edt"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m edt "$@"\n')
    program.chmod(0o755)
    command = [*agent_command(POINT, tmp_path, monkeypatch), *small, f"paths.runs={machine.runs}"]
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    shown = machine.start(command, PATH=path, WANDB_SWEEP_ID="swp", WANDB_RUN_ID="swprun")
    assert shown.returncode == 0, shown.stderr
    (run,) = machine.exported().values()
    assert (run.id, run.run["sweep_id"]) == ("swprun", "swp")
    assert run.config["theta"] == 1.25
    assert SWEEP["metric"] == {"name": "mean/dev/eda", "goal": "minimize"}
    assert run.summary["mean/dev/eda"] == run.summary["mini_xlsum/dev/eda"]
    (history,) = run.of("history")
    assert history["item"]["mean/dev/eda"] == run.summary["mean/dev/eda"]


def test_the_dashboards_commands_compose(capsys):
    from edt.cli import main

    page = (DASHBOARD / "README.md").read_text()
    lines = [line.split("  #")[0].strip() for line in page.splitlines() if line.startswith("edt ")]
    assert len(lines) >= 4
    for line in lines:
        command, *words = shlex.split(line)[1:]
        assert main([command, *words, "--cfg", "job"]) == 0, capsys.readouterr().err
