//! Columns: aligned on a terminal, apart by tabs elsewhere.

use anstyle::Style;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, presets};

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    pub(crate) fn new(header: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            header: header.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (String, Style)>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn render(&self, terminal: bool) -> String {
        if terminal {
            self.aligned()
        } else {
            self.tabbed()
        }
    }

    fn aligned(&self) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic);
        let header = self
            .header
            .iter()
            .map(|name| Cell::new(name).add_attribute(Attribute::Dim));
        table.set_header(header);
        for row in &self.rows {
            table.add_row(row.iter().map(|(text, style)| cell(text, *style)));
        }
        table.trim_fmt()
    }

    fn tabbed(&self) -> String {
        let mut lines = vec![self.header.join("\t")];
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .map(|(text, _)| text.replace(['\t', '\n', '\r'], " "))
                .collect();
            lines.push(cells.join("\t"));
        }
        lines.join("\n")
    }
}

fn cell(text: &str, style: Style) -> Cell {
    let mut cell = Cell::new(text);
    if let Some(anstyle::Color::Ansi(color)) = style.get_fg_color() {
        cell = cell.fg(match color {
            anstyle::AnsiColor::Green => Color::DarkGreen,
            anstyle::AnsiColor::Red => Color::DarkRed,
            anstyle::AnsiColor::Yellow => Color::DarkYellow,
            anstyle::AnsiColor::Blue => Color::DarkBlue,
            anstyle::AnsiColor::Magenta => Color::DarkMagenta,
            _ => Color::DarkCyan,
        });
    }
    if style.get_effects().contains(anstyle::Effects::DIMMED) {
        cell = cell.add_attribute(Attribute::Dim);
    }
    if style.get_effects().contains(anstyle::Effects::BOLD) {
        cell = cell.add_attribute(Attribute::Bold);
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_a_row_is_one_line_of_tabbed_cells() {
        let mut table = Table::new(["A", "B"]);
        table.row([
            ("one\ttwo\nthree".to_owned(), Style::new()),
            ("4".to_owned(), Style::new()),
        ]);
        assert_eq!(table.render(false), "A\tB\none two three\t4");
    }

    #[test]
    fn on_a_terminal_columns_are_aligned() {
        let mut table = Table::new(["NAME", "N"]);
        for name in ["a", "longer"] {
            table.row([
                (name.to_owned(), Style::new()),
                ("1".to_owned(), Style::new()),
            ]);
        }
        let text = anstream::adapter::strip_str(&table.render(true)).to_string();
        let columns: Vec<_> = text.lines().map(|line| line.rfind(['N', '1'])).collect();
        assert!(
            columns
                .iter()
                .all(|column| *column == columns[0] && column.is_some()),
            "{text}"
        );
    }
}
