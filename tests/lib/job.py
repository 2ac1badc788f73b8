"""One step of a job, run as a hosted runner runs a shell step."""
import os
import subprocess
import tempfile

SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]


class Step:
    """What became of it: exit status, what it printed, what it left in $GITHUB_OUTPUT and $GITHUB_STEP_SUMMARY."""

    def __init__(self, script, env, folder=None):
        with tempfile.TemporaryDirectory(prefix="holdfast-step-") as made:
            path, output, summary = (os.path.join(made, name) for name in ("step.sh", "output", "summary"))
            for name, text in ((path, script), (output, ""), (summary, "")):
                with open(name, "w") as f:
                    f.write(text)
            done = subprocess.run([*SHELL, path], text=True, capture_output=True, timeout=120, cwd=folder or made,
                                  env={"PATH": os.environ["PATH"], "RUNNER_TEMP": made, "GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": summary, **env})
            self.status, self.said = done.returncode, done.stdout + done.stderr
            with open(output) as f:
                self.outputs = dict(line.split("=", 1) for line in f.read().splitlines())
            with open(summary) as f:
                self.summary = f.read()

    def masked(self):
        return [line.split("::", 2)[2] for line in self.said.splitlines() if line.startswith("::add-mask::")]

    def shown(self):
        """The log as people see it: the runner reads lines of masks itself and shows what they name as stars."""
        text = "\n".join(line for line in self.said.splitlines() if not line.startswith("::add-mask::"))
        for secret in self.masked():
            text = text.replace(secret, "***")
        return text

    def __iter__(self):
        return iter((self.status, self.said, self.outputs))

    def __repr__(self):
        return f"<exit {self.status}, outputs {self.outputs}, said {self.said[-600:]!r}>"
