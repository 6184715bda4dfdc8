import pytest

from blockseg.config.declare import readers
from blockseg.config.merging import read_settings
from blockseg.config.presets import load_config, preset, preset_command, preset_names
from blockseg.config.settings import RunSettings
from blockseg.config.train_settings import TrainSettings
from blockseg.config.values import parse_normalization
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Roi
from blockseg.core.specs import Normalization


def test_every_setting_has_a_reader_and_nothing_else_has():
    assert set(readers(RunSettings)) == set(RunSettings.__dataclass_fields__)


def test_later_layers_win_over_earlier_ones():
    assert read_settings(RunSettings, {"halo": 40}, {"halo": 48}).halo == 48


def test_hyphens_and_underscores_name_the_same_setting():
    assert read_settings(RunSettings, {"zarr-format": 2}) == read_settings(
        RunSettings, {"zarr_format": "2"}
    )


def test_auto_leaves_the_choice_open():
    settings = read_settings(
        RunSettings, {"block": "auto", "workers": None, "backend": "auto"}
    )
    assert settings.block is None
    assert settings.workers is None
    assert settings.backend == "auto"


def test_an_unknown_setting_names_its_nearest_neighbour():
    with pytest.raises(ConfigError, match="'blok'; did you mean 'block'"):
        read_settings(RunSettings, {"blok": 64})


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_used_and_opens_with_its_command(name):
    command = preset_command(name)
    training = name.startswith("train-")
    read_settings(TrainSettings if training else RunSettings, preset(name))
    assert command.startswith("blockseg train " if training else "blockseg run ")
    assert f"--config {name}" in command


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"block": "64,64"}, "--block '64,64': expected Z,Y,X"),
        ({"block": 0}, "--block '0': must be at least one voxel"),
        ({"roi": "0:4,0:4"}, "--roi '0:4,0:4': expected z0:z1"),
        ({"roi": "4:0,0:4,0:4"}, "expected z0:z1"),
        ({"roi": "0:4,0:0,0:4"}, "expected z0:z1"),
        ({"threshold": 2}, "--threshold '2': must lie between"),
        ({"threshold": "nan"}, "must lie between"),
        ({"voxel-size": "1,0,1"}, "positive and finite"),
        ({"voxel-size": "1,1"}, "expected Z,Y,X in µm"),
        ({"zarr-format": 4}, "choose one of 2, 3"),
        ({"halo": "wide"}, "expected a whole number"),
        ({"memory": "lots"}, "expected a size such as 16GB"),
        ({"inexact": "maybe"}, "expected true or false"),
        ({"weights": {"a": 1}}, "expected a text"),
    ],
)
def test_a_bad_value_is_told_with_its_option(values, said):
    with pytest.raises(ConfigError) as caught:
        read_settings(RunSettings, values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_are_read_as_users_write_them():
    settings = read_settings(
        RunSettings,
        {
            "block": "64,128,128",
            "roi": "0:10,5:20,7:8",
            "voxel-size": [1, 0.35, 0.35],
            "memory": "1.5GiB",
            "normalization": [170, 6.5],
        },
    )
    assert settings.block == (64, 128, 128)
    assert settings.roi == Roi((0, 5, 7), (10, 20, 8))
    assert settings.voxel_size == (1.0, 0.35, 0.35)
    assert settings.memory == 1.5 * 2**30
    assert settings.normalization == Normalization("given", 170.0, 6.5)
    assert str(settings.normalization) == "170,6.5"


def test_a_config_that_is_neither_file_nor_preset_lists_the_presets(tmp_path):
    with pytest.raises(ConfigError, match="presets are default"):
        load_config(str(tmp_path / "none.yaml"))


def test_broken_yaml_is_one_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1, 2")
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert "\n" not in str(caught.value)


def test_a_config_that_is_no_text_is_one_line(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"SQLite format 3\x00\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as text in UTF-8") as caught:
        load_config(str(path))
    assert "\n" not in str(caught.value)


def test_a_config_that_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n- 2\n")
    with pytest.raises(ConfigError, match="must hold 'setting: value' lines"):
        load_config(str(path))


def test_an_empty_config_changes_nothing(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert read_settings(RunSettings, load_config(str(path))) == RunSettings()


@pytest.mark.parametrize("text", ["published", "robust", "field", " Robust "])
def test_named_normalizations_are_read(text):
    assert parse_normalization("normalization", text).kind == text.strip().lower()
    assert str(parse_normalization("normalization", text)) == text, "as it was spelt"


@pytest.mark.parametrize(
    "text", ["", "raw", "1", "1,2,3", "1,0", "1,-2", "nan,1", "1,inf", "a,b", "1;2"]
)
def test_other_normalizations_are_refused_with_the_value(text):
    with pytest.raises(ConfigError) as caught:
        parse_normalization("normalization", text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_given_b_and_s_are_read_and_keep_their_spelling():
    asked = parse_normalization("normalization", "200, 6.0")
    assert asked == Normalization("given", 200.0, 6.0)
    assert str(asked) == "200, 6.0"
