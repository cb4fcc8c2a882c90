"""Kill a training again and again, resume it each time, and hold what comes out against the undisturbed run.

    python tests/end_to_end/kill_campaign.py [--kills 200] [--seed 0] [--work-dir DIR]      (make campaign)

Every third kill strikes inside the writing of a checkpoint or of the pointer to it (before the first byte, half way,
before and after the rename), the others come at random moments: importing done, loading, training, validating, saving.
Trainings of both loops, with and without workers and gradient accumulation, take turns; each is resumed by mmdet3d's
train.py --resume until it ends. Its losses, scores and samples, those of steps done twice too, and a hash of weights,
average, optimizer, schedules, generators and logs must be those of the undisturbed run. Exits non-zero if one is not.

The trainings are forks of this process, so that only one import of mmdet3d is waited for.
"""
import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'NUMBA_NUM_THREADS'):
    os.environ[name] = '1'  # a fork of a process with threads may hang
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / 'engine' / 'hooks'),
                str(Path(__file__).resolve().parents[2] / 'projects')]

from resumable_runs import config, curve, die_writing, digest, end_group, start, wait  # noqa: E402

KINDS = [('iter', 0, 1), ('epoch', 2, 1), ('iter', 2, 3), ('epoch', 0, 4)]
STAGES = ('first', 'half', 'written', 'there')
LIMIT_S = 120  # what hangs so long has failed


def finish(process: int, limit: float) -> int:
    """Exit status of a run, minus 9 if it had to be killed at ``limit`` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            end_group(process)
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, 9)
    return wait(process)


class Campaign:
    """Counts of a campaign and its undisturbed runs."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        self.counts: collections.Counter = collections.Counter()
        self.whole: dict = {}
        self.trainings = 0

    def undisturbed(self, kind: tuple) -> Path:
        """Work dir of the undisturbed run of a kind, and how long it takes beside."""
        if kind not in self.whole:
            folder = self.root / 'whole_{}_{}_{}'.format(*kind)
            begin = time.monotonic()
            if finish(start(config(folder, *kind)), LIMIT_S):
                raise SystemExit(f'the undisturbed run failed:\n{(folder / "output.log").read_text()}')
            self.whole[kind] = folder, time.monotonic() - begin
        return self.whole[kind]

    def life(self, run, seconds: float, strike: bool) -> int:
        """One start of a run and how it ends; ``strike`` says whether it is to be killed."""
        kills = self.counts['random'] + self.counts['writing']
        if strike and kills % 3 == 2:
            stage = self.random.choice(STAGES)
            status = finish(start(run, '--resume', prepare=die_writing(self.random.randint(1, 8), stage)), LIMIT_S)
            kind = 'writing'
        else:
            process = start(run, '--resume')
            status = finish(process, self.random.uniform(0.1, 0.8) * seconds if strike else LIMIT_S)
            kind = 'random'
        if status == -9 and strike:
            self.counts[kind] += 1
            if kind == 'writing':
                self.counts[f'  {stage}'] += 1
        elif status:
            raise SystemExit(f'{run.work_dir}: a resumed run ended with {status}:\n'
                             f'{Path(run.work_dir, "output.log").read_text()[-3000:]}')
        return status

    def training(self, kills: int) -> None:
        """Train one run through kills (of ``kills`` in all) to its end, and compare it."""
        kind = KINDS[self.trainings % len(KINDS)]
        whole, seconds = self.undisturbed(kind)
        folder = self.root / f'killed_{self.trainings}'
        run = config(folder, *kind)
        before = self.kills
        while self.life(run, seconds, strike=self.kills < kills and self.kills - before < 12):
            pass
        if curve(folder) != curve(whole) or digest(folder) != digest(whole):
            raise SystemExit(f'{folder} (kind {kind}) differs from the undisturbed {whole} after '
                             f'{self.kills - before} kills')
        self.counts['passed over'] += (folder / 'output.log').read_text().count('passed over')
        self.trainings += 1
        print(f'training {self.trainings}: {kind[0]} loop, {kind[1]} workers, {kind[2]} batches an update, '
              f'{self.kills - before} kills ({self.kills} in all): equal', flush=True)
        shutil.rmtree(folder)

    @property
    def kills(self) -> int:
        """Kills so far."""
        return self.counts['random'] + self.counts['writing']


def main(arguments=None) -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0, help='of the moments of the kills')
    parser.add_argument('--work-dir', type=Path, help='kept; default: a temporary one')
    args = parser.parse_args(arguments)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        campaign = Campaign(args.work_dir or Path(temporary), args.seed)
        while campaign.kills < args.kills:
            campaign.training(args.kills)
    stages = ', '.join(f'{campaign.counts[f"  {stage}"]} {stage}' for stage in STAGES)
    counts, equal = campaign.counts, campaign.trainings  # one that is not has ended it
    print(f'kills={campaign.kills} random={counts["random"]} in_writes={counts["writing"]} ({stages}) '
          f'trainings={campaign.trainings} equal={equal} damaged={counts["passed over"]} '
          f'seconds={time.monotonic() - begin:.0f}')


if __name__ == '__main__':
    main()
