//! How the application looks, and what its keys mean.
//!
//! [`view`] draws a [`State`] onto a frame; [`key`] turns a terminal event into an [`Action`](crate::app::Action).
//! Neither changes the state. What costs time to compute is kept in a [`ViewCache`]: wrapped rows per turn, of which
//! only the visible slice is drawn. It knows nothing of how events come about or what effects do.
//!
//! Whatever comes from outside passes `text::sanitise` or `text::one_line` on its way to a cell: in
//! `inline::Inline`, which all running text goes through, or where a one-line text is put together.

mod cache;
mod cells;
mod chat;
mod code;
mod collections;
mod evidence;
mod find;
mod finish;
mod help;
mod ingest;
mod inline;
mod input;
mod keys;
mod layout;
mod markdown;
mod palette;
mod pane;
mod passages;
mod selection;
mod status;
mod table;
mod theme;
mod title;
mod touch;

#[cfg(test)]
mod tests;

pub use cache::ViewCache;
pub use finish::ascii_text;
pub use keys::{KeyError, Keymap, key};
pub use theme::{Depth, Look, Theme};
pub use title::title;

use ratatui::{Frame, layout::Rect, text::Line};

use self::keys::Keys;
use crate::{
    app::{Place, State, View},
    text::width,
};

/// Draws the application. `cache` belongs to this one state.
pub fn view(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>) {
    cache.follow(state.theme);
    draw(state, cache, frame);
    finish::colour(frame.buffer_mut(), &cache.theme);
    if cache.look.ascii {
        finish::ascii(frame.buffer_mut());
    }
}

fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>) {
    let area = frame.area();
    let theme = cache.theme;
    cache.measured.spots.clear();
    if area.width < layout::MIN_COLUMNS || area.height < layout::MIN_ROWS {
        draw_too_small(Keys::new(&cache.keymap, state.place()), frame, area);
        return;
    }
    let input_rows = match state.view {
        View::Chat => input::rows(state, area),
        View::Ingest | View::Collections | View::Evidence => 0,
    };
    let found = state.find.as_ref().filter(|_| state.place_below() == Place::Find && state.armed.is_none());
    let notice = match found {
        Some(_) => Vec::new(),
        None => status::notice(state, &cache.keymap, &theme, area),
    };
    let screen = layout::screen(area, notice.len().max(1) as u16, input_rows);
    status::draw_title(state, &theme, frame, screen.title);
    match state.view {
        View::Chat => {
            let panes = layout::panes(screen.body, state);
            if let Some(area) = panes.chat {
                chat::draw(state, cache, frame, area);
            }
            if let Some(area) = panes.list {
                passages::draw_list(state, cache, frame, area);
            }
            if let Some(area) = panes.text {
                passages::draw_text(state, cache, frame, area);
            }
            if let Some(area) = panes.timings {
                passages::draw_timings(state, &theme, frame, area);
            }
        }
        View::Ingest => ingest::draw(state, cache, frame, screen.body),
        View::Collections => collections::draw(state, cache, frame, screen.body),
        View::Evidence => evidence::draw(state, cache, frame, screen.body),
    }
    match found {
        Some(find) => find::draw(state, find, &cache.chat, &theme, frame, screen.notice),
        None => pane::rows(frame, screen.notice, 1, notice.iter()),
    }
    if state.view == View::Chat {
        input::draw(state, cache, frame, screen.input);
        selection::draw(state, cache, frame.buffer_mut());
    }
    status::draw_footer(state, &cache.keymap, &theme, frame, screen.footer);
    if state.help {
        help::draw(state, cache, frame, screen.body);
    }
    if state.palette.is_some() {
        palette::draw(state, cache, frame, screen.body);
    }
    cells::part_clusters(frame.buffer_mut());
}

fn draw_too_small(keys: Keys<'_>, frame: &mut Frame<'_>, area: Rect) {
    let size = |columns, rows| format!("{columns} x {rows}");
    let (needs, has) = (size(layout::MIN_COLUMNS, layout::MIN_ROWS), size(area.width, area.height));
    // The longest that fits in one row, so that a few columns say it too.
    let said = |ways: [String; 2]| ways.into_iter().find(|way| width(way) <= usize::from(area.width));
    let rows = [(["askdocs needs ", "needs "], needs), (["this is ", "is "], has)]
        .map(|(ways, size)| said(ways.map(|way| format!("{way}{size}"))).unwrap_or(size));
    let way_out = keys.tell("‹interrupt› twice quits");
    for (text, y) in rows.into_iter().chain([way_out]).zip(area.top()..area.bottom()) {
        frame.render_widget(Line::raw(text), Rect { y, height: 1, ..area });
    }
}
