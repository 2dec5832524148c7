"""Records of a CSV-like text: physical lines put together where a quoted field runs on, none ever lost.

A record that cannot be read is told by its reason, and reading resumes at its next physical line.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import TextIO

MAX_COLUMNS = 500
MAX_FIELD = 2**20
MAX_RECORD = 2 * MAX_FIELD
MAX_CONTENT = 1_000
UNCLOSED_QUOTE = "a quote opens a field and is not properly closed"
TEXT_AFTER_QUOTE = "text follows a closing quote (a quote inside a quoted field is written twice)"
UNDECODABLE = "reviewscope.undecodable"
UNDECODABLE_BYTE = re.compile("[\udc00-\udcff]")


class Records:
    """The records of a stream: the fields of each ([] for a blank line), or the reason why it cannot be read.

    Attributes:
        line: The physical line (from 1) on which the record given last begins.
        last_line: The physical line on which it ends.
        text: Its raw text.
    """

    def __init__(self, stream: TextIO, delimiter: str, max_columns: int = MAX_COLUMNS) -> None:
        # The limit belongs to the whole process, so it is only ever raised; ours are checked here.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD))
        self.line = 0
        self.last_line = 0
        self.text = ""
        self._delimiter = delimiter
        self._max_columns = max_columns
        self._lines = Lines(stream)
        self._quoted = csv.reader(self._lines, delimiter=delimiter, strict=True)

    def __iter__(self) -> Iterator[list[str] | str]:
        lines, delimiter, max_columns = self._lines, self._delimiter, self._max_columns
        while line := lines.take():
            self.line = self.last_line = lines.number
            self.text = line
            fields: list[str] | str
            if len(line) > MAX_RECORD:
                fields = f"the line is longer than {MAX_RECORD:,} characters"
            elif '"' in line:
                fields = self._split_quoted()
            else:
                bare = line.rstrip("\r\n")
                fields = bare.split(delimiter, max_columns) if bare else []
            text = self.text
            if text.isascii() and "\0" not in text and len(text) <= MAX_FIELD:
                yield fields
            else:
                yield self._find_flaw(fields) or fields

    def count(self, fields: list[str]) -> int:
        """Count the fields of the last record, also those that were not split because there are too many."""
        return len(fields) if '"' in self.text else self.text.count(self._delimiter) + 1

    def content(self) -> str:
        """Return the text of the last record as a Reject keeps it."""
        return keep_content(self.text.rstrip("\r\n"))

    def _split_quoted(self) -> list[str] | str:
        lines = self._lines
        lines.begin_record(self.text)
        try:
            fields = next(self._quoted)
        except csv.Error as error:
            in_first_line = len(lines.record) == 1 and "expected after" in str(error)
            lines.give_up_record()
            return TEXT_AFTER_QUOTE if in_first_line else UNCLOSED_QUOTE
        if len(lines.record) > 1:
            self.text = "".join(lines.record)
            self.last_line = lines.number
        return fields

    def _find_flaw(self, fields: list[str] | str) -> str | None:
        if isinstance(fields, str) or len(fields) > self._max_columns:
            return None
        if "\0" in self.text:
            return "a NUL character"
        try:
            self.text.encode()  # several times faster than searching, and fails at what mark_undecodable leaves
        except UnicodeEncodeError as error:
            return f"byte 0x{ord(self.text[error.start]) & 0xFF:02x} does not fit the encoding"
        longest = max(map(len, fields)) if len(self.text) > MAX_FIELD else 0
        return f"a field of {longest:,} characters; at most {MAX_FIELD:,} are read" if longest > MAX_FIELD else None


def keep_content(text: str) -> str:
    r"""Return a raw text as a Reject keeps it: cut, and with ``\xff`` for what no table can hold."""
    marked = UNDECODABLE_BYTE.sub(lambda mark: f"\\x{ord(mark[0]) - 0xDC00:02x}", text[: MAX_CONTENT + 1])
    shown = marked.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    return shown if len(shown) <= MAX_CONTENT else shown[:MAX_CONTENT] + "…"


class Lines:
    """The physical lines of a stream; as an iterator, those that the csv module asks for to complete a record.

    Attributes:
        number: The number (from 1) of the line taken last.
        record: The lines that the csv module was given, and the one that was withheld as too much.
    """

    def __init__(self, stream: TextIO) -> None:
        self.number = 0
        self.record: list[str] = []
        self._readline = stream.readline
        self._given_back: deque[str] = deque()
        self._first = ""
        self._size = 0
        self._hopeless_until = 0
        self._is_hopeless = False

    def take(self) -> str:
        """Return the next line, or "" at the end; of one longer than ``MAX_RECORD`` only the beginning."""
        if self._given_back:
            line = self._given_back.popleft()
        else:
            line = self._readline(MAX_RECORD + 1)
            if len(line) > MAX_RECORD:
                self._skip_rest(line)
        if line:
            self.number += 1
        return line

    def _skip_rest(self, piece: str) -> None:
        while piece and piece[-1] not in "\r\n":
            piece = self._readline(MAX_RECORD + 1)
        if len(piece) > MAX_RECORD and piece[-1] == "\r":
            following = self._readline(MAX_RECORD + 1)  # a cut may part the carriage return from its line feed
            if following and following != "\n":
                self._given_back.append(following)
                if len(following) > MAX_RECORD:
                    self._skip_rest(following)

    def begin_record(self, first: str) -> None:
        """Make the line taken last the first of a record."""
        self.record = []
        self._first = first
        self._size = 0
        self._is_hopeless = self.number <= self._hopeless_until

    def give_up_record(self) -> None:
        """Give back all lines of the record but the first.

        Each line between the first and the last leaves the quote open, so a quote that one of them opens would end as
        this one did. Not searching again keeps a file of nothing but such lines linear.
        """
        if len(self.record) > 1:
            self._hopeless_until = self.number - 1
            self._given_back.extendleft(reversed(self.record[1:]))
            self.number -= len(self.record) - 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self.record:
            line = self._first
        elif self._is_hopeless or not (line := self.take()):
            raise StopIteration
        self.record.append(line)
        self._size += len(line)
        if self._size > MAX_RECORD:
            raise StopIteration
        return line


def mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    """Put a lone surrogate for each undecodable byte: no text has one, so that its line can be told and rejected."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(UNDECODABLE, mark_undecodable)
