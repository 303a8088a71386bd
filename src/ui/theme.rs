//! Colours and weights by role. Each theme is a small table of colours; what they become on a terminal that shows fewer
//! is decided here and nowhere else. Nothing is told by colour alone: without any, the same things differ by weight,
//! underline and marks.

use ratatui::style::{Color, Modifier, Style};

use crate::domain::ThemeName;

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    #[default]
    Sixteen,
    /// The 256 of xterm, of which 16 to 255 are the same everywhere.
    Indexed,
    TrueColour,
}

/// What the terminal can show and the person wants of the drawing beside its colours; it holds for a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub depth: Depth,
    /// Only ASCII reaches the terminal: every sign of our own has one, anything else is a question mark.
    pub ascii: bool,
    /// Nothing moves by itself: no streaming cursor, no growing bars, and answers grow by whole rows.
    pub still: bool,
}

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Under everything, and of whatever has no colour of its own; the terminal's own when `Reset`.
    pub(super) ground: Color,
    pub(super) text: Color,
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
    /// As [`Look::still`]: whoever draws something that moves by itself asks for it.
    pub still: bool,
}

/// One colour for each role; `Reset` is the terminal's own.
#[derive(Clone, Copy, Debug)]
struct Palette {
    ground: Color,
    text: Color,
    faint: Color,
    accent: Color,
    bar: Color,
    good: Color,
    warning: Color,
    bad: Color,
}

const MONO: Palette = Palette {
    ground: Color::Reset,
    text: Color::Reset,
    faint: Color::Reset,
    accent: Color::Reset,
    bar: Color::Reset,
    good: Color::Reset,
    warning: Color::Reset,
    bad: Color::Reset,
};

const TERMINAL: Palette = Palette {
    accent: Color::Cyan,
    bar: Color::Blue,
    good: Color::Green,
    warning: Color::Yellow,
    bad: Color::Red,
    ..MONO
};

const DARK: Palette = Palette {
    ground: Color::from_u32(0x14171c),
    text: Color::from_u32(0xdfe3ea),
    faint: Color::from_u32(0x9aa4b2),
    accent: Color::from_u32(0x5fd7e6),
    bar: Color::from_u32(0x7aa2f7),
    good: Color::from_u32(0x8fce7f),
    warning: Color::from_u32(0xe5c07b),
    bad: Color::from_u32(0xff7b85),
};

const LIGHT: Palette = Palette {
    ground: Color::from_u32(0xfafafa),
    text: Color::from_u32(0x1f2329),
    faint: Color::from_u32(0x5c6470),
    accent: Color::from_u32(0x00617a),
    bar: Color::from_u32(0x2a5db0),
    good: Color::from_u32(0x1f6b34),
    warning: Color::from_u32(0x7a4f00),
    bad: Color::from_u32(0xb3261e),
};

const HIGH_CONTRAST: Palette = Palette {
    ground: Color::from_u32(0x000000),
    text: Color::from_u32(0xffffff),
    faint: Color::from_u32(0xd0d0d0),
    accent: Color::from_u32(0x00ffff),
    bar: Color::from_u32(0x9fc3ff),
    good: Color::from_u32(0x6dff6d),
    warning: Color::from_u32(0xffff00),
    bad: Color::from_u32(0xffa0a0),
};

/// A contrast that text can be read with: WCAG 2.1, success criteria 1.4.3 (AA) and 1.4.6 (AAA).
const READABLE: f64 = 4.5;
const HIGH: f64 = 7.0;

impl Palette {
    fn named(name: ThemeName) -> (Self, f64) {
        match name {
            ThemeName::Terminal => (TERMINAL, READABLE),
            ThemeName::Dark => (DARK, READABLE),
            ThemeName::Light => (LIGHT, READABLE),
            ThemeName::HighContrast => (HIGH_CONTRAST, HIGH),
            ThemeName::Mono => (MONO, READABLE),
        }
    }

    /// The same in the terminal's colours, each still of `contrast` to the ground.
    fn at(self, depth: Depth, contrast: f64) -> Self {
        let ground = depth.nearest(self.ground, |_| true);
        let ink = |colour| depth.nearest(colour, |shown| contrast_of(shown, ground).is_none_or(|c| c >= contrast));
        Self {
            ground,
            text: ink(self.text),
            faint: ink(self.faint),
            accent: ink(self.accent),
            bar: ink(self.bar),
            good: ink(self.good),
            warning: ink(self.warning),
            bad: ink(self.bad),
        }
    }
}

impl Theme {
    pub fn new(name: ThemeName, look: Look) -> Self {
        let (palette, contrast) = Palette::named(name);
        let palette = palette.at(look.depth, contrast);
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let ink = |colour| if colour == Color::Reset { plain } else { plain.fg(colour) };
        // Dimming a colour that was chosen for its contrast would take that away.
        let dim = if palette.faint == Color::Reset { plain.add_modifier(Modifier::DIM) } else { ink(palette.faint) };
        Self {
            ground: palette.ground,
            text: palette.text,
            dim,
            strong: bold,
            focus: bold.patch(ink(palette.accent)),
            selected: bold,
            heading: bold,
            code: ink(palette.accent),
            number: ink(palette.warning),
            link: plain.add_modifier(Modifier::UNDERLINED),
            citation: bold.patch(ink(palette.accent)),
            bar: ink(palette.bar),
            good: ink(palette.good),
            warning: bold.patch(ink(palette.warning)),
            bad: bold.patch(ink(palette.bad)),
            still: look.still,
        }
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(ThemeName::default(), Look::default())
    }
}

