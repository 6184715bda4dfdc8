"""Files of JSON lines: bounded, whole, and of no harm to whoever writes them."""

import json
import threading

from blockseg.blockwise.logs.session import _make_room
from blockseg.runtime.logs.lines import LineFile


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_added_to_what_is_there(tmp_path):
    path = tmp_path / "a.jsonl"
    for number in range(2):
        lines = LineFile(path)
        lines.write("counted", number=number, path=tmp_path)
        lines.close()
    assert [line["number"] for line in lines_of(path)] == [0, 1]
    assert lines_of(path)[0]["path"] == str(tmp_path)
    assert lines_of(path)[0]["time"] <= lines_of(path)[1]["time"]


def test_no_file_grows_beyond_its_bound_and_the_last_lines_are_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = LineFile(path, most_bytes=1000)
    for number in range(500):
        lines.write("counted", number=number)
    lines.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["a.jsonl", "a.old.jsonl"]
    assert all(file.stat().st_size < 1100 for file in files)
    kept = [line["number"] for file in reversed(files) for line in lines_of(file)]
    assert kept == list(range(kept[0], 500))


def test_lines_of_many_threads_stay_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = LineFile(path)

    def write(thread):
        for number in range(50):
            lines.write("counted", thread=thread, number=number, text="x" * 300)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines.close()
    assert len(lines_of(path)) == 400


def test_a_file_that_cannot_be_written_is_given_up(tmp_path):
    lines = LineFile(tmp_path / "nowhere" / "a.jsonl")
    lines.write("lost")
    (tmp_path / "nowhere").mkdir()
    lines.write("lost")
    lines.close()
    assert not list((tmp_path / "nowhere").iterdir())


def test_what_is_no_json_is_told_as_text(tmp_path):
    lines = LineFile(tmp_path / "a.jsonl")
    lines.write("odd", value={1, 2}, key={"a": object})
    lines.write("later")
    lines.close()
    assert [line["event"] for line in lines_of(tmp_path / "a.jsonl")] == [
        "odd",
        "later",
    ]


def test_logs_of_the_first_sessions_make_room(tmp_path):
    for session in range(1, 5):
        (tmp_path / f"{session:04d}.driver.jsonl").write_bytes(bytes(400))
        (tmp_path / f"{session:04d}.w.jsonl").write_bytes(bytes(100))
    _make_room(tmp_path, most_bytes=1200)
    assert {path.name[:4] for path in tmp_path.iterdir()} == {"0003", "0004"}
