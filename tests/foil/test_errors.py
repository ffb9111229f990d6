import pickle

import pytest

from etchscope.foil import BadInput, EtchscopeError, MachineFailed


def test_bad_input_says_where_what_and_what_to_do():
    error = BadInput("a.json: side", "front or back", "'left'", hint="Correct the key.")
    assert str(error) == "a.json: side: expected front or back, found 'left'. Correct the key."
    assert str(BadInput("a.json", "one", "two")) == "a.json: expected one, found two"
    assert (error.where, error.expected, error.found) == ("a.json: side", "front or back", "'left'")


@pytest.mark.parametrize(("kind", "status"), [(BadInput, 2), (MachineFailed, 1)])
def test_exit_statuses(kind, status):
    assert kind.exit_status == status
    assert issubclass(kind, EtchscopeError)


def test_bad_input_survives_a_worker():
    error = BadInput("tile 3", "8 pictures", "7", hint="Scan again.")
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    assert isinstance(back, ValueError)