/// xterm's own values of the sixteen colours; a terminal's theme may have others.
const SIXTEEN: [(Color, u32); 16] = [
    (Color::Black, 0x000000),
    (Color::Red, 0xcd0000),
    (Color::Green, 0x00cd00),
    (Color::Yellow, 0xcdcd00),
    (Color::Blue, 0x0000ee),
    (Color::Magenta, 0xcd00cd),
    (Color::Cyan, 0x00cdcd),
    (Color::Gray, 0xe5e5e5),
    (Color::DarkGray, 0x7f7f7f),
    (Color::LightRed, 0xff0000),
    (Color::LightGreen, 0x00ff00),
    (Color::LightYellow, 0xffff00),
    (Color::LightBlue, 0x5c5cff),
    (Color::LightMagenta, 0xff00ff),
    (Color::LightCyan, 0x00ffff),
    (Color::White, 0xffffff),
];

impl Depth {
    /// The colour that the terminal shows for another, the nearest by the square of the distance in RGB among those
    /// that `fit`. Colours of its own stay.
    fn nearest(self, colour: Color, fit: impl Fn(Color) -> bool) -> Color {
        let Some(wanted) = (match colour {
            Color::Rgb(..) => rgb(colour),
            _ => None,
        }) else {
            return colour;
        };
        let distance = |shown: &Color| {
            let shown = rgb(*shown).unwrap_or(wanted);
            (0..3).map(|i| (i32::from(shown[i]) - i32::from(wanted[i])).pow(2)).sum::<i32>()
        };
        let nearest = match self {
            Self::TrueColour => None,
            Self::Indexed => (16..=255).map(Color::Indexed).filter(|shown| fit(*shown)).min_by_key(distance),
            Self::Sixteen => SIXTEEN.map(|(name, _)| name).into_iter().filter(|c| fit(*c)).min_by_key(distance),
        };
        nearest.unwrap_or(colour)
    }
}

/// Red, green and blue of a colour, as far as they are known.
fn rgb(colour: Color) -> Option<[u8; 3]> {
    /// Of the 6 x 6 x 6 cube that begins at index 16.
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match colour {
        Color::Rgb(red, green, blue) => Some([red, green, blue]),
        Color::Indexed(index @ 232..) => Some([8 + (index - 232) * 10; 3]),
        Color::Indexed(index @ 16..) => {
            let level = |unit: u8| LEVELS[usize::from((index - 16) / unit % 6)];
            Some([level(36), level(6), level(1)])
        }
        named => {
            let (_, value) = SIXTEEN.iter().find(|(name, _)| *name == named)?;
            let [_, red, green, blue] = value.to_be_bytes();
            Some([red, green, blue])
        }
    }
}

/// The contrast ratio of two colours, 1 to 21, as WCAG 2.1 defines it: (L1 + 0.05) / (L2 + 0.05), L1 the lighter one's
/// relative luminance. `None` where one is the terminal's own.
fn contrast_of(a: Color, b: Color) -> Option<f64> {
    let (a, b) = (luminance(rgb(a)?), luminance(rgb(b)?));
    Some((a.max(b) + 0.05) / (a.min(b) + 0.05))
}

/// Relative luminance, 0 to 1: WCAG 2.1, "relative luminance", with sRGB's own threshold of 0.04045.
fn luminance(rgb: [u8; 3]) -> f64 {
    let [red, green, blue] = rgb.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        let of = |a, b| contrast_of(Color::from_u32(a), Color::from_u32(b)).unwrap();
        assert!((of(0xffffff, 0) - 21.0).abs() < 1e-9);
        assert!((of(0x777777, 0xffffff) - 4.478).abs() < 1e-3, "the well-known grey that just fails on white");
        assert!((of(0xffffff, 0x767676) - 4.542).abs() < 1e-3, "and the one that just passes");
    }

    #[test]
    fn every_colour_can_be_read_on_its_ground_at_every_depth() {
        let themes = [(ThemeName::Dark, 4.5), (ThemeName::Light, 4.5), (ThemeName::HighContrast, 7.0)];
        for depth in [Depth::Sixteen, Depth::Indexed, Depth::TrueColour] {
            for (name, least) in themes {
                let theme = Theme::new(name, Look { depth, ..Look::default() });
                let styles = [
                    theme.dim,
                    theme.strong,
                    theme.focus,
                    theme.selected,
                    theme.heading,
                    theme.code,
                    theme.number,
                    theme.link,
                    theme.citation,
                    theme.bar,
                    theme.good,
                    theme.warning,
                    theme.bad,
                ];
                for style in styles {
                    let ink = style.fg.unwrap_or(theme.text);
                    let contrast = contrast_of(ink, theme.ground).unwrap();
                    assert!(contrast >= least, "{name} at {depth:?}: {ink} has {contrast:.2} on {}", theme.ground);
                    assert!(!style.add_modifier.contains(Modifier::DIM), "{name}: dimmed below its contrast");
                    let shown = match depth {
                        Depth::Sixteen => !matches!(ink, Color::Rgb(..) | Color::Indexed(_)),
                        Depth::Indexed => matches!(ink, Color::Indexed(16..)),
                        Depth::TrueColour => matches!(ink, Color::Rgb(..)),
                    };
                    assert!(shown, "{name}: {ink} is not a colour of {depth:?}");
                }
            }
        }
    }
}
