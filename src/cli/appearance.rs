//! What the terminal can show, as far as the environment tells, and what the person wants of it.

use super::UsageError;
use crate::{
    config::Ui,
    domain::ThemeName,
    ui::{Depth, Look},
};

/// The theme to begin with, and the look for the whole run. `colour`: colours are wanted at all; `variable` reads the
/// environment.
pub fn appearance(
    config: Ui,
    colour: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(ThemeName, Look), UsageError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let term = set("TERM").unwrap_or_default();
    if term == "dumb" {
        let message = "the application can't draw on this terminal (TERM is \"dumb\"); hint: `askdocs ask QUESTION` and `askdocs search QUERY` work on any";
        return Err(UsageError(message.to_owned()));
    }
    let depth = match set("COLORTERM").map(|value| value.to_ascii_lowercase()).as_deref() {
        Some("truecolor" | "24bit") => Depth::TrueColour,
        // Terminals that have all colours, and over ssh only their name comes along.
        _ if ["xterm-kitty", "alacritty", "foot", "xterm-ghostty", "wezterm"]
            .iter()
            .any(|name| term.starts_with(name)) =>
        {
            Depth::TrueColour
        }
        // Windows' own console tells nothing and shows all of them.
        _ if term.ends_with("-direct") || cfg!(windows) && term.is_empty() => Depth::TrueColour,
        _ if term.contains("256color") || term.starts_with("tmux") || term.starts_with("screen") => Depth::Indexed,
        _ => Depth::Sixteen,
    };
    let look =
        Look { depth, ascii: config.ascii.unwrap_or_else(|| only_ascii(&variable)), still: config.reduced_motion };
    Ok((if colour && !is_without_colours(&term) { config.theme } else { ThemeName::Mono }, look))
}

/// Whether the locale has nothing but ASCII for certain.
pub fn only_ascii(variable: impl Fn(&str) -> Option<String>) -> bool {
    // The first of these that is set counts, as POSIX has it. Where none is set nothing is known about the terminal, and
    // nearly all of today's know UTF-8.
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    })
}

/// The terminals that gave the others their sequences: those for colours came later.
fn is_without_colours(term: &str) -> bool {
    let model = term.split('-').next().unwrap_or_default();
    model.strip_prefix("vt").is_some_and(|number| number.starts_with(['1', '2', '3', '4', '5']) && number != "525")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(colour: bool, config: Ui, variables: &[(&str, &str)]) -> Result<(ThemeName, Look), UsageError> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        appearance(config, colour, find)
    }

    #[test]
    fn the_environment_tells_what_can_be_shown() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(Variables, Depth, bool); 12] = [
            (&[("TERM", "xterm")], Depth::Sixteen, false),
            (&[("TERM", "screen-256color")], Depth::Indexed, false),
            (&[("TERM", "tmux")], Depth::Indexed, false),
            (&[("TERM", "xterm-kitty")], Depth::TrueColour, false),
            (&[("TERM", "xterm"), ("COLORTERM", "TrueColor")], Depth::TrueColour, false),
            (&[("TERM", "screen-256color"), ("COLORTERM", "truecolor")], Depth::TrueColour, false),
            (&[("TERM", "linux"), ("COLORTERM", "")], Depth::Sixteen, false),
            (&[("TERM", "xterm-direct"), ("LANG", "de_DE.UTF-8")], Depth::TrueColour, false),
            (&[("TERM", "xterm"), ("LANG", "C.utf8")], Depth::Sixteen, false),
            (&[("TERM", "xterm"), ("LANG", "C")], Depth::Sixteen, true),
            (&[("TERM", "xterm"), ("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")], Depth::Sixteen, true),
            (&[("TERM", "xterm"), ("LC_ALL", ""), ("LC_CTYPE", "de_DE.ISO-8859-1")], Depth::Sixteen, true),
        ];
        for (variables, depth, ascii) in cases {
            let (theme, look) = with(true, Ui::default(), variables).unwrap();
            assert_eq!((theme, look.depth, look.ascii), (ThemeName::Terminal, depth, ascii), "{variables:?}");
        }
    }

    #[test]
    fn what_the_person_says_goes_before_it() {
        let config = Ui { theme: ThemeName::Dark, ascii: Some(false), reduced_motion: true, ..Ui::default() };
        let (theme, look) = with(true, config, &[("TERM", "xterm"), ("LANG", "C")]).unwrap();
        assert_eq!((theme, look.ascii, look.still), (ThemeName::Dark, false, true));
        for (term, theme) in
            [("vt100", ThemeName::Mono), ("vt220-w", ThemeName::Mono), ("vt525", config.theme), ("vte", config.theme)]
        {
            assert_eq!(with(true, config, &[("TERM", term)]).unwrap().0, theme, "{term}");
        }
        let (theme, _) = with(false, config, &[("TERM", "xterm")]).unwrap();
        assert_eq!(theme, ThemeName::Mono);
        let refused = with(true, config, &[("TERM", "dumb")]).unwrap_err().to_string();
        assert!(refused.contains("hint: `askdocs ask"), "{refused}");
    }
}
