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


def test_a_message_quotes_no_more_than_a_line_shows():
    error = BadInput("a.csv: " + "c" * 3000, "one of " + "e" * 3000, "f" * 3000 + "end", hint="Go.")
    assert len(str(error)) < 540
    assert str(error).startswith("a.csv: ccc")
    assert str(error).endswith("fend. Go.")
    assert str(error).count("…") == 3
    whole = BadInput("a.csv", "e" * 300, "f" * 190)
    assert str(whole) == f"a.csv: expected {'e' * 300}, found {'f' * 190}"


def test_a_message_shows_control_characters_and_does_not_send_them():
    error = BadInput("a\x1b[2Jb.csv", "text", "'\ud800\r\n\x00é…'")
    assert str(error) == "a\\x1b[2Jb.csv: expected text, found '\\ud800\\r\\n\\x00é…'"
