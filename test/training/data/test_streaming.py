"""Shards from a folder, a real HTTP server and a pipe: order, cache, damage, packing."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from depth_distill_ros.errors import ConfigError, DataError
from training.config import DataConfig, RunConfig
from training.data import shard_cache
from training.data.batches import StepBatches, batch_loader, read_or_next
from training.data.packing import main
from training.data.shard_cache import ShardCache, TransferError
from training.data.shards import Shards
from training.data.streaming import Stream


@pytest.fixture(scope="module")
def packed(shards, tmp_path_factory) -> Path:
    """The 24 rendered images in 6 shards of 4."""
    folder = tmp_path_factory.mktemp("packed") / "out"
    assert main(["pack", "--folder", str(shards), "--output", str(folder), "--samples", "4"]) == 0
    return folder


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, counts the requests, and fails as it is told."""

    requests: list[str]
    failures: list[str]  # paths that are answered with an error, once each
    cut: list[str]  # paths whose answers end early, once each

    def do_GET(self):
        self.requests.append(self.path)
        if self.path in self.failures:
            self.failures.remove(self.path)
            self.send_error(503)
        elif self.path in self.cut:
            self.cut.remove(self.path)
            data = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(packed, monkeypatch) -> Iterator[type[Handler]]:
    monkeypatch.setattr(shard_cache, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(ShardCache.__init__, "__defaults__", ((0.0, 0.0),))
    monkeypatch.setattr(shard_cache.fetch_bytes, "__defaults__", ((0.0, 0.0),))
    handler = type("Fresh", (Handler,), {"requests": [], "failures": [], "cut": []})
    bound = functools.partial(handler, directory=str(packed))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), bound) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        handler.url = f"http://127.0.0.1:{httpd.server_port}"
        yield handler
        httpd.shutdown()
        thread.join()


def same_samples(ours, theirs) -> None:
    assert len(ours) == len(theirs)
    for index in range(len(ours)):
        (rgb, depth), (other_rgb, other_depth) = ours[index], theirs[index]
        assert np.array_equal(rgb, other_rgb)
        assert np.array_equal(depth == 0, other_depth == 0)
        assert np.allclose(depth, other_depth, rtol=1e-4, atol=0)


def test_packed_shards_hold_the_rendered_images(packed, shards):
    stream, source = Stream(packed), Shards(shards)
    same_samples(stream, source)
    assert [stream.name(i) for i in (0, 23)] == ["shard-00000/0", "shard-00001/7"]
    assert (stream[0][1] == 0).any()  # sky is kept
    with pytest.raises(IndexError):
        stream[24]


