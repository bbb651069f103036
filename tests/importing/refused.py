"""Files of text that are refused."""

from typing import Any

from tests.importing.table import (
    CADMIUM,
    DATED,
    GERMAN,
    GERMAN_COLUMNS,
    PLAIN,
    File,
    columns,
    dated,
    germans,
    measured,
)


def refused(name: str, content: bytes, said: str, mapping: str = "", **more: Any) -> File:
    return File(name, content, mapping or columns(), said=said, **more)


REFUSED = [
    refused(
        "1.234 under a decimal comma",
        b"T;t;solvent;yield\n25;1.234;DMF;5\n",
        "t.csv, line 2, column 't': '1.234' is not a number",
        germans() + columns(),
    ),
    refused(
        "groups that are no thousands",
        b"T;t;solvent;yield\n25;12.34;DMF;5\n",
        "t.csv, line 2, column 't': '12.34' is not a number",
        germans('thousands = "."\n') + columns(),
    ),
    refused(
        "0.123 is no thousand",
        b"T;t;solvent;yield\n25;60;DMF;0.123\n",
        "t.csv, line 2, column 'yield': '0.123' is not a number",
        germans('thousands = "."\n') + columns(),
    ),
    refused(
        "a decimal comma that is not declared",
        b"T;t;solvent;yield\n25;60;DMF;51,5\n",
        "t.csv, line 2, column 'yield': '51,5' is not a number: a comma",
        '[table]\ndelimiter = ";"\n' + columns(),
    ),
    refused(
        "Windows read as UTF-8", GERMAN.encode("cp1252"), "t.csv, line 1, column 4: byte 0xb0 is not utf-8", germans() + GERMAN_COLUMNS
    ),
    refused("UTF-8 read as Windows", GERMAN.encode(), "t.csv has no such column", germans('encoding = "cp1252"\n') + GERMAN_COLUMNS),
    refused(
        "Macintosh read as ISO 8859-15",
        GERMAN.encode("mac-roman"),
        "t.csv, line 1, column 17: the character U+009A stands in no table; is the file written in another",
        germans('encoding = "iso8859-15"\n') + GERMAN_COLUMNS,
    ),
    refused(
        "UTF-16 read as UTF-8",
        PLAIN.encode("utf-16"),
        "t.csv, line 1, column 1: byte 0xff is not utf-8: invalid start byte (the file begins like UTF-16)",
    ),
    refused(
        "what another program could not read",
        "T,t,solvent,yield\n25,60,DMF,5\ufffd\n".encode(),
        "t.csv, line 2, column 12: the character U+FFFD stands in no table",
    ),
    refused("a hidden NUL", b"T,t,solvent,yield\n25,60,DMF,5\x001.5\n", "t.csv, line 2, column 12: there is a NUL character"),
    refused(
        "two columns of one name", b"T,t,solvent,yield,yield\n25,60,DMF,5,6\n", "t.csv, line 1: columns 4 and 5 are both called 'yield'"
    ),
    refused(
        "a ragged row", b"T,t,solvent,yield\n25,60,DMF\n", "t.csv, line 2: 3 cells; expected 4, as in the header: column 'yield' has none"
    ),
    refused("a quote left open", b'T,t,solvent,yield\n25,60,"DMF,5\n', "t.csv, line 2, cell 3 has no end"),
    refused(
        "errors of a spreadsheet",
        b"T,t,solvent,yield\n25,60,DMF,#DIV/0!\n25,60,DMF,#NAME?\n",
        "t.csv, line 2, column 'yield': '#DIV/0!' is not a number",
    ),
    refused("nan", b"T,t,solvent,yield\n25,60,DMF,NaN\n", "t.csv, line 2, column 'yield': 'NaN' is not finite"),
    refused("infinite", b"T,t,solvent,yield\n25,60,DMF,-inf\n", "t.csv, line 2, column 'yield': '-inf' is not finite"),
    refused(
        "a bound without a rule",
        measured("51.5,<0.1"),
        "t.csv, line 2, column 'Cd': '<0.1' is below detection and no value; [censored] below",
        CADMIUM,
    ),
    refused(
        "a bound of a parameter",
        b"T,t,solvent,yield\n<25,60,DMF,5\n",
        "t.csv, line 2, column 'T': '<25' is not a number",
        columns() + '[censored]\nbelow = "quarantine"\n',
    ),
    refused(
        "a word without a rule",
        measured("51.5,n.d."),
        "t.csv, line 2, column 'Cd': 'n.d.' is not a number",
        CADMIUM + '[censored]\nbelow = "quarantine"\n',
    ),
    refused("a footnote", b"T,t,solvent,yield\n25,60,DMF,5*\n", "t.csv, line 2, column 'yield': '5*': unknown unit '*'"),
    refused(
        "a value with its spread",
        "T,t,solvent,yield\n25,60,DMF,5 ± 0.2\n".encode(),
        "t.csv, line 2, column 'yield': '5 ± 0.2': unknown unit",
    ),
    refused("about", b"T,t,solvent,yield\n25,60,DMF,ca. 5\n", "t.csv, line 2, column 'yield': 'ca. 5' is not a number"),
    refused(
        "a unit of another dimension",
        b"T,t,solvent,yield\n25 mL,60,DMF,5\n",
        "t.csv, line 2, column 'T': '25 mL': 25 mL cannot be expressed in degC",
    ),
    refused(
        "US date under a German pattern",
        dated("12/31/2026"),
        "t.csv, line 2, column 'date': '12/31/2026' is not a date as declared; expected one like %d.%m.%Y",
        '[table]\nzone = "UTC"\n' + columns(date='date = "%d.%m.%Y"'),
    ),
    refused(
        "US date as ISO",
        dated("12/31/2026"),
        "t.csv, line 2, column 'date': '12/31/2026' is not a date as declared; expected a date like 2026-12-31",
        DATED,
    ),
    refused("a day that is none", dated("2026-02-30"), "t.csv, line 2, column 'date': '2026-02-30' is not a date", DATED),
    refused("a date without a zone", dated("2026-12-31 14:05"), "t.csv, line 2, column 'date': '2026-12-31 14:05' has no time zone", DATED),
    refused(
        "an hour that the clocks leave out",
        dated("2026-03-29 02:30"),
        "line 2, column 'date': clocks in Europe/Berlin show 2026-03-29 02:30:00 never",
        '[table]\nzone = "Europe/Berlin"\n' + DATED,
    ),
    refused(
        "an hour that comes twice",
        dated("2026-10-25 02:30"),
        "line 2, column 'date': clocks in Europe/Berlin show 2026-10-25 02:30:00 twice",
        '[table]\nzone = "Europe/Berlin"\n' + DATED,
    ),
    refused("a total that is not declared", PLAIN.encode() + b"Total,,,58.5\n", "t.csv, line 4, column 'T': 'Total' is not a number"),
    refused("an empty parameter", b"T,t,solvent,yield\n25,,DMF,5\n", "t.csv, line 2, column 't': the cell is empty; expected a value of t"),
    refused(
        "another unit in the header",
        b"T [K],t,solvent,yield\n298,60,DMF,5\n",
        "columns.T [K]: its header says 'K', the mapping 'degC'; expected the same",
        columns(T="", **{"T [K]": 'parameter = "T"'}),
    ),
    refused(
        "another unit below the header",
        b"T,t,solvent,yield\nK,s,,%\n298,60,DMF,5\n",
        "columns.T: its row of units says 'K', the mapping 'degC'; expected the same",
        "[table]\nunits_row = true\n" + columns(),
    ),
    refused("a column that nobody named", b"T,t,solvent,yield,note\n25,60,DMF,5,x\n", "t.csv: mapping m.toml does not name column 'note'"),
    refused(
        "a column that is not there",
        b"T,t,solvent\n25,60,DMF\n",
        "mapping m.toml: columns.'yield': t.csv has no such column; it has 'T', 't', 'solvent'",
    ),
    refused(
        "a category that is none",
        b"T,t,solvent,yield\n25,60,toluene,5\n",
        "t.csv, line 2, column 'solvent': solvent = 'toluene' is none of DMF, water",
    ),
    refused(
        "the uncertainty of nothing",
        b"T,t,solvent,yield,u\n25,60,DMF,,1\n",
        "t.csv, line 2, column 'u': '1' is the uncertainty of no value; yield is empty",
        columns(u='uncertainty = "yield"'),
    ),
    refused(
        "an uncertainty of nought",
        b"T,t,solvent,yield,u\n25,60,DMF,5,0\n",
        "t.csv, line 2, column 'u': '0' is no standard uncertainty; expected one above 0",
        columns(u='uncertainty = "yield"'),
    ),
    refused("nothing at all", b"", "t.csv is empty"),
    refused("no value in any row", measured(","), "t.csv: no row has a value of any target", CADMIUM),
    refused("Excel before 2007", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "t.xls is a workbook of Excel before 2007", suffix="xls"),
    refused("an archive that is no workbook", b"PK\x03\x04" + bytes(99), "t.xlsx is not an Excel workbook (.xlsx)", suffix="xlsx"),
]
