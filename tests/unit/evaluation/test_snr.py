"""Tables of the SNR of labels."""

import numpy as np
import pytest

from blockseg.core.errors import VolumeError
from blockseg.evaluation.snr import read_snr_table


def table(folder, text):
    path = folder / "snr.csv"
    path.write_text(text)
    return read_snr_table(path)


def test_labels_take_their_snr_and_others_none(tmp_path):
    found = table(tmp_path, "label,snr\n7,2.5\n3,1\n9,\n")
    got = found.of(np.array([[3, 7], [8, 9]], np.uint8))
    np.testing.assert_array_equal(got, [[1, 2.5], [np.nan, np.nan]])


def test_branches_go_before_neurons_and_further_columns_are_passed_over(tmp_path):
    found = table(tmp_path, "branch,neuron,snr,length\n5,1,2.5,10\n")
    assert found.of(np.array([5, 1])).tolist()[0] == 2.5


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path):
    found = table(tmp_path, "\ufefflabel,snr\n7,2.5\n")
    assert found.of(np.array([7])).tolist() == [2.5]


def test_an_empty_table_knows_nothing(tmp_path):
    found = table(tmp_path, "label,snr\n")
    assert np.isnan(found.of(np.array([1, 2]))).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the columns none"),
        ("label,contrast\n1,2\n", "the columns label, contrast"),
        ("label,snr\n1,2\nx,3\n", "line 3"),
        ("label,snr\n1,high\n", "line 2"),
        ("label,snr\n1\n", "line 2"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path, text, message):
    with pytest.raises(VolumeError, match=message):
        table(tmp_path, text)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(VolumeError, match="cannot be read"):
        read_snr_table(tmp_path / "no.csv")
