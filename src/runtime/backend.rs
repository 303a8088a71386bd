use std::io::{self, Write};

use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
    style::{Color, Modifier},
};

use crate::text::{is_plain, width};

/// Writes cells to the terminal; everything else is left to crossterm.
///
/// Terminals disagree on how wide some characters are. Behind each one that they may disagree on the cursor is set anew,
/// and the columns that it takes are blanked before, so that the rest of the row is not shifted. Where a terminal draws one
/// wider than we count it, the neighbour that it covers stays covered until it changes itself. And the
/// sixteen colours are written as ECMA-48 and its common extension have them (30-37, 90-97), which every terminal with
/// colours knows; crossterm writes them as numbers of 256.
#[derive(Debug)]
pub struct TerminalBackend<W: Write>(CrosstermBackend<W>);

impl<W: Write> TerminalBackend<W> {
    pub fn new(writer: W) -> Self {
        Self(CrosstermBackend::new(writer))
    }
}

/// How text looks from here on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    foreground: Color,
    background: Color,
    modifier: Modifier,
}

/// Selective numbers of the graphic rendition (ECMA-48, SGR).
const MODIFIERS: [(Modifier, &str); 9] = [
    (Modifier::BOLD, "1"),
    (Modifier::DIM, "2"),
    (Modifier::ITALIC, "3"),
    (Modifier::UNDERLINED, "4"),
    (Modifier::SLOW_BLINK, "5"),
    (Modifier::RAPID_BLINK, "6"),
    (Modifier::REVERSED, "7"),
    (Modifier::HIDDEN, "8"),
    (Modifier::CROSSED_OUT, "9"),
];

impl Look {
    fn of(cell: &Cell) -> Self {
        Self { foreground: cell.fg, background: cell.bg, modifier: cell.modifier }
    }

    /// What changes the earlier look to this one.
    fn after(self, earlier: Self) -> String {
        let mut numbers = Vec::new();
        let mut known = earlier;
        if !self.modifier.contains(earlier.modifier) {
            // There is no number that takes back just one of them everywhere.
            numbers.push("0".to_owned());
            known = Self::default();
        }
        let more = self.modifier.difference(known.modifier);
        numbers.extend(MODIFIERS.iter().filter(|(modifier, _)| more.contains(*modifier)).map(|(_, n)| (*n).to_owned()));
        if self.foreground != known.foreground {
            numbers.push(colour(self.foreground, 30));
        }
        if self.background != known.background {
            numbers.push(colour(self.background, 40));
        }
        if numbers.is_empty() { String::new() } else { format!("\x1b[{}m", numbers.join(";")) }
    }
}