def test_webdataset_reads_the_shards(packed):
    import webdataset

    urls = [str(path) for path in sorted(packed.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert len(samples) == 24
    assert set(samples[0]) >= {"__key__", "rgb.png", "depth.png"}
    assert samples[5]["__key__"] == Stream(packed).name(5)


def test_an_order_is_a_permutation_that_stays_within_groups_of_shards(packed):
    stream = Stream(packed, shuffled_shards=2)
    order = stream.order(seed=1, epoch=0)
    assert sorted(order) == list(range(24))
    groups = [{index // 4 for index in order[i : i + 8]} for i in (0, 8, 16)]
    assert [len(group) for group in groups] == [2, 2, 2]
    assert order.tolist() != sorted(order)
    assert any(np.diff(order[:8] // 4) != 0) and len(set(map(int, order[:8] // 4))) == 2


def test_an_order_follows_from_seed_and_epoch(packed, server, tmp_path):
    stream = Stream(packed)
    again = Stream(server.url, tmp_path / "cache")
    assert stream.order(3, 5).tolist() == again.order(3, 5).tolist()
    assert stream.order(3, 5).tolist() != stream.order(3, 6).tolist()
    assert stream.order(3, 5).tolist() != stream.order(4, 5).tolist()


def test_an_http_server_gives_the_same_and_is_asked_once_for_each_file(packed, server, tmp_path):
    stream = Stream(server.url, tmp_path / "cache")
    same_samples(stream, Stream(packed))
    copy = pickle.loads(pickle.dumps(stream))  # as a loader process gets it
    same_samples(copy, Stream(packed))
    shards = [path for path in server.requests if path.endswith(".tar")]
    assert sorted(shards) == [f"/shard-{i:05d}.tar" for i in range(6)]


def size_of_shards(folder: Path) -> int:
    """Bytes of the shards in a folder, from which another thread may be removing some."""
    total = 0
    for path in folder.rglob("*.tar"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def test_a_cache_stays_within_its_size(packed, server, tmp_path):
    sizes = [path.stat().st_size for path in packed.glob("*.tar")]
    room = (4 * max(sizes) + 1) / 1e9
    stream = Stream(server.url, tmp_path / "cache", cache_gb=room, shuffled_shards=2)
    for epoch in range(2):
        for index in stream.order(0, epoch):
            stream[int(index)]
            held = size_of_shards(tmp_path / "cache")
            assert held <= room * 1e9
    asked = [path for path in server.requests if path.endswith(".tar")]
    assert 12 >= len(asked) > 6  # each at most once an epoch, and not all were kept


def test_no_shard_changes_its_name_while_another_counts_them(packed, server, tmp_path):
    cache = ShardCache(tmp_path, server.url, limit=10**9)
    path = packed / "shard-00000.tar"
    data = path.read_bytes()
    arguments = (path.name, len(data), hashlib.sha256(data).hexdigest())
    counting, has_begun = contextlib.ExitStack(), threading.Event()
    reserve = cache._reserve

    def reserve_then_count(*needed) -> None:
        reserve(*needed)
        counting.enter_context(cache._lock(".room"))
        has_begun.set()

    cache._reserve = reserve_then_count
    thread = threading.Thread(target=cache.fetch, args=arguments)
    thread.start()
    with counting:
        assert has_begun.wait(timeout=60)
        thread.join(timeout=1)  # long enough to publish, were it not for the lock
        names = {path.suffix for path in tmp_path.iterdir()}
    thread.join()
    assert ".part" in names and ".tar" not in names
    assert (tmp_path / path.name).read_bytes() == data


def test_the_next_shards_come_in_the_background(server, tmp_path):
    stream = Stream(server.url, tmp_path / "cache", shuffled_shards=2)
    order = stream.order(0, 0)
    stream[int(order[0])]
    for thread in threading.enumerate():
        if thread.name.startswith("fetch-ahead"):
            thread.join(timeout=30)
    there = {path.name for path in (tmp_path / "cache").rglob("*.tar")}
    ahead = {f"shard-{index // 4:05d}.tar" for index in order[8:16]}
    assert ahead <= there and len(there) == 3


def test_a_cache_that_is_too_small_is_refused(server, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.cache_gb is 1e-06"):
        Stream(server.url, tmp_path / "cache", cache_gb=1e-6)


def test_a_failing_transfer_is_tried_again(packed, server, tmp_path):
    server.failures += ["/index.json", "/shard-00001.tar"]
    server.cut += ["/shard-00002.tar"]
    same_samples(Stream(server.url, tmp_path / "cache"), Stream(packed))
    assert server.requests.count("/shard-00002.tar") == 2


def test_what_stays_broken_ends_the_run(packed, server, tmp_path):
    stream = Stream(server.url, tmp_path / "cache")
    server.cut += ["/shard-00000.tar"] * 3
    with pytest.raises(
        TransferError, match=r"shard-00000.tar cannot be read: \d+ of \d+ bytes arrived"
    ):
        stream[0]
    assert not list((tmp_path / "cache").rglob("*.part"))
    server.cut += ["/shard-00000.tar"] * 3
    with pytest.raises(TransferError):  # nothing is skipped: the samples are well
        read_or_next(stream, 0)
    assert stream[0][0].shape == (64, 128, 3)  # the server is well again
    with pytest.raises(TransferError, match="does not exist"):
        Stream(server.url + "/nowhere", tmp_path / "cache")


def test_a_damaged_transfer_does_not_pass(packed, server, tmp_path, monkeypatch):
    stream = Stream(server.url, tmp_path / "cache")
    stream._shards[0]["sha256"] = "0" * 64
    with pytest.raises(TransferError, match="SHA-256"):
        stream[0]


def test_a_pipe_and_its_failure(packed, server, tmp_path):
    stream = Stream(f"pipe:cat {packed}/{{}}", tmp_path / "cache")
    same_samples(stream, Stream(packed))
    with pytest.raises(TransferError):
        Stream("pipe:cat /nowhere/{}", tmp_path / "cache")


def test_an_unknown_kind_of_url(server, tmp_path):
    with pytest.raises(TransferError, match="cannot be read"):
        Stream("gopher://host/data", tmp_path / "cache")


def test_batches_over_http_are_those_of_the_folder(packed, server, tmp_path):
    data = DataConfig(size=(32, 64), crop_min=0.6)
    run = RunConfig(output="unused", steps=6, batch_size=4, seed=3)
    sources = (Stream(packed), Stream(server.url, tmp_path / "cache"))
    results = [list(batch_loader(StepBatches(source, data, run), 0, 0)) for source in sources]
    for local, remote in zip(*results, strict=True):
        assert local.names == remote.names
        assert all((local.tensors[k] == remote.tensors[k]).all() for k in local.tensors)
    assert len({name for batch in results[0] for name in batch.names}) == 24


def test_local_shards_that_were_cut_or_lost(packed, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(packed, folder)
    shard = folder / "shard-00003.tar"
    data = shard.read_bytes()
    shard.write_bytes(data[:1000])
    with pytest.raises(DataError, match=f"has 1000 of {len(data)} bytes"):
        Stream(folder)
    shard.unlink()
    with pytest.raises(DataError, match="is missing"):
        Stream(folder)


def test_verify(packed, tmp_path, capsys):
    import shutil

    assert main(["verify", "--folder", str(packed)]) == 0
    assert "6 shards with 24 samples are whole" in capsys.readouterr().out
    folder = tmp_path / "copy"
    shutil.copytree(packed, folder)
    data = bytearray((folder / "shard-00003.tar").read_bytes())
    data[2000] ^= 1
    (folder / "shard-00003.tar").write_bytes(data)
    assert main(["verify", "--folder", str(folder)]) == 2
    assert "shard-00003.tar" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "python -m training.data.hypersim"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 99, "shards": [1], "depth": "log16"}', "another version"),
    ],
)
def test_folders_without_a_good_index(tmp_path, content, message):
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(DataError, match=message):
        Stream(tmp_path)


def test_packing_leaves_out_what_cannot_be_read(make_sequence, tmp_path):
    folder = make_sequence(tmp_path / "room.1", frames=3)
    (folder / "depth" / "000001.png").write_bytes(b"nothing")
    output = tmp_path / "out"
    command = ["pack", "--kind", "frames", "--folder", str(folder), "--output", str(output)]
    assert main(command) == 0
    stream = Stream(output)
    assert [stream.name(i) for i in range(len(stream))] == ["room_1/000000", "room_1/000002"]
    assert json.loads((output / "report.json").read_text())["left_out"] == {"unreadable": 1}
