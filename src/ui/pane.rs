//! A pane's frame and the rows in it.

use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    text::{Line, Span},
    widgets::{Block, BorderType},
};

use super::{cache::Extent, theme::Theme};
use crate::text::{fit, one_line};

/// Where a pane's content goes.
pub fn inner(area: Rect) -> Rect {
    Block::bordered().inner(area)
}

/// Draws a border with a title, and how much there is above and below what is in view. The focused pane's border is
/// thick, so that it is told without colours too.
pub fn draw(frame: &mut Frame<'_>, area: Rect, theme: &Theme, title: &str, focused: bool, extent: Extent) {
    let (border, style) = if focused { (BorderType::Thick, theme.focus) } else { (BorderType::Plain, theme.dim) };
    let above = if extent.top > 0 { format!("↑{} ", extent.top) } else { String::new() };
    let below = if extent.below() > 0 { format!("↓{} ", extent.below()) } else { String::new() };
    let hint = format!("{above}{below}");
    let room = usize::from(area.width).saturating_sub(hint.chars().count() + 6);
    let title = fit(&one_line(title), room);
    let mut block = Block::bordered()
        .border_type(border)
        .border_style(style)
        .title_top(Span::styled(format!(" {title} "), if focused { theme.focus } else { theme.strong }));
    if !hint.is_empty() {
        let hint = Line::styled(format!(" {hint}"), theme.dim).alignment(HorizontalAlignment::Right);
        block = block.title_top(hint);
    }
    frame.render_widget(block, area);
}

/// Writes rows from the top of an area on, `indent` columns in, as many as fit.
pub fn rows<'a>(frame: &mut Frame<'_>, area: Rect, indent: u16, rows: impl Iterator<Item = &'a Line<'static>>) {
    let indent = indent.min(area.width);
    let width = area.width - indent;
    for (line, y) in rows.zip(area.top()..area.bottom()) {
        frame.buffer_mut().set_line(area.x + indent, y, line, width);
    }
}
