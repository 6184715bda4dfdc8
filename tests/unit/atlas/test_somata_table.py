from blockseg.regions.somata import read_somata


def test_cells_keep_their_line_breaks_and_blank_lines_are_no_somata(tmp_path):
    table = tmp_path / "somata.csv"
    text = (
        'note,z_um,y_um,x_um\r\n"two\nlines\u2028here",1,2,3\r\n\r\nplain,4,5,6\r\n\r\n'
    )
    table.write_bytes(text.encode())
    found = read_somata(table)
    assert [row[0] for row in found.rows] == ["two\nlines\u2028here", "plain"]
    assert found.position.tolist() == [[1, 2, 3], [4, 5, 6]]
