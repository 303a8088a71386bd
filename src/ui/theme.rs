use ratatui::style::{Color, Modifier, Style};

/// How things look: the terminal's own sixteen colours, so that its theme is followed. Nothing is told by colour alone;
/// without colours the same things differ by weight, underline and marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Borders, labels, hints, neighbours of a passage.
    pub dim: Style,
    /// What stands out: titles, the names of who speaks.
    pub strong: Style,
    /// The focused pane's border and title.
    pub focus: Style,
    /// The selected row.
    pub selected: Style,
    pub heading: Style,
    pub code: Style,
    /// Numbers in code.
    pub number: Style,
    pub link: Style,
    pub citation: Style,
    /// Bars and gauges.
    pub bar: Style,
    pub good: Style,
    pub warning: Style,
    pub bad: Style,
}

impl Theme {
    /// With the terminal's colours, or without any as `NO_COLOR` asks for.
    pub fn new(colour: bool) -> Self {
        let plain = Style::new();
        let with = |style: Style, colour_of_it: Color| if colour { style.fg(colour_of_it) } else { style };
        let bold = plain.add_modifier(Modifier::BOLD);
        Self {
            dim: plain.add_modifier(Modifier::DIM),
            strong: bold,
            focus: with(bold, Color::Cyan),
            selected: bold,
            heading: bold,
            code: with(plain, Color::Cyan),
            number: with(plain, Color::Magenta),
            link: plain.add_modifier(Modifier::UNDERLINED),
            citation: with(bold, Color::Cyan),
            bar: with(plain, Color::Blue),
            good: with(plain, Color::Green),
            warning: with(bold, Color::Yellow),
            bad: with(bold, Color::Red),
        }
    }
}
