"""Shares of work: no job twice, none missing, whatever the number of processes and machines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import ConfigError, DataError
from training.shares import Job, Share, run_share, split


def launched(rank: int, world: int, **local: str) -> dict[str, str]:
    return {"RANK": str(rank), "WORLD_SIZE": str(world), **local}


@given(jobs=st.integers(0, 60), machines=st.integers(1, 4), processes=st.integers(1, 5))
def test_shares_cover_all_jobs_once(jobs, machines, processes):
    shares = [
        Share.from_environment(f"{machine + 1}/{machines}", launched(rank, processes))
        for machine in range(machines)
        for rank in range(processes)
    ]
    taken = [index for share in shares for index in range(jobs) if share.has(index)]
    assert sorted(taken) == list(range(jobs))


@given(samples=st.integers(0, 500), size=st.integers(1, 60))
def test_jobs_cover_all_samples_once(samples, size):
    jobs = split(samples, size)
    covered = [i for job in jobs for i in range(job.first, job.first + job.size)]
    assert covered == list(range(samples))
    assert [job.index for job in jobs] == list(range(len(jobs)))


def test_the_environment_of_launchers_is_read():
    assert Share.from_environment(environment={}) == Share(0, 1, 0, 1)
    torchrun = launched(5, 8, LOCAL_RANK="1", LOCAL_WORLD_SIZE="4")
    assert Share.from_environment(environment=torchrun) == Share(5, 8, 1, 4)
    assert Share.from_environment("2/3", torchrun) == Share(13, 24, 1, 4)
    intel = {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}
    assert Share.from_environment(environment=intel) == Share(1, 2, 1, 2)


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/2/3"])
def test_a_senseless_part_is_refused(part):
    with pytest.raises(ConfigError, match="part of the work"):
        Share.from_environment(part, {})


@pytest.mark.parametrize("values", [launched(2, 2), launched(-1, 2), {"RANK": "x"}])
def test_a_senseless_environment_is_refused(values):
    with pytest.raises(ConfigError):
        Share.from_environment(environment=values)


class Files:
    """Jobs as names in a set, and how often each was made."""

    def __init__(self):
        self.made: list[int] = []

    def is_done(self, job: Job) -> bool:
        return job.index in self.made

    def work(self, todo, tick):
        for job in todo:
            self.made.append(job.index)
            tick(job.size)


def test_a_killed_run_goes_on_with_another_number_of_processes():
    files, jobs = Files(), split(25, 4)

    def killed(todo, tick):
        files.work(todo[:1], tick)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_share(jobs, files.is_done, killed, Share(1, 3), progress=False)
    assert files.made == [1]
    outcomes = [
        run_share(jobs, files.is_done, files.work, Share(rank, 2), progress=False)
        for rank in range(2)
    ]
    assert sorted(files.made) == list(range(7)), "each once"
    assert not outcomes[0].complete and "8 of 25" in str(outcomes[0])  # jobs 3 and 5
    assert outcomes[1].complete and outcomes[1].made == 8 and "all 25" in str(outcomes[1])


def test_work_that_leaves_no_file_is_an_error():
    with pytest.raises(DataError, match="shards 0, 1 are missing"):
        run_share(split(5, 3), lambda job: False, lambda todo, tick: None, Share(), progress=False)
