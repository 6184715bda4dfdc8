import pytest

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.train_settings import TRAIN_EXECUTION, TrainSettings
from blockseg.core.errors import ConfigError


def test_what_a_resumed_training_may_change_are_options_of_it():
    assert set(declared(TrainSettings)) >= TRAIN_EXECUTION


def test_an_unknown_setting_of_a_training_names_its_nearest_neighbour():
    with pytest.raises(ConfigError, match="'pacience'; did you mean 'patience'"):
        read_settings(TrainSettings, {"pacience": 3})


def test_values_of_a_training_are_read_as_users_write_them():
    settings = read_settings(
        TrainSettings,
        {
            "time": "1h30m",
            "label-map": {0: 255, 2: 1},
            "shares": "0.7,0.3",
            "clip": [-5, 20],
            "rate": "6e-3",
            "width": "auto",
        },
    )
    assert settings.time == 5400
    assert settings.label_map == {0: 255, 2: 1}
    assert settings.shares == (0.7, 0.3)
    assert settings.clip == (-5.0, 20.0)
    assert settings.rate == 0.006
    assert settings.width is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), (45, 45), ("1.5m", 90)],
)
def test_durations_are_seconds(text, seconds):
    assert read_settings(TrainSettings, {"time": text}).time == seconds


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"time": "soon"}, "--time 'soon': expected a duration"),
        ({"time": ""}, "expected a duration"),
        ({"time": "0s"}, "expected a duration"),
        ({"label-map": "1"}, "expected FROM:TO"),
        ({"label-map": "1:7"}, "expected FROM:TO"),
        ({"shares": "1,0"}, "each must be above 0"),
        ({"clip": "1,2"}, "0 must lie inside"),
        ({"loss": "focal"}, "choose one of bce-dice, published, dice-ce"),
        ({"steps": 0}, "must be at least 1"),
    ],
)
def test_a_bad_value_of_a_training_is_told_with_its_option(values, said):
    with pytest.raises(ConfigError) as caught:
        read_settings(TrainSettings, values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
