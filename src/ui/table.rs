use pulldown_cmark::Alignment;
use ratatui::{style::Style, text::Span};

use super::inline::{Inline, is_joint, row_width};

/// A column narrower than this can't be read; the table is then written as a list.
const MIN_COLUMNS: usize = 9;

/// A table being collected, then laid out within a width.
#[derive(Debug, Default)]
pub struct Table {
    pub alignments: Vec<Alignment>,
    pub header: Vec<Inline>,
    pub rows: Vec<Vec<Inline>>,
}

impl Table {
    /// Rows of at most `columns`. Cells are wrapped; where even that is too narrow, each cell stands on a line of its
    /// own behind its column's name.
    pub fn layout(&self, columns: usize, line: Style) -> Vec<Vec<Span<'static>>> {
        let count = self.header.len().max(1);
        let borders = 3 * (count - 1);
        let room = columns.saturating_sub(borders);
        if room < count * MIN_COLUMNS && self.natural_widths().iter().sum::<usize>() > room {
            return self.as_list(columns);
        }
        let widths = self.widths(room);
        let mut out = self.row(&self.header, &widths, line);
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        out.push(vec![Span::styled(rule.join("─┼─"), line)]);
        for row in &self.rows {
            out.extend(self.row(row, &widths, line));
        }
        out
    }

    fn natural_widths(&self) -> Vec<usize> {
        let mut widths: Vec<_> = self.header.iter().map(|cell| cell.width().max(1)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        widths
    }

    /// The natural widths, the widest ones cut to a common limit so that all fit.
    fn widths(&self, room: usize) -> Vec<usize> {
        let natural = self.natural_widths();
        let sum = |limit: usize| natural.iter().map(|width| (*width).min(limit)).sum::<usize>();
        let (mut fits, mut too_wide) = (1, room + 1);
        while too_wide - fits > 1 {
            let middle = usize::midpoint(fits, too_wide);
            if sum(middle) <= room { fits = middle } else { too_wide = middle }
        }
        natural.into_iter().map(|width| width.min(fits)).collect()
    }

    fn row(&self, cells: &[Inline], widths: &[usize], line: Style) -> Vec<Vec<Span<'static>>> {
        let empty = Inline::default();
        let wrapped: Vec<_> =
            widths.iter().enumerate().map(|(i, width)| cells.get(i).unwrap_or(&empty).rows(*width)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        let mut out = Vec::with_capacity(height);
        for y in 0..height {
            let mut spans = Vec::new();
            for (x, width) in widths.iter().enumerate() {
                if x > 0 {
                    spans.push(Span::styled(" │ ", line));
                }
                let cell = wrapped[x].get(y).cloned().unwrap_or_default();
                let spare = width.saturating_sub(row_width(&cell));
                let left = match self.alignments.get(x) {
                    Some(Alignment::Right) => spare,
                    Some(Alignment::Center) => spare / 2,
                    Some(Alignment::Left | Alignment::None) | None => 0,
                };
                spans.push(Span::raw(" ".repeat(left)));
                // A row of the table is no line that goes on in the next.
                spans.extend(cell.into_iter().filter(|span| !is_joint(span)));
                spans.push(Span::raw(" ".repeat(spare - left)));
            }
            out.push(spans);
        }
        out
    }

    fn as_list(&self, columns: usize) -> Vec<Vec<Span<'static>>> {
        let mut out = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            if i > 0 {
                out.push(Vec::new());
            }
            for (header, cell) in self.header.iter().zip(row) {
                let mut item = header.clone();
                item.push(": ", Style::default());
                item.append(cell);
                out.extend(item.rows(columns));
            }
        }
        out
    }
}
