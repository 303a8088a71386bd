//! A pane's frame and the rows in it.

use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, BorderType},
};

use super::{cache::Extent, theme::Theme};
use crate::text::{fit, one_line, width};

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
    scrollbar(frame, area, style, extent);
}

/// Marks on the right border which part of the content is in view; nothing where all of it is.
fn scrollbar(frame: &mut Frame<'_>, area: Rect, style: Style, extent: Extent) {
    let track = usize::from(area.height.saturating_sub(2));
    let hidden = extent.rows.saturating_sub(extent.height);
    if hidden == 0 || track < 3 || area.width < 3 {
        return;
    }
    let thumb = (track * extent.height / extent.rows).clamp(1, track - 1);
    // Only the very first and the very last row touch the ends.
    let room = track - thumb;
    let at = match extent.top {
        0 => 0,
        top if top == hidden => room,
        top => (top * room / hidden).clamp(1.min(room), room.saturating_sub(1).max(1.min(room))),
    };
    for row in at..at + thumb {
        let y = area.y + 1 + u16::try_from(row).unwrap_or(u16::MAX);
        frame.buffer_mut().set_string(area.right() - 1, y, "█", style);
    }
}

/// Writes a note into the lower border of a pane, in the middle; returns where it stands.
pub fn note(frame: &mut Frame<'_>, area: Rect, text: &str, style: Style) -> Rect {
    let text = format!(" {} ", fit(text, usize::from(area.width.saturating_sub(6))));
    let columns = u16::try_from(width(&text)).unwrap_or(u16::MAX).min(area.width);
    let x = area.x + (area.width - columns) / 2;
    let place = Rect { x, y: area.bottom().saturating_sub(1), width: columns, height: 1 };
    frame.buffer_mut().set_stringn(place.x, place.y, text, usize::from(columns), style);
    place
}

/// Writes rows from the top of an area on, `indent` columns in, as many as fit.
pub fn rows<'a>(frame: &mut Frame<'_>, area: Rect, indent: u16, rows: impl Iterator<Item = &'a Line<'static>>) {
    let indent = indent.min(area.width);
    let width = area.width - indent;
    for (line, y) in rows.zip(area.top()..area.bottom()) {
        frame.buffer_mut().set_line(area.x + indent, y, line, width);
    }
}
