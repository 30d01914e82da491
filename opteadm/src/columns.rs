//! Columns, and colour.

use std::io::{self, IsTerminal, Write};
use std::iter::repeat_n;

use clap::ColorChoice;

/// Whether there is colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// None.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(false);

    /// As it was asked for; if nobody did, on a terminal, unless `NO_COLOR` says otherwise (no-color.org).
    pub(crate) fn new(choice: ColorChoice) -> Self {
        Self(match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                !unwanted && !dumb && io::stdout().is_terminal()
            }
        })
    }

    pub(crate) fn heading(self, text: &str) -> String {
        self.coded("1", text)
    }

    pub(crate) fn added(self, text: &str) -> String {
        self.coded("32", text)
    }

    pub(crate) fn changed(self, text: &str) -> String {
        self.coded("33", text)
    }

    pub(crate) fn removed(self, text: &str) -> String {
        self.coded("31", text)
    }

    /// ECMA-48 section 8.3.117.
    fn coded(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Rows of cells in aligned columns, under a heading. Rows are written as they come, a page at a time: a column is then as wide as its
/// widest cell so far.
#[derive(Debug)]
pub(crate) struct Table {
    paint: Paint,
    rows: Vec<Row>,
    widths: Vec<usize>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    style: Style,
}

#[derive(Clone, Copy, Debug)]
enum Style {
    Plain,
    Heading,
    Bad,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(paint: Paint, headings: &[&str]) -> Self {
        let mut table = Self {
            paint,
            rows: Vec::new(),
            widths: Vec::new(),
        };
        table.styled(headings.iter().copied(), Style::Heading);
        table
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.styled(cells, Style::Plain);
    }

    /// A row that tells of something lost.
    pub(crate) fn bad_row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.styled(cells, Style::Bad);
    }

    /// A row with nothing in it, which the columns go on through.
    pub(crate) fn blank_row(&mut self) {
        let columns = self.widths.len();
        self.row(repeat_n("", columns));
    }

    /// Writes the rows there are, without blanks at the ends of lines, and forgets them.
    pub(crate) fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut line = String::new();
        for row in self.rows.drain(..) {
            line.clear();
            for (cell, width) in row.cells.iter().zip(&self.widths) {
                line += cell;
                line.extend(repeat_n(' ', width + GAP - cell.chars().count()));
            }
            let text = line.trim_end();
            match row.style {
                Style::Plain => writeln!(out, "{text}")?,
                Style::Heading => writeln!(out, "{}", self.paint.heading(text))?,
                Style::Bad => writeln!(out, "{}", self.paint.removed(text))?,
            }
        }
        Ok(())
    }

    fn styled(&mut self, cells: impl IntoIterator<Item = impl Into<String>>, style: Style) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        if self.widths.len() < cells.len() {
            self.widths.resize(cells.len(), 0);
        }
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(Row { cells, style });
    }
}

/// Between two columns.
const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_do_not_get_narrower() {
        let mut table = Table::new(Paint::NONE, &["A", "B"]);
        let mut out = Vec::new();
        for row in [["1", "2"], ["333", "4"], ["5", "6"]] {
            table.row(row);
            table.write(&mut out).unwrap();
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "A  B\n1  2\n333  4\n5    6\n"
        );
    }

    #[test]
    fn colour_goes_around_the_text() {
        let mut table = Table::new(Paint(true), &["A"]);
        table.bad_row(["x"]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\x1b[1mA\x1b[0m\n\x1b[31mx\x1b[0m\n"
        );
    }
}
