import pytest

from etchscope.cli.errors import name_options
from etchscope.foil import BadInput, ModelNameTaken


def test_an_error_names_the_option_and_keeps_its_class():
    with (
        pytest.raises(
            ModelNameTaken, match=r"^--name: expected another, found 'a'\. Choose one\.$"
        ),
        name_options({"name of a model": "--name"}),
    ):
        raise ModelNameTaken("name of a model", "another", "'a'", "Choose one.")


def test_an_error_of_another_parameter_stays_as_it_is():
    error = BadInput("seed", "0 or more", "-1")
    with pytest.raises(BadInput) as raised, name_options({"name of a model": "--name"}):
        raise error
    assert raised.value is error