/// A colour's number; `base` is 30 for text, 40 for what is behind it.
fn colour(colour: Color, base: u8) -> String {
    let dark = |n: u8| (base + n).to_string();
    let bright = |n: u8| (base + 60 + n).to_string();
    match colour {
        Color::Reset => dark(9),
        Color::Black => dark(0),
        Color::Red => dark(1),
        Color::Green => dark(2),
        Color::Yellow => dark(3),
        Color::Blue => dark(4),
        Color::Magenta => dark(5),
        Color::Cyan => dark(6),
        Color::Gray => dark(7),
        Color::DarkGray => bright(0),
        Color::LightRed => bright(1),
        Color::LightGreen => bright(2),
        Color::LightYellow => bright(3),
        Color::LightBlue => bright(4),
        Color::LightMagenta => bright(5),
        Color::LightCyan => bright(6),
        Color::White => bright(7),
        Color::Indexed(n) => format!("{};5;{n}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
    }
}

impl<W: Write> Backend for TerminalBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut look = Look::default();
        // Where the cursor is, as far as that is sure.
        let mut at = None;
        let mut drawn = false;
        for (x, y, cell) in content {
            drawn = true;
            let symbol = cell.symbol();
            let agreed = symbol.chars().all(is_plain);
            let go = format!("\x1b[{};{}H", y + 1, x + 1);
            if at != Some((x, y)) {
                self.0.write_all(go.as_bytes())?;
            }
            let wanted = Look::of(cell);
            self.0.write_all(wanted.after(look).as_bytes())?;
            look = wanted;
            let columns = width(symbol);
            if !agreed {
                self.0.write_all(" ".repeat(columns).as_bytes())?;
                self.0.write_all(go.as_bytes())?;
            }
            self.0.write_all(symbol.as_bytes())?;
            at = u16::try_from(columns).ok().filter(|_| agreed).map(|columns| (x.saturating_add(columns), y));
        }
        if drawn && look != Look::default() {
            self.0.write_all(b"\x1b[0m")?;
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.0.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.0.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.0.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.0.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::{buffer::Buffer, layout::Rect, style::Style};

    use super::*;

    fn bytes(buffer: &Buffer) -> String {
        let mut written = Vec::new();
        let empty = Buffer::empty(buffer.area);
        TerminalBackend::new(&mut written).draw(empty.diff(buffer).into_iter()).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn the_sixteen_colours_are_written_as_every_terminal_knows_them_and_plain_text_costs_nothing() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 1));
        buffer.set_string(0, 0, "abc", Style::new().fg(Color::Cyan).bg(Color::DarkGray));
        buffer.set_string(3, 0, "d", Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD));
        buffer.set_string(4, 0, "│é漢", Style::new().fg(Color::Rgb(1, 2, 3)).bg(Color::Indexed(7)));
        let expected = "\x1b[1;1H\x1b[36;100mabc\x1b[1;49md\x1b[0;38;2;1;2;3;48;5;7m│é漢\x1b[0m";
        assert_eq!(bytes(&buffer), expected);
        assert_eq!(bytes(&Buffer::empty(Rect::new(0, 0, 9, 1))), "", "no byte for no change");
    }

    #[test]
    fn what_terminals_disagree_on_stays_in_its_cell() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 1));
        buffer.set_string(0, 0, "a\u{1f6dc}b\u{378}c", Style::new());
        assert_eq!(bytes(&buffer), "\x1b[1;1Ha  \x1b[1;2H\u{1f6dc}\x1b[1;4Hb \x1b[1;5H\u{378}\x1b[1;6Hc");
    }

    fn any_colour() -> impl Strategy<Value = Color> {
        static NAMED: [Color; 7] =
            [Color::Reset, Color::Black, Color::Gray, Color::White, Color::LightRed, Color::DarkGray, Color::Blue];
        prop_oneof![
            proptest::sample::select(&NAMED[..]),
            any::<u8>().prop_map(Color::Indexed),
            any::<(u8, u8, u8)>().prop_map(|(r, g, b)| Color::Rgb(r, g, b)),
        ]
    }

    proptest! {
        /// A terminal shows the same as with crossterm's own.
        #[test]
        fn it_looks_as_with_crossterms_own(
            cells in prop::collection::vec(
                ("[a-z│漢é✓ ]", any_colour(), any_colour(), 0..0x1ff_u16),
                0..40,
            ),
        ) {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 4));
            for (at, (symbol, fg, bg, modifier)) in (0..).zip(&cells) {
                // This emulator knows neither blinking, hidden nor crossed out, and takes bold and dim for one scale.
                let mut modifier = Modifier::from_bits_truncate(*modifier) & Modifier::from_bits_truncate(0b100_1111);
                if modifier.contains(Modifier::BOLD) {
                    modifier.remove(Modifier::DIM);
                }
                let style = Style::new().fg(*fg).bg(*bg).add_modifier(modifier);
                buffer.set_string(at % 10, at / 10, symbol, style);
            }
            let mut theirs = Vec::new();
            CrosstermBackend::new(&mut theirs).draw(Buffer::empty(buffer.area).diff(&buffer).into_iter()).unwrap();
            let seen = |bytes: &[u8]| {
                let mut terminal = vt100::Parser::new(4.try_into().unwrap(), 10.try_into().unwrap(), 0);
                terminal.process(bytes);
                let screen = terminal.screen();
                (0..4).flat_map(|y| (0..10).map(move |x| (y, x))).map(|(y, x)| screen.cell(y, x).cloned()).collect::<Vec<_>>()
            };
            let ours = bytes(&buffer);
            prop_assert!(seen(ours.as_bytes()) == seen(&theirs), "{ours:?} is not {:?}", String::from_utf8_lossy(&theirs));
        }
    }
}
