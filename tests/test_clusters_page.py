"""The scripts on the page about clusters are valid, and what they make can be handed in."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer.main

from etchscope.cli.app import app
from etchscope.run.shares import Share

PAGE = (Path(__file__).parents[1] / "docs" / "clusters.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def require_shell(script):
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", blocks("bash"))
def test_a_script_is_shell(script):
    require_shell(script)


def test_the_commands_of_the_scripts_are_understood():
    lines = re.findall(r"etchscope ((?:find|run) [^\n]*?)\"?\)?\n", "".join(blocks("bash")))
    lines += re.findall(r'^arguments = "(.*)"$', PAGE, re.MULTILINE)
    lines = [re.sub(r"\$INT\(number\)|\$SLURM_ARRAY_TASK_ID", "17", line) for line in lines]
    assert len(lines) == 6
    for line in lines:
        name, *words = shlex.split(line.replace('"', ""))
        given = typer.main.get_command(app).commands[name].make_context(name, words).params
        assert str(given["paths"][0]) == "/shared/foils"
        Share.parse(given["part"] or "1/1")


@pytest.mark.filterwarnings("ignore:Port")  # another test has a cluster
@pytest.mark.parametrize("code", [c for c in blocks("python") if "_jobqueue" in c])
def test_a_cluster_of_jobs_has_a_script(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "example"}
    exec(compile(code, "docs/clusters.md", "exec"), names)
    with names["make_cluster"]() as cluster:
        script = cluster.job_script()
    if "SLURM" in code:
        require_shell(script)
        assert "#SBATCH -n 1\n#SBATCH --cpus-per-task=8\n#SBATCH --mem=15G" in script
        assert "#SBATCH -p long" in script
    else:
        assert "should_transfer_files = NO" in script
        assert "RequestCpus = MY.DaskWorkerCores" in script
    assert "--nworkers 8" in script
    assert "--nthreads 1" in script
