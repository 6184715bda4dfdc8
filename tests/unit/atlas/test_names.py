"""Tables of names."""

import pytest

from blockseg.atlas.names import read_names
from blockseg.core.errors import ConfigError

BRAINGLOBE = """acronym,id,name,structure_id_path,parent_structure_id
root,997,root,/997/,
grey,8,Basic cell groups and regions,/997/8/,997.0
CH,567,Cerebrum,/997/8/567/,8.0
"""


def table(tmp_path, text):
    path = tmp_path / "structures.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_structures_of_brainglobe_are_read(tmp_path):
    names = read_names(table(tmp_path, BRAINGLOBE))
    assert list(names.regions) == [997, 8, 567]
    assert names.of(567).acronym == "CH"
    assert names.ancestors(567) == (567, 8, 997)
    assert names.has_parents


def test_a_path_of_ids_tells_the_parent_where_no_column_does(tmp_path):
    text = "id,name,structure_id_path\n997,root,/997/\n8,grey,/997/8/\n"
    assert read_names(table(tmp_path, text)).ancestors(8) == (8, 997)


def test_id_and_name_are_enough_and_others_are_called_by_number(tmp_path):
    names = read_names(table(tmp_path, 'ID, Name\n1,"Cortex, layer 1"\n'))
    assert names.of(1).name == "Cortex, layer 1"
    assert names.of(7).name == "region 7"
    assert not names.has_parents
    assert read_names(None).of(1).name == "region 1"


def test_ids_beyond_32_bits_are_kept(tmp_path):
    names = read_names(
        table(tmp_path, "id,name\n614454277,a\n18446744073709551615,b\n")
    )
    assert names.of(2**64 - 1).name == "b"


def test_ids_that_float32_has_merged_are_recognised(tmp_path):
    layers = [312782550, 312782554, 312782570]
    rows = "".join(f"{one},layer\n" for one in [7, 16777216, *layers])
    names = read_names(table(tmp_path, f"id,name\n{rows}"))
    assert names.rounded() == {312782560: tuple(layers)}


def test_no_rounded_id_is_suspected_where_the_number_has_a_name(tmp_path):
    text = "id,name\n312782550,layer\n312782560,other\n-5,other\n"
    assert read_names(table(tmp_path, text)).rounded() == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("number,title\n1,a\n", "has the columns number, title; it needs id and name"),
        ("", "it needs id and name"),
        ("id,name\n", "names no region"),
        ("id,name\n1,a\nx,b\n", "line 3: ids and parents must be whole numbers"),
        ("id,name\n1,a\n1,b\n", "gives the id 1 a second time"),
        ("id,name,parent\n1,a,2\n2,b,1\n", "is part of itself"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read_names(table(tmp_path, text))


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_names(str(tmp_path / "none.csv"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_name_may_have_any_characters_that_a_quoted_cell_may(tmp_path, end):
    path = tmp_path / "structures.csv"
    text = f'id,name{end}1,"one\u2028line"{end}2,"two\nlines"{end}'
    path.write_bytes(text.encode())
    names = read_names(str(path))
    assert [names.of(k).name for k in (1, 2)] == ["one\u2028line", "two\nlines"]
